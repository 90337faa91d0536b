// A number that is the same for all packets of a flow: what spreads flows over several ways or
// several workers.
//
// Addresses, protocol and, where they can be seen, ports (RFC 2992). A fragment has none to be
// seen, and IPv6 extension headers are not walked: those flows go by what is left, so that all
// their packets still agree.
#pragma once

#include "net/ip_service.h"
#include "net/packet.h"
#include "net/wire/wire.h"

namespace wh::vnet {

inline uint32_t mix_flow(uint64_t h) {
  h *= 0x9e3779b97f4a7c15u;
  h ^= h >> 32;
  h *= 0xbf58476d1ce4e5b9u;
  return static_cast<uint32_t>(h >> 32);
}

inline bool has_ports(uint8_t protocol) {
  return protocol == net::kProtocolTcp || protocol == net::kProtocolUdp || protocol == 132;  // SCTP
}

// REQUIRES: data() is at a validated IPv4 header.
inline uint32_t flow_hash4(const net::Packet& p) {
  const uint8_t* ip = p.data();
  uint64_t addresses;
  std::memcpy(&addresses, ip + 12, 8);
  uint64_t h = addresses ^ uint64_t { ip[9] } << 24;
  const uint32_t l4 = (ip[0] & 15u) * 4;
  const bool is_fragment = (net::load16(ip + 6) & 0x3fff) != 0;
  if (has_ports(ip[9]) && !is_fragment && p.head_size() >= l4 + 4) {
    uint32_t ports;
    std::memcpy(&ports, ip + l4, 4);
    h += uint64_t{ports} * 0xff51afd7ed558ccdu;
  }
  return mix_flow(h);
}

// REQUIRES: data() is at a validated IPv6 header.
inline uint32_t flow_hash6(const net::Packet& p) {
  const uint8_t* ip = p.data();
  uint64_t words[4];
  std::memcpy(words, ip + 8, 32);
  uint64_t h = words[0] * 0x9e3779b97f4a7c15u ^ words[1];
  h = (h ^ words[2]) * 0xc2b2ae3d27d4eb4fu ^ words[3];
  h ^= uint64_t{ip[6]} << 24;
  if (has_ports(ip[6]) && p.head_size() >= 44) {
    uint32_t ports;
    std::memcpy(&ports, ip + 40, 4);
    h += uint64_t{ports} * 0xff51afd7ed558ccdu;
  }
  return mix_flow(h);
}

}  // namespace wh::vnet
