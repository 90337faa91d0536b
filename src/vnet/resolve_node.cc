#include "vnet/resolve_node.h"

#include "net/wire/ethernet.h"
#include "net/wire/icmp.h"
#include "net/wire/icmp6.h"
#include "vnet/replica.h"

namespace wh::vnet {

using graph::Batch;
using graph::Severity;
using net::EthernetHeader;
using net::EtherType;
using net::Family;
using net::Ip6;
using net::IpAddress;
using net::Packet;
using net::PacketPtr;

ResolveNode::ResolveNode(Stack& stack, Family family)
    : Node({.name = family == Family::V4 ? "ip4-arp" : "ip6-discover-neighbor",
            .next = {family == Family::V4 ? "ip4-icmp-error" : "ip6-icmp-error"},
            .errors = {{"table_full", Severity::Error, "neighbor table full"},
                       {"queue_full", Severity::Error, "pending queue full"},
                       {"unresolved", Severity::Error, "neighbor did not answer"},
                       {"held", Severity::Info, "packets held for resolution"},
                       {"gone", Severity::Warning, "interface deleted while a packet waited"}}}),
      stack_(stack),
      family_(family) {}

IpAddress ResolveNode::target_of(const Packet& p) const {
  const Adjacency& a = stack_.adjacencies[p.adjacency];
  if (a.kind != AdjacencyKind::Glean) return stack_.adjacencies.next_hop(p.adjacency);
  if (family_ == Family::V4) return net::Ip4{net::load32(p.data() + 16)};
  Ip6 destination;
  std::memcpy(destination.bytes.data(), p.data() + 24, 16);
  return destination;
}

void ResolveNode::process(Batch& batch) {
  NeighbourTable& table = stack_.neighbours(family_);
  for (uint32_t i = 0; i < batch.size(); ++i) {
    Packet& p = batch[i];
    if (expire(p)) {
      batch.send(i, kIcmpError);
      continue;
    }
    const Adjacency& a = stack_.adjacencies[p.adjacency];
    Neighbour* n = table.get(a.interface, a.mtu, target_of(p));
    if (n == nullptr) {
      batch.drop(i, kTableFull);
      continue;
    }
    batch.count(kHeld);
    table.resolve(*n, batch.take(i));
  }
}

// What could not go on if there were a neighbour asks for none.
bool ResolveNode::expire(Packet& p) const {
  const bool v4 = family_ == Family::V4;
  if (p.interface == kLocalInterface || p.data()[v4 ? 8 : 7] > 1) return false;
  v4 ? expire4(stack_, p) : expire6(stack_, p);
  return true;
}

std::string ResolveNode::account(const Packet& p) const {
  const uint16_t interface = stack_.adjacencies[p.adjacency].interface;
  return fmt::format("who has {} on {}", to_string(target_of(p)),
                     stack_.interfaces[interface].name);
}

NeighbourTable::Actions resolve_actions(Stack& stack, Family family) {
  const bool v4 = family == Family::V4;
  const auto node = v4 ? stack.node.ip4_arp : stack.node.ip6_discover;
  NeighbourTable::Actions actions;
  actions.send = [&stack, v4](PacketPtr p) {
    stack.graph.enqueue(v4 ? stack.node.ip4_rewrite : stack.node.ip6_rewrite, std::move(p));
  };
  actions.unreachable = [&stack, v4, node](PacketPtr p) {
    stack.graph.blame(node, ResolveNode::kUnresolved, *p);
    if (v4) {
      note_icmp(*p,
                {static_cast<uint8_t>(net::IcmpType::Unreachable), net::kIcmpHostUnreachable, 0});
    } else {
      note_icmp(*p, {static_cast<uint8_t>(net::Icmp6Type::Unreachable),
                     net::kIcmp6AddressUnreachable, 0});
    }
    stack.graph.enqueue(v4 ? stack.node.ip4_icmp_error : stack.node.ip6_icmp_error, std::move(p));
  };
  actions.overflow = [&stack, node](PacketPtr p) {
    stack.graph.drop(node, ResolveNode::kOverflow, std::move(p));
  };
  actions.displaced = [&stack, node](PacketPtr p) {
    stack.graph.drop(node, ResolveNode::kTableFull, std::move(p));
  };
  actions.gone = [&stack, node](PacketPtr p) {
    stack.graph.drop(node, ResolveNode::kGone, std::move(p));
  };
  actions.settle = [&stack, v4] {
    // The timer's own work is small; what it set in motion is booked by the nodes that do it.
    stack.graph.run_process(v4 ? stack.node.arp_timer : stack.node.nd_timer, [] {});
    stack.graph.run();
  };
  actions.fib = [&stack, family](uint16_t interface) -> Fib& {
    return stack.fib(family, stack.interfaces[interface].vrf);
  };
  actions.rewrite = [&stack, v4](const Neighbour& n, std::span<uint8_t> out) {
    const net::Interface* device = stack.interfaces[n.interface()].device;
    const EthernetHeader header{n.mac(), device != nullptr ? device->mac() : net::MacAddress{},
                                v4 ? EtherType::Ip4 : EtherType::Ip6};
    header.emit(out);
    return header.size();
  };
  actions.changed = [&stack](const Neighbour& n) {
    if (stack.discoveries == nullptr) return;
    stack.discoveries->neighbour(n.interface(), n.address(),
                                 n.is_resolved() ? std::optional(n.mac()) : std::nullopt);
  };
  if (stack.handoff != nullptr) {
    actions.used = [&stack](const Neighbour& n) {
      stack.handoff->note_use(n.interface(), n.address());
    };
  }
  return actions;
}

}  // namespace wh::vnet
