// What the IPv4 and IPv6 nodes share: a batch's destinations looked up together, and its packets
// given their link headers.
#pragma once

#include "vnet/nodes.h"

namespace wh::vnet {

// What Fib::lookup says of each packet of a batch, by its destination at `offset` and the VRF of
// the interface it came by.
template <class Key>
void look_up_many(const Stack& stack, std::span<net::Packet* const> packets, uint32_t offset,
                  uint32_t* values) {
  constexpr net::Family kFamily = Key::kBits == 32 ? net::Family::V4 : net::Family::V6;
  const auto size = static_cast<uint32_t>(packets.size());
  Key keys[net::Frame::kCapacity];
  for (uint32_t i = 0; i < size; ++i) keys[i] = Key::load(packets[i]->data() + offset);
  uint32_t begin = 0;  // Of a run of packets of one VRF.
  while (begin < size) {
    uint16_t vrf = 0;
    uint32_t end = size;
    if (stack.vrfs.size() > 1) {
      vrf = stack.vrf_of(*packets[begin]);
      end = begin + 1;
      while (end < size && stack.vrf_of(*packets[end]) == vrf) ++end;
    }
    stack.fib(kFamily, vrf).lookup(std::span<const Key>(keys + begin, end - begin), values + begin);
    begin = end;
  }
}

// Up to so many packets are looked up one by one: in a lab one to three come together.
constexpr uint32_t kFew = 4;
template <class Key>
uint32_t look_up_alone(const Stack& stack, const net::Packet& packet, uint32_t offset) {
  constexpr net::Family kFamily = Key::kBits == 32 ? net::Family::V4 : net::Family::V6;
  const uint16_t vrf = stack.vrfs.size() > 1 ? stack.vrf_of(packet) : uint16_t{0};
  return stack.fib(kFamily, vrf).lookup_alone(Key::load(packet.data() + offset));
}

// Puts each packet's adjacency's rewrite before it and sends it on: by the arc `first` and what the
// adjacency says of features. `pass` makes the packet ready; false when it goes another way. It is
// told whether the adjacency wants no closer look at a packet of this size. Neighbouring packets
// often share their adjacency, which is then read and booked once for all of them.
template <class Pass>
[[gnu::always_inline]] inline void rewrite_all(AdjacencyTable& adjacencies, graph::Batch& batch,
                                               graph::Arc first, Pass pass) {
  const auto packets = batch.packets();
  const auto size = static_cast<uint32_t>(packets.size());
  uint32_t i = 0;
  while (i < size) {
    const AdjacencyIndex index = packets[i]->adjacency;
    Adjacency& a = adjacencies[index];
    const auto arc = static_cast<graph::Arc>(first + a.output);
    const uint32_t usual = a.kind == AdjacencyKind::Rewrite && !a.notice_use ? a.mtu : 0;
    const LinkHeader header(a);
    uint64_t sent = 0, bytes = 0;
    for (; i < size && packets[i]->adjacency == index; ++i) {
      net::Packet& p = *packets[i];
      const uint32_t packet_size = p.size();
      if (!pass(i, p, a, packet_size <= usual)) continue;
      ++sent;
      bytes += packet_size;
      header.put(p);
      batch.send(i, arc);
    }
    a.packets += sent;
    a.bytes += bytes;
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
