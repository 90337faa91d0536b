#include "vnet/replica.h"

#include <algorithm>

#include "vnet/acl.h"
#include "vnet/feature_node.h"

namespace wh::vnet {

using graph::Batch;
using graph::Node;
using graph::NodeIndex;
using graph::Severity;
using net::IpAddress;
using net::Packet;

namespace {

// What a replica does not do itself: the node before which its packets are handed off, and where
// the main vnet goes on.
struct Stop {
  const char* node;
  HandoffTo to;
};
constexpr std::array kStops = {
    Stop{"ethernet-input", HandoffTo::EthernetInput},  // Only while state is shared.
    Stop{"arp-input", HandoffTo::ArpInput},
    Stop{"l2-input", HandoffTo::L2Input},
    Stop{"ip4-local", HandoffTo::Ip4Local},
    Stop{"ip6-local", HandoffTo::Ip6Local},
    Stop{"ip6-link-local", HandoffTo::Ip6LinkLocal},
    // The main vnet's adjacencies have other numbers: it looks the destination up again.
    Stop{"ip4-arp", HandoffTo::Ip4Lookup},
    Stop{"ip6-discover-neighbor", HandoffTo::Ip6Lookup},
};

class HandoffNode final : public Node {
 public:
  HandoffNode(Handoff& handoff, Stop stop)
      : Node({.name = std::string("handoff-") + stop.node,
              .next = {stop.node},
              .errors = {{"handed_off", Severity::Info, "packets left to the main thread"},
                         {"full", Severity::Error, "main thread is too slow"}},
              .is_insertable = true}),
        handoff_(handoff),
        to_(stop.to) {}

  void process(Batch& batch) override {
    for (uint32_t i = 0; i < batch.size(); ++i) {
      if (!handoff_.take(batch[i], to_)) {
        batch.drop(i, kFull);
        continue;
      }
      batch.count(kHandedOff);
      batch.take(i);
    }
  }

 private:
  enum : uint16_t { kHandedOff, kFull = kHandoffFull };
  Handoff& handoff_;
  HandoffTo to_;
};

}  // namespace

void add_handoff_nodes(Stack& stack) {
  graph::Graph& graph = stack.graph;
  std::vector<NodeIndex> made;
  for (const Stop& stop : kStops) {
    made.push_back(graph.add(std::make_unique<HandoffNode>(*stack.handoff, stop)).index());
  }
  MUST(graph.link());  // Every stop is a node of the room.
  for (size_t i = 1; i < kStops.size(); ++i) {
    MUST(graph.insert(made[i], MUST(graph.index_of(kStops[i].node))));
  }
  // What is handed to these from outside a batch stops as well.
  stack.node.handoff_input = made[0];
  stack.node.l2_input = made[2];
  stack.node.ip4_local = made[3];
  stack.node.ip6_local = made[4];
}

void note_shared_state(Stack& stack) {
  bool shares = false;
  const auto& lists = stack.acls->lists();
  for (const auto& [number, list] : lists) {
    shares = shares || std::any_of(list.rules.begin(), list.rules.end(), [](const AclRule& rule) {
               return rule.action == AclAction::Reflect;
             });
  }
  for (uint16_t i = 1; i < stack.interfaces.size(); ++i) {
    for (const auto& [arc, name] : {std::pair(FeatureArc::Ip4Input, "nat44-out2in"),
                                    std::pair(FeatureArc::Ip4Input, "ip4-policer-input"),
                                    std::pair(FeatureArc::Ip4Output, "ip4-policer-output")}) {
      const uint8_t mask = stack.interfaces[i].features[static_cast<size_t>(arc)];
      shares = shares || (mask >> feature_position(arc, name) & 1) != 0;
    }
  }
  stack.shares_state = shares;
}

// --- of the main vnet ---

void set_discoveries(Vnet& vnet, Discoveries* discoveries) {
  vnet.stack().discoveries = discoveries;
}

void take_over(Vnet& vnet, net::PacketPtr packet, HandoffTo to) {
  Stack& stack = vnet.stack();
  // The interface may have gone since.
  const auto gone = [&](uint16_t i) {
    return i != kLocalInterface && !stack.interfaces.attached(i);
  };
  if (gone(packet->interface) || gone(packet->rx_interface)) {
    stack.graph.drop(stack.node.interface_output, kOutputGone, std::move(packet));
    return;
  }
  const NodeIndex nodes[kHandoffs] = {
      stack.interfaces[packet->interface].input_node,
      stack.node.arp_input,
      stack.node.l2_input,
      stack.node.ip4_lookup,
      stack.node.ip6_lookup,
      stack.node.ip4_local,
      stack.node.ip6_local,
      stack.node.ip6_link_local,
      stack.node.interface_output,
  };
  stack.graph.enqueue(nodes[static_cast<size_t>(to)], std::move(packet));
}

void note_neighbour_use(Vnet& vnet, uint16_t interface, const IpAddress& address) {
  vnet.stack().neighbours(address.family).note_use(interface, address);
}

// --- of a replica ---

void mirror_neighbour(Vnet& vnet, uint16_t interface, const IpAddress& address,
                      const std::optional<net::MacAddress>& mac) {
  Stack& stack = vnet.stack();
  NeighbourTable& table = stack.neighbours(address.family);
  if (!stack.interfaces.attached(interface)) return;  // It goes, and its neighbours with it.
  if (mac) {
    // A table that is full leaves the packets to the main vnet.
    (void)table.set_static(interface, stack.interfaces[interface].mtu(), address, *mac);
  } else if (table.find(interface, address) != nullptr) {
    MUST(table.remove(interface, address));
  }
  stack.graph.run();
}

void mirror_address(Vnet& vnet, uint16_t interface, const net::Prefix& prefix, bool is_there) {
  // It was found good where it came from; a person may have set the same meanwhile.
  if (is_there) {
    if (!vnet.add_address(interface, prefix)) return;
    vnet.stack().interfaces[interface].find(prefix.address)->is_leased = true;
  } else {
    (void)vnet.remove_address(interface, prefix.address);
  }
}

void mirror_default_router(Vnet& vnet, uint16_t interface, net::Ip4 router, bool is_there) {
  if (is_there) {
    (void)vnet.add_dhcp_route(interface, router);  // As mirror_address().
  } else {
    vnet.remove_dhcp_route(interface);
  }
}

}  // namespace wh::vnet
