// Packets as one line of text each, in tcpdump's manner; used by the packet trace, transcripts and
// tests.
//
//   IP 10.0.0.1.33000 > 10.0.0.2.80: Flags [S], seq 7, win 65535, options [mss 1460], length 0
//   IP6 2001:db8::1 > 2001:db8::2: ICMP6, echo request, id 1, seq 1, length 64
//   ARP, Request who-has 10.0.0.2 tell 10.0.0.1
//
// What cannot be parsed is named by its fault in brackets: "IP [ip4 bad checksum]". Not for hot
// paths.
#pragma once

#include <span>
#include <string>

#include "net/packet.h"

namespace wh::net {

// Of bytes that begin with an Ethernet header, or with an IP header; `size` as in wire/wire.h.
std::string describe_ethernet(std::span<const uint8_t> head, size_t size);
std::string describe_ip(std::span<const uint8_t> head, size_t size);

// The same of a packet whose data() is at one or the other.
inline std::string describe_ethernet(const Packet& p) {
  return describe_ethernet(p.head(), p.size());
}
inline std::string describe_ip(const Packet& p) {
  return describe_ip(p.head(), p.size());
}

// Whether data() is at an IP header and no link header stands before it: of a packet made here.
bool begins_with_ip(const Packet& p);

}  // namespace wh::net
