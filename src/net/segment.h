// What is shared by those who cut a long segment into the pieces that go onto the wire.
//
// A packet with gso_size stands for many that differ only in a few header fields. Whoever cuts one
// copies its headers, refers to the piece's payload, and mends what differs: lengths, IPv4's
// identification, TCP's sequence number and flags, checksums. The vnet's gso node does it for
// interfaces that do not, a device (host/tunnel.h) for segments that a tunnel carries.
#pragma once

#include <cstdint>

#include "net/checksum.h"
#include "net/packet.h"

namespace wh::net {

// One piece of many.
struct Piece {
  uint32_t index = 0;
  uint32_t offset = 0;  // Of its payload in the whole's.
  bool is_last = false;
};

// Appends bytes [offset, offset + size) of `from` to `to`: those in from's head are copied, those
// in its payload referred to. REQUIRES: they exist, `to` has no payload yet.
void append_range(Packet& to, const Packet& from, uint32_t offset, uint32_t size);

// The headers below were parsed, and are the whole's.

// The length of an IP header and all behind it; in IPv4 an identification of its own as well, and
// the header's checksum.
void mend_ip(uint8_t* ip, const Piece& piece, uint32_t total);
// Sequence number and flags: FIN and PSH belong to the last, CWR to the first (RFC 3168 section
// 6.1.2). The checksum is left as it is.
void mend_tcp(uint8_t* tcp, const Piece& piece);
// The pseudo-header's sum by the IP header that is at `ip`.
InternetSum pseudo_header_at(const uint8_t* ip, uint8_t protocol, uint32_t length);

}  // namespace wh::net
