// ip6-input, ip6-lookup, ip6-link-local and ip6-rewrite: the IPv6 path that every packet takes.
//
// As in IPv4 a packet's data() is at its IP header all the way. Link-local and multicast addresses
// mean something only with an interface, so the FIB answers "link scope" for them and
// ip6-link-local finds the rest: for a packet that came in, its own interface; for one made here,
// the interface that has its source address.
#include "net/wire/describe.h"
#include "net/wire/ethernet.h"
#include "net/wire/icmp6.h"
#include "vnet/flow_hash.h"
#include "vnet/lookup.h"
#include "vnet/nd_message.h"
#include "vnet/nodes.h"

namespace wh::vnet {
namespace {

using graph::Arc;
using graph::Batch;
using graph::ErrorSpec;
using graph::Node;
using graph::Severity;
using net::Icmp6Type;
using net::Ip6;
using net::Ip6Header;
using net::Ip6View;
using net::Packet;

Ip6 source_of(const Packet& p) {
  return address_at(p, 8);
}
Ip6 destination_of(const Packet& p) {
  return address_at(p, 24);
}
bool is_loopback(const Ip6& a) {
  Ip6 one;
  one.bytes[15] = 1;
  return a == one;
}

// Counted as ip6-input's, though ip6-rewrite finds it.
constexpr uint16_t kHopLimit = net::kIp6FaultNames.size();

// Validation (RFC 8200 section 3, RFC 4291 sections 2.5.2, 2.5.3 and 2.7).
class Ip6Input final : public Node {
 public:
  explicit Ip6Input(Stack& stack)
      : Node({.name = "ip6-input",
              .next = features_after(FeatureArc::Ip6Input, -1),
              .errors = errors_of(net::kIp6FaultNames) +
                        std::vector<ErrorSpec>{
                            {"hop_limit", Severity::Error, "ip6 hop limit <= 1"},
                            {"bad_source", Severity::Error, "ip6 source is no host"},
                            {"bad_destination", Severity::Error, "ip6 destination is no host"}}}),
        stack_(stack) {}

  void process(Batch& batch) override {
    const auto packets = batch.packets();
    const auto size = static_cast<uint32_t>(packets.size());
    for (uint32_t i = 1; i < std::min(size, kAhead); ++i) fetch(*packets[i]);
    uint32_t begin = 0;  // Of a run of packets that came by one interface.
    while (begin < size) {
      const uint16_t interface = packets[begin]->interface;
      InterfaceEntry& entry = stack_.interfaces[interface];
      const auto next =
          static_cast<Arc>(1 + feature_after(FeatureArc::Ip6Input, -1, entry.features[kArc]));
      uint32_t i = begin;
      for (; i < size && packets[i]->interface == interface; ++i) {
        if (i + kAhead < size) fetch(*packets[i + kAhead]);
        Packet& p = *packets[i];
        if (!is_plain(p) && !look_closely(batch, i)) continue;
        const uint8_t* ip = p.data();
        p.l4_offset = Ip6Header::kSize;
        p.ecn = static_cast<uint8_t>(ip[1] >> 4 & 3);
        batch.send(i, next);
      }
      entry.ip6 += i - begin;
      begin = i;
    }
  }
  std::string account(const Packet& p) const override { return net::describe_ip(p); }

 private:
  static constexpr size_t kArc = static_cast<size_t>(FeatureArc::Ip6Input);
  static constexpr uint32_t kAhead = 8;  // Packets between asking for a header and reading it.
  enum : uint16_t { kBadSource = kHopLimit + 1, kBadDestination };

  static void fetch(const Packet& p) {
    __builtin_prefetch(&p);
    __builtin_prefetch(p.headers_at());
  }

  // Whether a packet passes at a glance: without padding, between unicast addresses that do not
  // begin with a zero byte.
  static bool is_plain(const Packet& p) {
    if (p.head_size() < Ip6Header::kSize) return false;
    const uint8_t* ip = p.data();
    return (ip[0] >> 4 == 6) & (net::load16(ip + 4) + Ip6Header::kSize == p.size()) &
           (ip[8] != 0xff) & (ip[8] != 0) & (ip[24] != 0xff) & (ip[24] != 0);
  }

  // False when the packet was dropped.
  static bool look_closely(Batch& batch, uint32_t i) {
    Packet& p = batch[i];
    pullup_most(p, Ip6Header::kSize);
    const auto ip = Ip6View::parse(p.head(), p.size());
    if (!ip) {
      batch.drop(i, static_cast<uint16_t>(ip.fault()));
      return false;
    }
    const Ip6 source = ip->source(), destination = ip->destination();
    if (source.is_multicast() || is_loopback(source) || source.is_v4_mapped()) {
      batch.drop(i, kBadSource);
      return false;
    }
    // Scopes 0 and 1 never leave a host.
    if (destination.is_unspecified() || is_loopback(destination) || destination.is_v4_mapped() ||
        (destination.is_multicast() && (destination.bytes[1] & 0xf) < 2)) {
      batch.drop(i, kBadDestination);
      return false;
    }
    if (ip->total_length() < p.size()) p.truncate(ip->total_length());
    return true;
  }
  Stack& stack_;
};

class Ip6Lookup final : public Node {
 public:
  explicit Ip6Lookup(Stack& stack)
      : Node({.name = "ip6-lookup",
              .next = {"ip6-local", "ip6-rewrite", "ip6-discover-neighbor", "ip6-icmp-error",
                       "ip6-link-local"},
              .errors = {{"no_route", Severity::Error, "ip6 no route"},
                         {"not_forwarding", Severity::Error, "ip6 forwarding is off"},
                         {"link_multicast", Severity::Error, "ip6 unicast in a link multicast"},
                         {"never_forwarded", Severity::Error, "ip6 destination is never forwarded"},
                         {"scope_exceeded", Severity::Error, "ip6 source is not forwarded"}}}),
        stack_(stack) {}

  void process(Batch& batch) override {
    const auto packets = batch.packets();
    uint32_t values[net::Frame::kCapacity];
    const bool are_few = packets.size() <= kFew;
    if (!are_few) look_up_many<Key6>(stack_, packets, 24, values);
    const bool forwarding = stack_.settings.ip6_forwarding != 0;
    AdjacencyIndex last = kNoRoute;  // Often the same for many.
    AdjacencyKind kind = stack_.adjacencies[last].kind;
    for (uint32_t i = 0; i < packets.size(); ++i) {
      Packet& p = *packets[i];
      p.adjacency = Fib::adjacency_in(are_few ? look_up_alone<Key6>(stack_, p, 24) : values[i]);
      if (p.adjacency != last) {
        last = p.adjacency;
        kind = stack_.adjacencies[last].kind;
      }
      if (kind == AdjacencyKind::Rewrite &&
          (p.interface == kLocalInterface || may_forward(p, forwarding) == kMayForward)) {
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
  enum : Arc { kLocalArc = 1, kRewrite, kDiscover, kIcmpError, kLink };
  enum : uint16_t {
    kNotForwarding = kNoRouteError + 1,
    kLinkMulticast,
    kNeverForwarded,
    kScopeExceeded,
    kMayForward,
  };

  void decide(Batch& batch, uint32_t i, AdjacencyKind kind, bool forwarding) {
    Packet& p = batch[i];
    if (forwarding && (kind == AdjacencyKind::Glean || kind == AdjacencyKind::Incomplete) &&
        stack_.interfaces[stack_.adjacencies[p.adjacency].interface].is_subnet_router(
            destination_of(p))) {
      p.adjacency = kLocalMulticast;
      kind = AdjacencyKind::Local;
    }
    if (p.interface != kLocalInterface && kind != AdjacencyKind::Local &&
        kind != AdjacencyKind::LinkScope) {
      if (const uint16_t fault = may_forward(p, forwarding); fault != kMayForward) {
        batch.drop(i, fault);
        return;
      }
    }
    switch (kind) {
      case AdjacencyKind::Rewrite: batch.send(i, kRewrite); break;
      case AdjacencyKind::Local: batch.send(i, kLocalArc); break;
      case AdjacencyKind::Glean:
      case AdjacencyKind::Incomplete: batch.send(i, kDiscover); break;
      case AdjacencyKind::LinkScope: batch.send(i, kLink); break;
      case AdjacencyKind::Drop: batch.drop(i, kNeverForwarded); break;
      case AdjacencyKind::Balance:
        p.flow_hash = flow_hash6(p);
        p.adjacency = pick_way(stack_.adjacencies, p);
        decide(batch, i, stack_.adjacencies[p.adjacency].kind, forwarding);
        break;
      case AdjacencyKind::NoRoute:
        batch.blame(i, kNoRouteError);
        note_icmp(p, {static_cast<uint8_t>(Icmp6Type::Unreachable), net::kIcmp6NoRoute, 0});
        batch.send(i, kIcmpError);
        break;
    }
  }
  static uint16_t may_forward(const Packet& p, bool forwarding) {
    if (!forwarding) return kNotForwarding;
    if (is_link_multicast(p)) return kLinkMulticast;
    // Most begin with neither fe nor 00.
    const uint8_t first = p.data()[8];
    if (first != 0xfe && first != 0) return kMayForward;
    const Ip6 source = source_of(p);
    return source.is_link_local() || source.is_unspecified() ? kScopeExceeded : kMayForward;
  }
  Stack& stack_;
};

// Link-local unicast and multicast, in and out.
class Ip6LinkLocal final : public Node {
 public:
  explicit Ip6LinkLocal(Stack& stack)
      : Node({.name = "ip6-link-local",
              .next = {"ip6-local", "ip6-rewrite", "ip6-discover-neighbor", "interface-output"},
              .errors = {{"not_joined", Severity::Info, "ip6 multicast group not joined"},
                         {"not_ours", Severity::Error, "ip6 link-local address is not ours"},
                         {"no_interface", Severity::Error, "ip6 link scope without interface"},
                         {"table_full", Severity::Error, "neighbor table full"}}}),
        stack_(stack) {}

  void process(Batch& batch) override {
    for (uint32_t i = 0; i < batch.size(); ++i) {
      if (batch[i].interface != kLocalInterface) {
        receive(batch, i);
      } else {
        transmit(batch, i);
      }
    }
  }
  std::string account(const Packet& p) const override { return net::describe_ip(p); }

 private:
  enum : Arc { kLocalArc = 1, kRewrite, kDiscover, kOutput };
  enum : uint16_t { kNotJoined, kNotOurs, kNoInterface, kTableFull };

  void receive(Batch& batch, uint32_t i) {
    Packet& p = batch[i];
    const Ip6 destination = destination_of(p);
    const InterfaceEntry& entry = stack_.interfaces[p.interface];
    const bool multicast = destination.is_multicast();
    if (multicast ? !is_joined(entry, destination) : entry.find(destination) == nullptr) {
      batch.drop(i, multicast ? kNotJoined : kNotOurs);
      return;
    }
    p.adjacency = multicast ? kLocalMulticast : kLocal;
    batch.send(i, kLocalArc);
  }
  // Who forwards is of the groups of routers on every link, and of those of the anycast addresses
  // that it shares with them (RFC 4291 section 2.8).
  bool is_joined(const InterfaceEntry& entry, const Ip6& group) const {
    return entry.has_joined(group) ||
           (stack_.settings.ip6_forwarding != 0 &&
            (group == all_routers() || group == all_routers(5) || entry.solicits_router(group)));
  }

  // By which interface a packet made here leaves: an answer by the one that the question came by,
  // any other by the one that has its source; of several that have it, by the one where its
  // destination is known. kLocalInterface when none has it.
  uint16_t interface_for(const Packet& p, const Ip6& destination) const {
    if (p.rx_interface != kLocalInterface) {
      const bool is_there = stack_.interfaces[p.rx_interface].device != nullptr;
      return is_there ? p.rx_interface : kLocalInterface;
    }
    const net::IpAddress source = source_of(p);
    const uint16_t* owner = stack_.interfaces.owner(source);
    if (owner == nullptr) return kLocalInterface;
    if (!source.is_link_local() || stack_.nd->find(*owner, destination) != nullptr) return *owner;
    for (uint16_t i = 1; i < stack_.interfaces.size(); ++i) {
      if (!stack_.interfaces[i].owns(source)) continue;
      if (stack_.nd->find(i, destination) != nullptr) return i;
    }
    return *owner;
  }

  void transmit(Batch& batch, uint32_t i) {
    Packet& p = batch[i];
    const Ip6 destination = destination_of(p);
    const uint16_t interface = interface_for(p, destination);
    if (interface == kLocalInterface) {
      batch.drop(i, kNoInterface);
      return;
    }
    InterfaceEntry& entry = stack_.interfaces[interface];
    if (destination.is_multicast()) {
      put_multicast_header(p, entry, destination);
      batch.send(i, kOutput);
    } else if (entry.find(destination) != nullptr) {
      p.adjacency = kLocal;
      batch.send(i, kLocalArc);
    } else if (Neighbour* n = stack_.nd->get(entry.index, entry.mtu(), destination)) {
      p.adjacency = n->adjacency();
      batch.send(i, n->is_resolved() ? kRewrite : kDiscover);
    } else {
      batch.drop(i, kTableFull);
    }
  }

  // 33:33 and the last four bytes of the group (RFC 2464 section 7).
  static void put_multicast_header(Packet& p, const InterfaceEntry& entry, const Ip6& group) {
    net::EthernetHeader header{.type = net::EtherType::Ip6};
    header.destination.bytes = {0x33, 0x33};
    std::memcpy(header.destination.bytes.data() + 2, group.bytes.data() + 12, 4);
    if (entry.device != nullptr) header.source = entry.device->mac();
    header.emit({p.push(header.size()), header.size()});
    p.l2_size = 0;
    p.l3_offset = static_cast<uint16_t>(header.size());
    p.l4_offset = static_cast<uint16_t>(p.l4_offset + header.size());
    p.interface = entry.index;
  }
  Stack& stack_;
};

// Lowers the hop limit, holds the packet to the MTU, and puts the neighbour's Ethernet header
// before it.
class Ip6Rewrite final : public Node {
 public:
  explicit Ip6Rewrite(Stack& stack)
      : Node({.name = "ip6-rewrite",
              .next = std::vector<std::string>{"ip6-icmp-error", "ip6-frag"} +
                      features_after(FeatureArc::Ip6Output, -1),
              .errors = {{"mtu_exceeded", Severity::Error, "ip6 MTU exceeded"},
                         {"gone", Severity::Error, "adjacency gone"}}}),
        stack_(stack) {}

  void process(Batch& batch) override {
    rewrite_all(stack_.adjacencies, batch, kFeatures,
                [&](uint32_t i, Packet& p, Adjacency& a, bool is_usual) {
                  uint8_t* ip = p.data();
                  if (!is_usual | (ip[7] <= 1) | (p.interface == kLocalInterface)) {
                    return look_closely(batch, i, a);
                  }
                  --ip[7];
                  return true;
                });
  }
  std::string account(const Packet& p) const override {
    return fmt::format("tx_sw_if_index {} adj-idx {} : {}", p.interface, p.adjacency,
                       describe_adjacency(stack_, p.adjacency));
  }

 private:
  // Behind the first two the arc of output features, at its end interface-output.
  enum : Arc { kIcmpError = 1, kFrag, kFeatures };
  enum : uint16_t { kMtuExceeded, kGone };

  // False when the packet goes another way.
  bool look_closely(Batch& batch, uint32_t i, Adjacency& a) {
    Packet& p = batch[i];
    if (a.kind != AdjacencyKind::Rewrite) {
      batch.drop(i, kGone);
      return false;
    }
    if (p.interface != kLocalInterface && !lower_hop_limit(batch, i)) return false;
    if (wire_size(p) > a.mtu && !fit(batch, i, a)) return false;
    if (a.notice_use) stack_.nd->notice_use(p.adjacency);
    return true;
  }
  bool lower_hop_limit(Batch& batch, uint32_t i) {
    Packet& p = batch[i];
    if (p.data()[7] <= 1) {
      expire6(stack_, p);
      batch.send(i, kIcmpError);
      return false;
    }
    --p.data()[7];
    return true;
  }
  // Only the source cuts (RFC 8200 section 4.5), and TCP sizes its segments itself.
  bool fit(Batch& batch, uint32_t i, const Adjacency& a) {
    Packet& p = batch[i];
    if (p.interface == kLocalInterface && p.gso_size == 0 && p.data()[6] != net::kProtocolTcp) {
      batch.send(i, kFrag);
      return false;
    }
    batch.blame(i, kMtuExceeded);
    note_icmp(p, {static_cast<uint8_t>(Icmp6Type::PacketTooBig), 0,
                  static_cast<uint16_t>(std::min(a.mtu, 0xffffu))});
    batch.send(i, kIcmpError);
    return false;
  }
  Stack& stack_;
};

}  // namespace

void expire6(Stack& stack, Packet& p) {
  stack.graph.blame(stack.node.ip6_input, kHopLimit, p);
  note_icmp(p, {static_cast<uint8_t>(Icmp6Type::TimeExceeded), net::kIcmp6HopLimitExceeded, 0});
}

void add_ip6_nodes(Stack& stack) {
  stack.node.ip6_input = stack.graph.add(std::make_unique<Ip6Input>(stack)).index();
  stack.node.ip6_lookup = stack.graph.add(std::make_unique<Ip6Lookup>(stack)).index();
  stack.node.ip6_link_local = stack.graph.add(std::make_unique<Ip6LinkLocal>(stack)).index();
  stack.node.ip6_rewrite = stack.graph.add(std::make_unique<Ip6Rewrite>(stack)).index();
}

}  // namespace wh::vnet
