// ip4-input, ip4-lookup and ip4-rewrite: the IPv4 path that every packet takes.
//
// A packet's data() is at its IP header from ip4-input to ip4-rewrite. One that this host made has
// interface local0 and enters at ip4-lookup: its TTL is not lowered, and forwarding need not be on
// for it.
#include "net/wire/describe.h"
#include "vnet/flow_hash.h"
#include "vnet/ip4_options.h"
#include "vnet/lookup.h"
#include "vnet/nodes.h"

namespace wh::vnet {
namespace {

using graph::Arc;
using graph::Batch;
using graph::ErrorSpec;
using graph::Node;
using graph::Severity;
using net::Ip4;
using net::Ip4Fault;
using net::Ip4Header;
using net::Ip4View;
using net::Packet;

// Counted as ip4-input's, though ip4-rewrite finds it: so VPP's users know it.
constexpr uint16_t kTtlExpired = net::kIp4FaultNames.size();

// Validation (RFC 1122 section 3.2.1, RFC 1812 section 5.2.2): what passes is a whole packet from a
// plausible source, without padding. The source 0.0.0.0, of one who has no address yet, and this
// host's own are no others' to forward (RFC 1122 section 3.2.1.3, RFC 1812 sections 4.2.2.11 and
// 5.3.7); for this host they pass, and DHCP and ip4-local see to them.
class Ip4Input final : public Node {
 public:
  explicit Ip4Input(Stack& stack)
      : Node({.name = "ip4-input",
              .next = std::vector<std::string>{"ip4-icmp-error"} +
                      features_after(FeatureArc::Ip4Input, -1),
              .errors = errors_of(net::kIp4FaultNames) +
                        std::vector<ErrorSpec>{
                            {"ttl_expired", Severity::Error, "ip4 ttl <= 1"},
                            {"bad_source", Severity::Error, "ip4 source is no host"},
                            {"bad_destination", Severity::Error, "ip4 destination is no host"},
                            {"source_route", Severity::Error, "ip4 source route refused"},
                            {"bad_options", Severity::Error, "ip4 bad options"}}}),
        stack_(stack) {}

  void process(Batch& batch) override {
    const auto packets = batch.packets();
    const auto size = static_cast<uint32_t>(packets.size());
    for (uint32_t i = 1; i < std::min(size, kAhead); ++i) fetch(*packets[i]);
    uint32_t begin = 0;  // Of a run of packets that came by one interface.
    while (begin < size) {
      const uint16_t interface = packets[begin]->interface;
      InterfaceEntry& entry = stack_.interfaces[interface];
      const auto next = static_cast<Arc>(
          kFeatures + feature_after(FeatureArc::Ip4Input, -1, entry.features[kArc]));
      uint32_t i = begin;
      for (; i < size && packets[i]->interface == interface; ++i) {
        if (i + kAhead < size) fetch(*packets[i + kAhead]);
        Packet& p = *packets[i];
        if (is_plain(p) && !stack_.interfaces.may_be_own(p.data() + 12)) {
          p.l4_offset = Ip4Header::kMinSize;
        } else if (look_closely(batch, i)) {
          p.l4_offset = static_cast<uint16_t>((p.data()[0] & 15u) * 4);
        } else {
          continue;
        }
        p.ecn = p.data()[1] & 3;
        batch.send(i, next);
      }
      entry.ip4 += i - begin;
      begin = i;
    }
  }
  std::string account(const Packet& p) const override { return net::describe_ip(p); }

 private:
  static constexpr size_t kArc = static_cast<size_t>(FeatureArc::Ip4Input);
  static constexpr uint32_t kAhead = 8;  // Packets between asking for a header and reading it.
  enum : Arc { kIcmpError = 1, kFeatures };
  enum : uint16_t {
    kBadSource = kTtlExpired + 1,
    kBadDestination,
    kSourceRoute,
    kBadOptions,
    kSound
  };

  static void fetch(const Packet& p) {
    __builtin_prefetch(&p);
    __builtin_prefetch(p.headers_at());
  }

  // What an address's first byte is good for. 0 is looked at closely.
  enum : uint8_t { kSource = 1, kDestination = 2 };
  static constexpr auto kUses = [] {
    std::array<uint8_t, 256> uses{};
    for (size_t first = 0; first < uses.size(); ++first) {
      if (first != 127 && first != 0 && first < 0xe0) uses[first] |= kSource;
      if (first != 127 && first != 0) uses[first] |= kDestination;
    }
    return uses;
  }();

  // Whether a packet passes at a glance: no options, no padding, a right checksum, addresses that
  // hosts have. Nearly all do; the rest is looked at closely.
  static bool is_plain(const Packet& p) {
    if (p.head_size() < Ip4Header::kMinSize) return false;
    const uint8_t* ip = p.data();
    uint64_t a, b;
    uint32_t c;
    std::memcpy(&a, ip, 8);
    std::memcpy(&b, ip + 8, 8);
    std::memcpy(&c, ip + 16, 4);
    // The sum of all 16-bit words with the carries brought round, in ever smaller halves: a number
    // added to itself with its halves swapped has the halves' sum, carry and all, in the upper one.
    uint64_t sum = a + b;
    sum += sum < a;
    sum += c;
    sum += sum < c;
    const auto folded = static_cast<uint32_t>((sum + std::rotl(sum, 32)) >> 32);
    const bool adds_up = (folded + std::rotl(folded, 16)) >> 16 == 0xffff;
    const auto uses = static_cast<uint8_t>(kUses[ip[12]] << 1 & kUses[ip[16]]);
    return (ip[0] == 0x45) & (net::load16(ip + 2) == p.size()) & adds_up &
           ((uses & kDestination) != 0);
  }

  // False when the packet was dropped. Not inline, as all that few packets need: the loop over
  // packets has more use for the registers.
  [[gnu::noinline]] bool look_closely(Batch& batch, uint32_t i) const {
    Packet& p = batch[i];
    if (p.head_size() < Ip4Header::kMinSize || p.head_size() < (p.data()[0] & 15u) * 4) {
      pullup_most(p, Ip4Header::kMaxSize);
    }
    const auto ip = Ip4View::parse(p.head(), p.size());
    if (!ip) {
      batch.drop(i, static_cast<uint16_t>(ip.fault()));
      return false;
    }
    if (const uint16_t fault = judge(p, *ip); fault == kBadOptions) {
      // RFC 1812 section 4.3.3.5.
      batch.blame(i, fault);
      note_icmp(p, {static_cast<uint8_t>(net::IcmpType::ParameterProblem), 0,
                    static_cast<uint16_t>(ip->options_fault())});
      batch.send(i, kIcmpError);
      return false;
    } else if (fault != kSound) {
      batch.drop(i, fault);
      return false;
    }
    if (ip->total_length() < p.size()) p.truncate(ip->total_length());
    return true;
  }
  uint16_t judge(const Packet& p, const Ip4View& ip) const {
    const Ip4 source = ip.source(), destination = ip.destination();
    if (source.is_multicast() || source.is_broadcast() || source.is_loopback()) return kBadSource;
    if (destination.is_loopback() || destination.value == 0) return kBadDestination;
    const uint16_t vrf = stack_.interfaces[p.interface].vrf;
    if (source.value >> 24 == 0 || stack_.is_local(source, vrf)) {
      const bool may_pass = source.value >> 24 != 0 || source.value == 0;
      const AdjacencyIndex to = stack_.fib(net::Family::V4, vrf).lookup(destination);
      if (!may_pass || stack_.adjacencies[to].kind != AdjacencyKind::Local) return kBadSource;
    }
    if (ip.header_size() > Ip4Header::kMinSize) {
      if (ip.options_fault() != 0) return kBadOptions;
      if (has_source_route(ip.options())) return kSourceRoute;
    }
    return kSound;
  }
  // Loose and strict source routes let others choose the way (RFC 7126 section 4.3).
  static bool has_source_route(std::span<const uint8_t> options) {
    constexpr uint8_t kEnd = 0, kNop = 1, kLoose = 131, kStrict = 137;
    while (!options.empty() && options[0] != kEnd) {
      if (options[0] == kLoose || options[0] == kStrict) return true;
      options = options.subspan(options[0] == kNop ? 1 : options[1]);
    }
    return false;
  }
  Stack& stack_;
};

class Ip4Lookup final : public Node {
 public:
  explicit Ip4Lookup(Stack& stack)
      : Node({.name = "ip4-lookup",
              .next = {"ip4-local", "ip4-rewrite", "ip4-arp", "ip4-icmp-error"},
              .errors = {{"no_route", Severity::Error, "ip4 no route"},
                         {"not_forwarding", Severity::Error, "ip4 forwarding is off"},
                         {"link_broadcast", Severity::Error, "ip4 unicast in a link broadcast"},
                         {"never_forwarded", Severity::Error,
                          "ip4 destination is never forwarded"}}}),
        stack_(stack) {}

  void process(Batch& batch) override {
    const auto packets = batch.packets();
    uint32_t values[net::Frame::kCapacity];
    const bool are_few = packets.size() <= kFew;
    if (!are_few) look_up_many<Key4>(stack_, packets, 16, values);
    const bool forwarding = stack_.settings.ip_forwarding != 0;
    AdjacencyIndex last = kNoRoute;  // Often the same for many.
    AdjacencyKind kind = stack_.adjacencies[last].kind;
    for (uint32_t i = 0; i < packets.size(); ++i) {
      Packet& p = *packets[i];
      p.adjacency = Fib::adjacency_in(are_few ? look_up_alone<Key4>(stack_, p, 16) : values[i]);
      if (p.adjacency != last) {
        last = p.adjacency;
        kind = stack_.adjacencies[last].kind;
      }
      if (kind == AdjacencyKind::Rewrite &&
          ((forwarding && !is_link_multicast(p)) || p.interface == kLocalInterface)) {
        batch.send(i, kRewrite);
      } else if (kind == AdjacencyKind::Local) {
        batch.send(i, kLocalArc);
      } else {
        decide(batch, i, kind, forwarding);
      }
    }
  }
  std::string account(const Packet& p) const override {
    return fmt::format("fib {} dpo-idx {} flow hash: 0x{:08x}\n{}", stack_.vrf_of(p), p.adjacency,
                       p.flow_hash, net::describe_ip(p));
  }

 private:
  enum : Arc { kLocalArc = 1, kRewrite, kArp, kIcmpError };
  enum : uint16_t { kNotForwarding = kNoRouteError + 1, kLinkBroadcast, kNeverForwarded };

  [[gnu::noinline]] void decide(Batch& batch, uint32_t i, AdjacencyKind kind, bool forwarding) {
    Packet& p = batch[i];
    if (kind != AdjacencyKind::Local && p.interface != kLocalInterface &&
        (!forwarding || is_link_multicast(p))) {
      batch.drop(i, forwarding ? kLinkBroadcast : kNotForwarding);
      return;
    }
    switch (kind) {
      case AdjacencyKind::Rewrite: batch.send(i, kRewrite); break;
      case AdjacencyKind::Local: batch.send(i, kLocalArc); break;
      case AdjacencyKind::Glean:
      case AdjacencyKind::Incomplete: batch.send(i, kArp); break;
      case AdjacencyKind::LinkScope:
      case AdjacencyKind::Drop: batch.drop(i, kNeverForwarded); break;
      case AdjacencyKind::Balance:
        p.flow_hash = flow_hash4(p);
        p.adjacency = pick_way(stack_.adjacencies, p);
        decide(batch, i, stack_.adjacencies[p.adjacency].kind, forwarding);
        break;
      case AdjacencyKind::NoRoute:
        batch.blame(i, kNoRouteError);
        note_icmp(p, {3, 0, 0});  // Network unreachable.
        batch.send(i, kIcmpError);
        break;
    }
  }
  Stack& stack_;
};

// Lowers the TTL, holds the packet to the MTU, and puts the neighbour's Ethernet header before it.
class Ip4Rewrite final : public Node {
 public:
  explicit Ip4Rewrite(Stack& stack)
      : Node({.name = "ip4-rewrite",
              .next = std::vector<std::string>{"ip4-icmp-error", "ip4-frag"} +
                      features_after(FeatureArc::Ip4Output, -1),
              .errors = {{"mtu_exceeded", Severity::Error, "ip4 MTU exceeded and DF set"},
                         {"gone", Severity::Error, "adjacency gone"},
                         {"bad_option", Severity::Error, "ip4 option's places make no sense"}}}),
        stack_(stack) {}

  void process(Batch& batch) override {
    rewrite_all(stack_.adjacencies, batch, kFeatures,
                [&](uint32_t i, Packet& p, Adjacency& a, bool is_usual) {
                  uint8_t* ip = p.data();
                  const bool is_own = p.interface == kLocalInterface;
                  if (!is_usual | (ip[8] <= 1) | (ip[0] != 0x45) | is_own) {
                    return (is_usual && is_own) || look_closely(batch, i, a);
                  }
                  lower_ttl(ip);
                  return true;
                });
  }
  std::string account(const Packet& p) const override {
    const Adjacency& a = stack_.adjacencies[p.adjacency];
    return fmt::format("tx_sw_if_index {} dpo-idx {} : {}", a.interface, p.adjacency,
                       describe_adjacency(stack_, p.adjacency));
  }

 private:
  // Behind the first two the arc of output features, at its end interface-output.
  enum : Arc { kIcmpError = 1, kFrag, kFeatures };
  enum : uint16_t { kMtuExceeded, kGone, kBadOption };

  // RFC 1624, for a header that was checked.
  static void lower_ttl(uint8_t* ip) {
    uint16_t word;
    std::memcpy(&word, ip + 10, 2);
    // The TTL is the high byte of its word; the checksum of a sound header is never 0xffff.
    uint32_t sum = uint32_t{word} + net::swap16(0x0100);
    sum += sum >= 0xffff;
    word = static_cast<uint16_t>(sum);
    std::memcpy(ip + 10, &word, 2);
    --ip[8];
  }

  // False when the packet goes another way.
  [[gnu::noinline]] bool look_closely(Batch& batch, uint32_t i, Adjacency& a) {
    Packet& p = batch[i];
    if (a.kind != AdjacencyKind::Rewrite) {
      batch.drop(i, kGone);
      return false;
    }
    if (p.interface != kLocalInterface) {
      if (p.data()[8] <= 1) {
        expire4(stack_, p);
        batch.send(i, kIcmpError);
        return false;
      }
      lower_ttl(p.data());
      if (p.data()[0] != 0x45 && !fill_options(batch, i, a)) return false;
    }
    if (wire_size(p) > a.mtu && !fit(batch, i, a)) return false;
    if (a.notice_use) stack_.arp->notice_use(p.adjacency);
    return true;
  }
  // False when an option's places make no sense: an ICMP error says which byte (RFC 791).
  bool fill_options(Batch& batch, uint32_t i, const Adjacency& a) {
    Packet& p = batch[i];
    const net::IpAddress* own =
        stack_.interfaces[a.interface].source_for(stack_.adjacencies.next_hop(p.adjacency));
    if (own == nullptr) return true;  // There is nothing to sign with.
    const auto day = stack_.loop.now().time_since_epoch() % 24h;
    const uint32_t fault = fill_ip4_options(
        p.head().first((p.data()[0] & 15u) * 4),
        {own->v4(), [&](Ip4 address) { return stack_.is_local(address, stack_.vrf_of(p)); },
         static_cast<uint32_t>(day / 1ms)});
    if (fault == 0) return true;
    batch.blame(i, kBadOption);
    note_icmp(p, {12, 0, static_cast<uint16_t>(fault)});
    batch.send(i, kIcmpError);
    return false;
  }
  // Too big for the next link: cut, or refused when it must not be (RFC 1191 section 4).
  bool fit(Batch& batch, uint32_t i, const Adjacency& a) {
    Packet& p = batch[i];
    if ((p.data()[6] & 0x40) == 0) {
      batch.send(i, kFrag);
      return false;
    }
    batch.blame(i, kMtuExceeded);
    note_icmp(p, {3, 4, static_cast<uint16_t>(std::min(a.mtu, 0xffffu))});
    batch.send(i, kIcmpError);
    return false;
  }
  Stack& stack_;
};

}  // namespace

void expire4(Stack& stack, Packet& p) {
  stack.graph.blame(stack.node.ip4_input, kTtlExpired, p);
  note_icmp(p, {11, 0, 0});
}

void add_ip4_nodes(Stack& stack) {
  stack.node.ip4_input = stack.graph.add(std::make_unique<Ip4Input>(stack)).index();
  stack.node.ip4_lookup = stack.graph.add(std::make_unique<Ip4Lookup>(stack)).index();
  stack.node.ip4_rewrite = stack.graph.add(std::make_unique<Ip4Rewrite>(stack)).index();
}

}  // namespace wh::vnet
