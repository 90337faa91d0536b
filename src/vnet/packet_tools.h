// Small things that several nodes do to packets.
#pragma once

#include <algorithm>
#include <cstring>
#include <optional>
#include <span>

#include "net/ip_service.h"
#include "net/packet.h"
#include "net/segment.h"
#include "net/wire/ip4.h"
#include "net/wire/ip6.h"
#include "vnet/adjacency.h"

namespace wh::vnet {

// Whether a packet that came in and still has its link header before data() was sent to all or many
// on its link (RFC 1122 section 3.3.6: such a packet is never forwarded and never answered with an
// error).
inline bool is_link_multicast(const net::Packet& packet) {
  return packet.l2_size != 0 && (*(packet.data() - packet.l2_size) & 1) != 0;
}

// What an ICMP error node is to say, noted on the packet on its way there (in Packet::icmp_note).
struct IcmpNote {
  uint8_t type = 0, code = 0;
  uint16_t value = 0;  // Next-hop MTU, or the pointer of a parameter problem.
};
inline void note_icmp(net::Packet& packet, IcmpNote note) {
  packet.icmp_note = uint32_t{note.type} << 24 | uint32_t{note.code} << 16 | note.value;
}
inline IcmpNote noted_icmp(const net::Packet& packet) {
  return {static_cast<uint8_t>(packet.icmp_note >> 24),
          static_cast<uint8_t>(packet.icmp_note >> 16), static_cast<uint16_t>(packet.icmp_note)};
}

// The IPv6 address at an offset from data(). REQUIRES: 16 contiguous bytes there.
inline net::Ip6 address_at(const net::Packet& packet, uint32_t offset) {
  net::Ip6 address;
  std::memcpy(address.bytes.data(), packet.data() + offset, address.bytes.size());
  return address;
}

// Makes the first n bytes contiguous, or as many as the packet has and the head can hold.
inline void pullup_most(net::Packet& packet, uint32_t n) {
  if (n <= packet.head_size()) return;
  packet.pullup(std::min({n, packet.size(), packet.head_size() + packet.tailroom()}));
}

// The size of the largest IP packet that will leave for this one: itself, or its largest segment.
inline uint32_t wire_size(const net::Packet& packet) {
  const uint32_t size = packet.size();
  if (packet.gso_size == 0) return size;
  const uint8_t* ip = packet.data();
  const uint32_t at = packet.l4_offset;
  if ((ip[0] >> 4 == 4 ? ip[9] : ip[6]) == net::kProtocolUdp) {
    return std::min(size, at + 8u + packet.gso_size);
  }
  const uint32_t tcp_size = packet.head_size() > at + 12u ? ip[at + 12] / 16 * 4u : 0;
  return std::min(size, at + tcp_size + packet.gso_size);
}

// Where the transport header of a packet is whose checksum or segments are still to be made.
// Nothing when the packet cannot be what it claims: a device may pass on what a stranger wrote.
// Makes the header and its checksum field contiguous. `ip_at` is where the IP header begins.
struct TransportPlace {
  uint8_t protocol = 0;
  uint32_t offset = 0, end = 0;  // From data().
};
std::optional<TransportPlace> find_offloaded(net::Packet& packet, uint32_t ip_at);

// Completes a checksum that is Needed. False when the packet is not sound enough to be given one.
bool try_complete_checksum(net::Packet& packet, uint32_t ip_at);

// An adjacency's link header, to be put before packets. data() is at it then, and the packet's
// interface the outgoing one.
class LinkHeader {
 public:
  explicit LinkHeader(const Adjacency& a) : interface_(a.interface), size_(a.rewrite_size) {
    std::memcpy(bytes_, a.rewrite.data(), sizeof bytes_);
  }
  void put(net::Packet& p) const {
    uint8_t* header = p.push(size_);
    if (size_ == 14) {  // Of a known size the copy needs no call.
      std::memcpy(header, bytes_, 14);
    } else {
      std::memcpy(header, bytes_, size_);
    }
    p.l2_size = 0;
    p.l3_offset = size_;
    p.l4_offset = static_cast<uint16_t>(p.l4_offset + size_);
    p.interface = interface_;
  }

 private:
  uint8_t bytes_[Adjacency::kRewriteCapacity];
  uint16_t interface_, size_;
};

using net::append_range;

// Appends bytes, as many as fit in the head and the rest in a chunk. REQUIRES: no payload yet.
void append_bytes(net::Packet& to, std::span<const uint8_t> bytes);

}  // namespace wh::vnet
