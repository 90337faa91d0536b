// ip4-arp and ip6-discover-neighbor: the same node for both families. It gives each packet whose
// neighbour is not resolved to the neighbour's entry, where it waits; and what the entry does with
// it later is booked here too.
#pragma once

#include "vnet/nodes.h"

namespace wh::vnet {

class ResolveNode final : public graph::Node {
 public:
  enum : uint16_t { kTableFull, kOverflow, kUnresolved, kHeld, kGone };

  ResolveNode(Stack& stack, net::Family family);
  void process(graph::Batch& batch) override;
  std::string account(const net::Packet& packet) const override;

 private:
  static constexpr graph::Arc kIcmpError = 1;

  bool expire(net::Packet& packet) const;
  net::IpAddress target_of(const net::Packet& packet) const;
  Stack& stack_;
  net::Family family_;
};

// What a neighbour table of this family does with packets and headers; `rules` and `ask` are left
// to be set.
NeighbourTable::Actions resolve_actions(Stack& stack, net::Family family);

}  // namespace wh::vnet
