// Packets as bytes, for tests that put them on the wire by hand.
#pragma once

#include <span>
#include <vector>

#include "net/checksum.h"
#include "net/wire/arp.h"
#include "net/wire/ethernet.h"
#include "net/wire/icmp.h"
#include "net/wire/icmp6.h"
#include "net/wire/udp.h"

namespace wh::vnet {

using Octets = std::vector<uint8_t>;

inline Octets operator+(Octets a, const Octets& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

inline Octets ethernet(const net::MacAddress& to, const net::MacAddress& from, net::EtherType type,
                       const Octets& payload) {
  Octets header(14);
  net::EthernetHeader{to, from, type}.emit(header);
  return header + payload;
}

// With its total length set to fit.
inline Octets ip4(net::Ip4Header header, const Octets& payload) {
  header.total_length = static_cast<uint16_t>(header.size() + payload.size());
  Octets bytes(header.size());
  header.emit(bytes);
  return bytes + payload;
}

inline Octets ip6(net::Ip6Header header, const Octets& payload) {
  header.payload_length = static_cast<uint16_t>(payload.size());
  Octets bytes(net::Ip6Header::kSize);
  header.emit(bytes);
  return bytes + payload;
}

inline Octets echo4(uint16_t id, uint16_t sequence, const Octets& data = Octets(56)) {
  Octets message(8);
  net::IcmpHeader::echo(net::IcmpType::Echo, id, sequence).emit(message);
  message = message + data;
  net::store16(message.data() + 2, net::checksum_of(message));
  return message;
}

inline Octets echo6(const net::Ip6& from, const net::Ip6& to, uint16_t id, uint16_t sequence,
                    const Octets& data = Octets(56)) {
  Octets message(8);
  net::Icmp6Header::echo(net::Icmp6Type::Echo, id, sequence).emit(message);
  message = message + data;
  net::InternetSum sum =
      net::pseudo_header(from, to, net::kProtocolIcmp6, static_cast<uint32_t>(message.size()));
  sum.add(message);
  net::store16(message.data() + 2, sum.checksum());
  return message;
}

// A neighbour discovery message, whole from its IP header.
template <class Message>
Octets discovery(const net::Ip6& from, const net::Ip6& to, const Message& m,
                 uint8_t hop_limit = 255) {
  Octets message(m.size());
  m.emit(message);
  net::InternetSum sum = net::pseudo_header(from, to, net::kProtocolIcmp6, m.size());
  sum.add(message);
  net::store16(message.data() + 2, sum.checksum());
  return ip6({.source = from,
              .destination = to,
              .next_header = net::kProtocolIcmp6,
              .hop_limit = hop_limit},
             message);
}

// Over IPv4 without a checksum, which is allowed.
inline Octets udp(uint16_t from, uint16_t to, const Octets& data = Octets(32)) {
  Octets bytes(8);
  net::UdpHeader{from, to, static_cast<uint16_t>(8 + data.size()), 0}.emit(bytes);
  return bytes + data;
}

}  // namespace wh::vnet
