#include "net/wire/describe.h"

#include <gtest/gtest.h>

#include "net/checksum.h"
#include "net/ip_service.h"
#include "net/wire/arp.h"
#include "net/wire/ethernet.h"
#include "net/wire/icmp.h"
#include "net/wire/icmp6.h"
#include "net/wire/ip4.h"
#include "net/wire/ip6.h"
#include "net/wire/tcp.h"
#include "net/wire/udp.h"

namespace wh::net {
namespace {

using Bytes8 = std::vector<uint8_t>;

template <class Header>
Bytes8 emitted(const Header& header) {
  Bytes8 bytes(header.size());
  header.emit(bytes);
  return bytes;
}
template <>
Bytes8 emitted(const UdpHeader& header) {
  Bytes8 bytes(UdpHeader::kSize);
  header.emit(bytes);
  return bytes;
}
template <>
Bytes8 emitted(const IcmpHeader& header) {
  Bytes8 bytes(IcmpHeader::kSize);
  header.emit(bytes);
  return bytes;
}

Bytes8 ip4(uint8_t protocol, const Bytes8& transport, uint16_t fragment_offset = 0) {
  Ip4Header h;
  h.source = Ip4::of(10, 0, 0, 1);
  h.destination = Ip4::of(10, 0, 0, 2);
  h.protocol = protocol;
  h.fragment_offset = fragment_offset;
  h.total_length = static_cast<uint16_t>(20 + transport.size());
  Bytes8 bytes = emitted(h);
  bytes.insert(bytes.end(), transport.begin(), transport.end());
  return bytes;
}

Bytes8 ip6(uint8_t protocol, const Bytes8& transport) {
  Ip6Header h;
  h.source = {{0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
  h.destination = {{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
  h.next_header = protocol;
  h.payload_length = static_cast<uint16_t>(transport.size());
  Bytes8 bytes(40);
  h.emit(bytes);
  bytes.insert(bytes.end(), transport.begin(), transport.end());
  return bytes;
}

std::string text_of(const Bytes8& bytes) {
  return describe_ip(bytes, bytes.size());
}

TcpHeader segment(TcpFlags flags) {
  TcpHeader h;
  h.source_port = 33000;
  h.destination_port = 80;
  h.seq = SeqNum(7);
  h.ack = SeqNum(9);
  h.flags = flags;
  h.window = 501;
  return h;
}

TEST(Describe, names_a_syn_with_its_options) {
  TcpHeader h = segment(kTcpSyn);
  h.options.mss = 1460;
  h.options.sack_permitted = true;
  h.options.timestamps = TcpTimestamps{1, 0};
  h.options.window_scale = 7;
  EXPECT_EQ(text_of(ip4(kProtocolTcp, emitted(h))),
            "IP 10.0.0.1.33000 > 10.0.0.2.80: Flags [S], seq 7, win 501, "
            "options [mss 1460,sackOK,TS val 1 ecr 0,wscale 7], length 0");
}

TEST(Describe, names_data_by_its_range_and_an_ack_by_its_blocks) {
  Bytes8 data = emitted(segment(kTcpAck | kTcpPsh));
  data.resize(120);
  EXPECT_EQ(text_of(ip6(kProtocolTcp, data)),
            "IP6 fe80::1.33000 > ff02::1.80: Flags [P.], seq 7:107, ack 9, win 501, length 100");
  TcpHeader ack = segment(kTcpAck);
  ack.options.add_sack({SeqNum(100), SeqNum(200)});
  EXPECT_EQ(text_of(ip4(kProtocolTcp, emitted(ack))),
            "IP 10.0.0.1.33000 > 10.0.0.2.80: Flags [.], ack 9, win 501, "
            "options [sack 1 {100:200}], length 0");
}

TEST(Describe, takes_the_length_from_the_packet_when_payload_is_in_slices) {
  TcpHeader h = segment(kTcpAck);
  Bytes8 bytes = ip4(kProtocolTcp, emitted(h));
  store16(&bytes[2], 1040);
  store16(&bytes[10], 0);
  store16(&bytes[10], header_checksum(std::span(bytes).first(20)));
  EXPECT_EQ(describe_ip(bytes, 1040),
            "IP 10.0.0.1.33000 > 10.0.0.2.80: Flags [.], seq 7:1007, ack 9, win 501, length 1000");
}

TEST(Describe, names_udp_icmp_and_fragments) {
  EXPECT_EQ(text_of(ip4(kProtocolUdp, emitted(UdpHeader{53, 4000, 8, 0}))),
            "IP 10.0.0.1.53 > 10.0.0.2.4000: UDP, length 0");
  EXPECT_EQ(text_of(ip4(kProtocolIcmp, emitted(IcmpHeader::echo(IcmpType::Echo, 7, 1)))),
            "IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id 7, seq 1, length 8");
  Bytes8 error = emitted(IcmpHeader{IcmpType::Unreachable, kIcmpFragmentationNeeded, 0, 1400});
  const Bytes8 quoted = ip4(kProtocolUdp, emitted(UdpHeader{53, 4000, 8, 0}));
  error.insert(error.end(), quoted.begin(), quoted.end());
  EXPECT_EQ(text_of(ip4(kProtocolIcmp, error)),
            "IP 10.0.0.1 > 10.0.0.2: ICMP 10.0.0.2 unreachable - need to frag (mtu 1400), "
            "length 36");
  error[1] = kIcmpPortUnreachable;
  EXPECT_EQ(text_of(ip4(kProtocolIcmp, error)),
            "IP 10.0.0.1 > 10.0.0.2: ICMP 10.0.0.2 udp port 4000 unreachable, length 36");
  EXPECT_EQ(text_of(ip4(kProtocolUdp, Bytes8(24), 16)),
            "IP 10.0.0.1 > 10.0.0.2: fragment id 0, offset 16, protocol 17, length 24");
  EXPECT_EQ(text_of(ip4(89, Bytes8(4))), "IP 10.0.0.1 > 10.0.0.2: protocol 89, length 4");
}

TEST(Describe, names_neighbour_discovery) {
  const Ip6 target = {{0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}};
  EXPECT_EQ(text_of(ip6(kProtocolIcmp6, emitted(NeighbourSolicitation{target, {}}))),
            "IP6 fe80::1 > ff02::1: ICMP6, neighbor solicitation, who has fe80::2, length 24");
}

TEST(Describe, names_arp_tags_and_unknown_types) {
  Bytes8 bytes(14 + 4 + 28);
  EthernetHeader ethernet{MacAddress::broadcast(), MacAddress::local(1), EtherType::Arp, 1, {}};
  ethernet.tags[0].tci = 7;
  ethernet.emit(bytes);
  ArpPacket arp{
      ArpOperation::Request, MacAddress::local(1), Ip4::of(10, 0, 0, 1), {}, Ip4::of(10, 0, 0, 2)};
  arp.emit(std::span(bytes).subspan(18));
  EXPECT_EQ(describe_ethernet(bytes, bytes.size()), "ARP, Request who-has 10.0.0.2 tell 10.0.0.1");
  arp.operation = ArpOperation::Reply;
  arp.emit(std::span(bytes).subspan(18));
  EXPECT_EQ(describe_ethernet(bytes, bytes.size()), "ARP, Reply 10.0.0.1 is-at 02:00:00:00:00:01");
  ethernet.type = EtherType{0x88cc};
  ethernet.emit(bytes);
  EXPECT_EQ(describe_ethernet(bytes, bytes.size()),
            "02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff, vlan 7, ethertype 0x88cc, length 28");
}

TEST(Describe, names_what_cannot_be_parsed_by_its_fault) {
  Bytes8 bytes = ip4(kProtocolTcp, emitted(segment(kTcpAck)));
  bytes[20 + 12] = 0;
  EXPECT_EQ(text_of(bytes), "IP 10.0.0.1 > 10.0.0.2: [tcp bad header length]");
  bytes[8] ^= 1;
  EXPECT_EQ(text_of(bytes), "IP [ip4 bad checksum]");
  EXPECT_EQ(describe_ip({}, 0), "IP [empty]");
  EXPECT_EQ(describe_ethernet({}, 0), "[ethernet truncated]");
}

}  // namespace
}  // namespace wh::net
