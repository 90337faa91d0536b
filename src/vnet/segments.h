// A packet with gso_size, cut into what it stands for: TCP segments or UDP datagrams that differ
// only in a few header fields. Payload is referred to. Private to the room.
#pragma once

#include <optional>

#include "vnet/packet_tools.h"

namespace wh::vnet {

class Segments {
 public:
  static constexpr uint32_t kMost = 1024;  // More are not made of one packet.

  // Nothing when the packet cannot be what it claims. `ip_at` is where its IP header begins. The
  // packet stays, and stays as it is, until the last was made.
  static std::optional<Segments> of(net::Packet& whole, uint32_t ip_at);

  uint32_t count() const;
  bool is_done() const { return at_ == place_.end; }
  // The next, as its checksum's pseudo-header sum leaves it (Needed), with all that was noted of
  // the whole; nullptr when the pool is empty. REQUIRES: !is_done().
  net::PacketPtr next(net::PacketPool& pool);

 private:
  Segments(net::Packet& whole, uint32_t ip_at, const TransportPlace& place, uint32_t headers)
      : whole_(&whole), ip_at_(ip_at), place_(place), headers_(headers), at_(headers) {}

  void mend_transport(net::Packet& segment, const net::Piece& piece, uint32_t size) const;

  net::Packet* whole_;
  uint32_t ip_at_;
  TransportPlace place_;
  uint32_t headers_;  // Before the payload, from data().
  uint32_t at_;       // Where the next one's payload begins.
  uint32_t index_ = 0;
};

}  // namespace wh::vnet
