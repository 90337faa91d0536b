// ip4-input, ip4-lookup and ip4-rewrite: the IPv4 path that every packet takes.
//
// A packet's data() is at its IP header from ip4-input to ip4-rewrite. One that this host made has
// interface local0 and enters at ip4-lookup: its TTL is not lowered, and forwarding need not be on
// for it.
#include "net/wire/describe.h"
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

// Validation (RFC 1122 section 3.2.1, RFC 1812 section 5.2.2): what passes is a whole packet from a
// plausible source, without padding.
class Ip4Input final : public Node {
 public:
  explicit Ip4Input(Stack& stack)
      : Node({.name = "ip4-input",
              .next = {"ip4-lookup"},
              .errors = errors_of(net::kIp4FaultNames) +
                        std::vector<ErrorSpec>{
                            {"bad_source", Severity::Error, "ip4 source is no host"},
                            {"bad_destination", Severity::Error, "ip4 destination is no host"},
                            {"source_route", Severity::Error, "ip4 source route refused"}}}),
        stack_(stack) {}

  void process(Batch& batch) override {
    batch.send_all(kLookup);
    for (uint32_t i = 0; i < batch.size(); ++i) {
      Packet& p = batch[i];
      ++stack_.interfaces[p.interface].ip4;
      if (p.head_size() < Ip4Header::kMinSize || p.head_size() < (p.data()[0] & 15u) * 4) {
        pullup_most(p, Ip4Header::kMaxSize);
      }
      const auto ip = Ip4View::parse(p.head(), p.size());
      if (!ip) {
        batch.drop(i, static_cast<uint16_t>(ip.fault()));
        continue;
      }
      if (const uint16_t fault = judge(*ip); fault != kSound) {
        batch.drop(i, fault);
        continue;
      }
      if (ip->total_length() < p.size()) p.truncate(ip->total_length());
      p.l4_offset = static_cast<uint16_t>(ip->header_size());
      p.ecn = ip->ecn();
    }
  }
  std::string account(const Packet& p) const override { return net::describe_ip(p); }

 private:
  enum : Arc { kLookup = 1 };
  enum : uint16_t {
    kBadSource = net::kIp4FaultNames.size(),
    kBadDestination,
    kSourceRoute,
    kSound,
  };

  static uint16_t judge(const Ip4View& ip) {
    const Ip4 source = ip.source(), destination = ip.destination();
    if (source.is_multicast() || source.is_broadcast() || source.is_loopback()) return kBadSource;
    if (destination.is_loopback() || destination.value == 0) return kBadDestination;
    if (ip.header_size() > Ip4Header::kMinSize && has_source_route(ip.options())) {
      return kSourceRoute;
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
    const bool forwarding = stack_.settings.ip_forwarding != 0;
    for (uint32_t i = 0; i < batch.size(); ++i) {
      Packet& p = batch[i];
      p.adjacency = stack_.fib4.lookup(p.data() + 16);
      const AdjacencyKind kind = stack_.adjacencies[p.adjacency].kind;
      if (kind != AdjacencyKind::Local && p.interface != kLocalInterface &&
          (!forwarding || is_link_multicast(p))) {
        batch.drop(i, forwarding ? kLinkBroadcast : kNotForwarding);
        continue;
      }
      switch (kind) {
        case AdjacencyKind::Rewrite: batch.send(i, kRewrite); break;
        case AdjacencyKind::Local: batch.send(i, kLocalArc); break;
        case AdjacencyKind::Glean:
        case AdjacencyKind::Incomplete: batch.send(i, kArp); break;
        case AdjacencyKind::LinkScope:
        case AdjacencyKind::Drop: batch.drop(i, kNeverForwarded); break;
        case AdjacencyKind::NoRoute:
          batch.blame(i, kNoRouteError);
          note_icmp(p, {3, 0, 0});  // Network unreachable.
          batch.send(i, kIcmpError);
          break;
      }
    }
  }
  std::string account(const Packet& p) const override {
    return fmt::format("fib 0 dpo-idx {} flow hash: 0x{:08x}\n{}", p.adjacency, p.flow_hash,
                       net::describe_ip(p));
  }

 private:
  enum : Arc { kLocalArc = 1, kRewrite, kArp, kIcmpError };
  enum : uint16_t { kNoRouteError, kNotForwarding, kLinkBroadcast, kNeverForwarded };
  Stack& stack_;
};

// Lowers the TTL, holds the packet to the MTU, and puts the neighbour's Ethernet header before it.
class Ip4Rewrite final : public Node {
 public:
  explicit Ip4Rewrite(Stack& stack)
      : Node({.name = "ip4-rewrite",
              .next = {"interface-output", "ip4-icmp-error", "ip4-frag"},
              .errors = {{"ttl_expired", Severity::Error, "ip4 ttl <= 1"},
                         {"mtu_exceeded", Severity::Error, "ip4 MTU exceeded and DF set"},
                         {"gone", Severity::Error, "adjacency gone"}}}),
        stack_(stack) {}

  void process(Batch& batch) override {
    for (uint32_t i = 0; i < batch.size(); ++i) {
      Packet& p = batch[i];
      Adjacency& a = stack_.adjacencies[p.adjacency];
      if (a.kind != AdjacencyKind::Rewrite) {
        batch.drop(i, kGone);
        continue;
      }
      if (p.interface != kLocalInterface && !lower_ttl(batch, i)) continue;
      if (wire_size(p) > a.mtu && !fit(batch, i, a)) continue;
      if (a.notice_use) stack_.arp->notice_use(p.adjacency);
      put_rewrite(p, a);
      batch.send(i, kOutput);
    }
  }
  std::string account(const Packet& p) const override {
    const Adjacency& a = stack_.adjacencies[p.adjacency];
    return fmt::format("tx_sw_if_index {} dpo-idx {} : {}", a.interface, p.adjacency,
                       describe_adjacency(stack_, p.adjacency));
  }

 private:
  enum : Arc { kOutput = 1, kIcmpError, kFrag };
  enum : uint16_t { kTtlExpired, kMtuExceeded, kGone };

  bool lower_ttl(Batch& batch, uint32_t i) {
    Packet& p = batch[i];
    if (p.data()[8] <= 1) {
      batch.blame(i, kTtlExpired);
      note_icmp(p, {11, 0, 0});
      batch.send(i, kIcmpError);
      return false;
    }
    net::decrement_ttl(p.head());
    return true;
  }
  // Too big for the next link: cut, or refused when it must not be (RFC 1191 section 4).
  bool fit(Batch& batch, uint32_t i, const Adjacency& a) {
    Packet& p = batch[i];
    if ((p.data()[6] & 0x40) == 0 && p.gso_size == 0) {
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

void add_ip4_nodes(Stack& stack) {
  stack.graph.add(std::make_unique<Ip4Input>(stack));
  stack.node.ip4_lookup = stack.graph.add(std::make_unique<Ip4Lookup>(stack)).index();
  stack.node.ip4_rewrite = stack.graph.add(std::make_unique<Ip4Rewrite>(stack)).index();
}

}  // namespace wh::vnet
