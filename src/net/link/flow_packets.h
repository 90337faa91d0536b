// TCP and UDP packets for the tests of what looks into packets: whole Ethernet frames made from a
// few fields.
#pragma once

#include "net/checksum.h"
#include "net/link/link_test_support.h"
#include "net/wire/ethernet.h"
#include "net/wire/ip4.h"
#include "net/wire/ip6.h"
#include "net/wire/tcp.h"
#include "net/wire/udp.h"

namespace wh::net {

struct SegmentSpec {
  uint16_t port = 1000;  // The sender's; the receiver's is 80.
  uint32_t seq = 1;
  uint32_t ack = 1;
  TcpFlags flags = kTcpAck;
  uint32_t payload = 0;
  uint8_t tos = 0;
  uint16_t window = 100;
  TcpOptions options{};
};

// A segment from 10.0.0.1 to 10.0.0.2, its checksum still to be made.
inline PacketPtr tcp_packet(PacketPool& pool, const SegmentSpec& spec) {
  const Ip4 from = Ip4::of(10, 0, 0, 1), to = Ip4::of(10, 0, 0, 2);
  TcpHeader tcp;
  tcp.source_port = spec.port, tcp.destination_port = 80;
  tcp.seq = SeqNum(spec.seq), tcp.ack = SeqNum(spec.ack);
  tcp.flags = spec.flags, tcp.window = spec.window, tcp.options = spec.options;
  const auto length = static_cast<uint16_t>(tcp.size() + spec.payload);
  tcp.checksum = pseudo_header(from, to, 6, length).folded();
  Ip4Header ip;
  ip.source = from, ip.destination = to, ip.protocol = 6, ip.tos = spec.tos;
  ip.total_length = static_cast<uint16_t>(20 + length);
  PacketPtr packet = pool.allocate();
  EthernetHeader{MacAddress::local(2), MacAddress::local(1), EtherType::Ip4}.emit(
      {packet->append(14), 14});
  ip.emit({packet->append(20), 20});
  tcp.emit({packet->append(tcp.size()), tcp.size()});
  if (spec.payload != 0) {
    EXPECT_TRUE(packet->append(
        Slice{ChunkRef::copy_of(std::vector<uint8_t>(spec.payload)), 0, spec.payload}));
  }
  packet->checksum = Checksum::Needed;
  return packet;
}

// A UDP datagram of `size` bytes on the wire with `number` as the first bytes of its payload, IPv4
// or IPv6.
inline PacketPtr udp_packet(PacketPool& pool, uint16_t port, uint32_t size,
                            uint8_t traffic_class = 0, Family family = Family::V4) {
  PacketPtr packet = pool.allocate();
  EthernetHeader ethernet{MacAddress::local(2), MacAddress::local(1), EtherType::Ip4};
  if (family == Family::V6) ethernet.type = EtherType::Ip6;
  ethernet.emit({packet->append(14), 14});
  const uint32_t ip_size = family == Family::V4 ? 20 : 40;
  const auto udp_size = static_cast<uint16_t>(size - 14 - ip_size);
  if (family == Family::V4) {
    Ip4Header ip;
    ip.source = Ip4::of(10, 0, 0, 1), ip.destination = Ip4::of(10, 0, 0, 2);
    ip.protocol = 17, ip.tos = traffic_class;
    ip.total_length = static_cast<uint16_t>(20 + udp_size);
    ip.emit({packet->append(20), 20});
  } else {
    Ip6Header ip;
    ip.source.bytes[15] = 1, ip.destination.bytes[15] = 2;
    ip.next_header = 17, ip.traffic_class = traffic_class, ip.payload_length = udp_size;
    ip.emit({packet->append(40), 40});
  }
  UdpHeader{port, 80, udp_size, 0}.emit({packet->append(8), 8});
  if (udp_size > 8) {
    const uint32_t rest = udp_size - 8u;
    EXPECT_TRUE(packet->append(Slice{ChunkRef::copy_of(std::vector<uint8_t>(rest)), 0, rest}));
  }
  return packet;
}

}  // namespace wh::net
