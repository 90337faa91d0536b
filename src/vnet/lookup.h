// What ip4-lookup and ip6-lookup share: a batch's destinations looked up together.
#pragma once

#include "vnet/nodes.h"

namespace wh::vnet {

// The adjacency of each packet of a batch, by its destination at `offset` and the VRF of the
// interface it came by.
template <class Key>
void look_up(const Stack& stack, graph::Batch& batch, uint32_t offset, AdjacencyIndex* found) {
  constexpr net::Family kFamily = Key::kBits == 32 ? net::Family::V4 : net::Family::V6;
  Key keys[net::Frame::kCapacity];
  const uint32_t size = batch.size();
  for (uint32_t i = 0; i < size; ++i) keys[i] = Key::load(batch[i].data() + offset);
  uint32_t begin = 0;  // Of a run of packets of one VRF.
  while (begin < size) {
    uint16_t vrf = 0;
    uint32_t end = size;
    if (stack.vrfs.size() > 1) {
      vrf = stack.vrf_of(batch[begin]);
      end = begin + 1;
      while (end < size && stack.vrf_of(batch[end]) == vrf) ++end;
    }
    stack.fib(kFamily, vrf).lookup(std::span<const Key>(keys + begin, end - begin), found + begin);
    begin = end;
  }
}

// The way that a packet's flow takes of a balance, by its flow_hash.
inline AdjacencyIndex pick_way(AdjacencyTable& adjacencies, const net::Packet& p) {
  Adjacency& balance = adjacencies[p.adjacency];
  ++balance.packets;
  balance.bytes += p.size();
  return adjacencies.pick(p.adjacency, p.flow_hash);
}

}  // namespace wh::vnet
