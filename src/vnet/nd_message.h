// Neighbour discovery messages as packets, for the nodes that send them.
#pragma once

#include "net/checksum.h"
#include "net/ip_service.h"
#include "net/wire/ethernet.h"
#include "net/wire/icmp6.h"
#include "vnet/packet_tools.h"

namespace wh::vnet {

// Writes a whole neighbour discovery message into an empty packet: Ethernet, IPv6, ICMPv6.
template <class Message>
void write_discovery(net::Packet& p, const Message& message, const net::Ip6& from,
                     const net::Ip6& to, const net::MacAddress& from_mac,
                     const net::MacAddress& to_mac) {
  const uint32_t size = message.size();
  std::span<uint8_t> icmp{p.append(size), size};
  message.emit(icmp);
  net::InternetSum sum = net::pseudo_header(from, to, net::kProtocolIcmp6, size);
  sum.add(icmp);
  net::store16(icmp.data() + 2, sum.checksum());
  net::Ip6Header{.source = from,
                 .destination = to,
                 .next_header = net::kProtocolIcmp6,
                 .hop_limit = 255,
                 .payload_length = static_cast<uint16_t>(size)}
      .emit({p.push(net::Ip6Header::kSize), net::Ip6Header::kSize});
  const net::EthernetHeader header{to_mac, from_mac, net::EtherType::Ip6};
  header.emit({p.push(header.size()), header.size()});
  p.l2_size = 0;
  p.l3_offset = static_cast<uint16_t>(header.size());
  p.l4_offset = static_cast<uint16_t>(header.size() + net::Ip6Header::kSize);
  p.checksum = net::Checksum::Verified;
}

inline net::MacAddress multicast_mac(const net::Ip6& group) {
  net::MacAddress mac{{0x33, 0x33}};
  std::memcpy(mac.bytes.data() + 2, group.bytes.data() + 12, 4);
  return mac;
}

inline net::Ip6 all_nodes() {
  net::Ip6 a;
  a.bytes = {0xff, 0x02};
  a.bytes[15] = 1;
  return a;
}

// ff02::2, the routers of a link, or of a larger scope (RFC 4291 section 2.7.1).
inline net::Ip6 all_routers(uint8_t scope = 2) {
  net::Ip6 a = all_nodes();
  a.bytes[1] = scope;
  a.bytes[15] = 2;
  return a;
}

}  // namespace wh::vnet
