// What the input nodes refuse, and why: each malformed or implausible packet moves the counter of
// its name.
#include "vnet/test_support.h"

namespace wh::vnet {
namespace {

using net::EtherType;
using net::Ip4;
using net::Ip4Header;
using net::Ip6;
using net::Ip6Header;

Octets good4() {
  return ip4({.source = kPeer, .destination = kOwn, .protocol = net::kProtocolIcmp}, echo4(7, 1));
}
Octets good6() {
  const Ip6 from = ip6_of("2001:db8::2"), to = ip6_of("2001:db8::1");
  return ip6({.source = from, .destination = to, .next_header = net::kProtocolIcmp6},
             echo6(from, to, 7, 1));
}
void fix_header(Octets& packet) {
  const size_t size = (packet[0] & 15u) * 4;
  net::store16(packet.data() + 10, 0);
  net::store16(packet.data() + 10, net::header_checksum(std::span(packet).first(size)));
}

using IpInput = HostTest;

TEST_F(IpInput, answers_what_is_sound) {
  receive_ip4(good4());
  receive_ip6(good6());
  EXPECT_EQ(sent(),
            (std::vector<std::string>{
                "IP 10.0.0.1 > 10.0.0.2: ICMP echo reply, id 7, seq 1, length 64",
                "IP6 2001:db8::1 > 2001:db8::2: ICMP6, echo reply, id 7, seq 1, length 64"}));
  EXPECT_EQ(drops(), 0u);
}

TEST_F(IpInput, counts_each_fault_of_an_ip4_header) {
  const std::pair<const char*, std::function<void(Octets&)>> faults[] = {
      {"ip4_truncated", [](Octets& p) { p.resize(19); }},
      {"ip4_bad_version", [](Octets& p) { p[0] = 0x55; }},
      {"ip4_bad_header_length", [](Octets& p) { p[0] = 0x44; }},
      {"ip4_bad_total_length", [](Octets& p) { net::store16(p.data() + 2, 19); }},
      {"ip4_length_beyond_packet",
       [](Octets& p) { net::store16(p.data() + 2, static_cast<uint16_t>(p.size() + 1)); }},
      {"ip4_bad_checksum", [](Octets& p) { p[10] = static_cast<uint8_t>(p[10] ^ 1); }},
      {"bad_source", [](Octets& p) { p[12] = 127, fix_header(p); }},
      {"bad_source", [](Octets& p) { p[12] = 224, fix_header(p); }},
      {"bad_source", [](Octets& p) { net::store32(p.data() + 12, ~0u), fix_header(p); }},
      {"bad_source", [](Octets& p) { p[12] = 0, fix_header(p); }},
      {"bad_destination", [](Octets& p) { p[16] = 127, fix_header(p); }},
      {"bad_destination", [](Octets& p) { net::store32(p.data() + 16, 0), fix_header(p); }},
  };
  for (const auto& [error, spoil] : faults) {
    SCOPED_TRACE(error);
    Octets packet = good4();
    spoil(packet);
    const uint64_t before = count("ip4-input", error);
    receive_ip4(packet);
    EXPECT_EQ(count("ip4-input", error), before + 1);
    EXPECT_TRUE(sent().empty());
  }
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST_F(IpInput, refuses_source_routes_and_takes_other_options) {
  Ip4Header header{.source = kPeer, .destination = kOwn, .protocol = net::kProtocolIcmp};
  header.options_size = 8;
  header.options = {131, 7, 4, 10, 0, 0, 9, 0};  // Loose source route through 10.0.0.9.
  receive_ip4(ip4(header, echo4(7, 1)));
  EXPECT_EQ(count("ip4-input", "source_route"), 1u);
  header.options = {1, 7, 7, 4, 0, 0, 0, 0};  // No operation, record route.
  receive_ip4(ip4(header, echo4(7, 2)));
  EXPECT_EQ(sent(), std::vector<std::string>{
                        "IP 10.0.0.1 > 10.0.0.2: ICMP echo reply, id 7, seq 2, length 64"});
}

TEST_F(IpInput, says_where_an_option_is_wrong) {
  Ip4Header header{.source = kPeer, .destination = kOwn, .protocol = net::kProtocolUdp};
  header.options_size = 8;
  header.options = {1, 7, 9, 4, 0, 0, 0, 0};  // Longer than the header.
  const Octets packet = ip4(header, udp(1, 2));
  receive_ip4(packet);
  EXPECT_EQ(count("ip4-input", "bad_options"), 1u);
  ASSERT_EQ(recorder.out.size(), 1u);
  EXPECT_EQ(recorder.out[0][34], 12) << "parameter problem";
  EXPECT_EQ(recorder.out[0][38], 22) << "its pointer";
  // About a packet that was changed on its way nothing is said, nor to who is no host.
  Octets changed = packet;
  changed[8] ^= 1;
  receive_ip4(changed);
  EXPECT_EQ(count("ip4-input", "ip4_bad_checksum"), 1u);
  header.source = Ip4::of(127, 0, 0, 1);
  receive_ip4(ip4(header, udp(1, 2)));
  EXPECT_EQ(count("ip4-input", "bad_source"), 1u);
  EXPECT_EQ(recorder.out.size(), 1u);
}

TEST_F(IpInput, counts_each_fault_of_an_ip6_header) {
  const std::pair<const char*, std::function<void(Octets&)>> faults[] = {
      {"ip6_truncated", [](Octets& p) { p.resize(39); }},
      {"ip6_bad_version", [](Octets& p) { p[0] = 0x40; }},
      {"ip6_length_beyond_packet",
       [](Octets& p) { net::store16(p.data() + 4, static_cast<uint16_t>(p.size() - 39)); }},
      {"bad_source", [](Octets& p) { p[8] = 0xff; }},
      {"bad_destination", [](Octets& p) { std::fill_n(p.begin() + 24, 16, uint8_t{0}); }},
      {"bad_destination",
       [](Octets& p) { std::fill_n(p.begin() + 24, 15, uint8_t{0}), p[39] = 1; }},
      {"bad_destination", [](Octets& p) { p[24] = 0xff, p[25] = 0x01; }},
      {"bad_source",  // ::ffff:0.0.0.2
       [](Octets& p) { std::fill_n(p.begin() + 8, 12, uint8_t{0}), p[18] = p[19] = 0xff; }},
      {"bad_destination",
       [](Octets& p) { std::fill_n(p.begin() + 24, 12, uint8_t{0}), p[34] = p[35] = 0xff; }},
  };
  for (const auto& [error, spoil] : faults) {
    SCOPED_TRACE(error);
    Octets packet = good6();
    spoil(packet);
    const uint64_t before = count("ip6-input", error);
    receive_ip6(packet);
    EXPECT_EQ(count("ip6-input", error), before + 1);
    EXPECT_TRUE(sent().empty());
  }
}

TEST_F(IpInput, cuts_padding_off) {
  receive_ip4(good4() + Octets(30));
  receive_ip6(good6() + Octets(30));
  const auto lines = sent();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_NE(lines[0].find("length 64"), std::string::npos);
  EXPECT_NE(lines[1].find("length 64"), std::string::npos);
}

TEST_F(IpInput, names_what_ethernet_refuses) {
  receive(Octets(13));
  EXPECT_EQ(count("ethernet-input", "truncated"), 1u);
  receive(ethernet(net::MacAddress::local(77), peer_mac(), EtherType::Ip4, good4()));
  EXPECT_EQ(count("ethernet-input", "other_mac"), 1u);
  receive(ethernet(own_mac(), peer_mac(), static_cast<EtherType>(0x88cc), good4()));
  EXPECT_EQ(count("ethernet-input", "unknown_type"), 1u);
  receive(ethernet(own_mac(), peer_mac(), EtherType::Vlan, good4()));
  EXPECT_EQ(count("ethernet-input", "unknown_vlan"), 1u);
  EXPECT_EQ(h.interfaces()[index].drops, 4u);
}

TEST_F(IpInput, refuses_its_own_address_from_the_wire) {
  receive_ip4(ip4({.source = kOwn, .destination = kOwn, .protocol = 1}, echo4(7, 1)));
  EXPECT_EQ(count("ip4-local", "spoofed"), 1u);
  const Ip6 own = ip6_of("2001:db8::1");
  receive_ip6(ip6({.source = own, .destination = own, .next_header = 58}, echo6(own, own, 7, 1)));
  EXPECT_EQ(count("ip6-local", "spoofed"), 1u);
  EXPECT_TRUE(sent().empty());
}

// 0.0.0.0 is who asks for an address, and the router's own is the router's.
TEST_F(IpInput, does_not_forward_from_nobody_nor_from_itself) {
  MUST(h.sysctl().set("net.inet.ip.forwarding", "1"));
  auto from = [&](Ip4 source, Ip4 destination) {
    const uint64_t before = count("ip4-input", "bad_source");
    receive_ip4(ip4({.source = source, .destination = destination, .protocol = 17}, udp(68, 67)));
    return count("ip4-input", "bad_source") != before;
  };
  const Ip4 other = Ip4::of(10, 0, 0, 9);
  EXPECT_TRUE(from(Ip4{0}, other));
  EXPECT_TRUE(from(Ip4::of(0, 1, 2, 3), other));
  EXPECT_TRUE(from(Ip4::of(0, 1, 2, 3), kOwn));
  EXPECT_TRUE(from(kOwn, other));
  EXPECT_FALSE(from(kPeer, other));
  EXPECT_FALSE(from(Ip4::of(10, 0, 16, 1), other)) << "its last 12 bits are those of our own";
  // To this host and to all: whoever listens there decides.
  for (const Ip4 here : {kOwn, Ip4{~0u}, Ip4::of(10, 0, 0, 255)}) EXPECT_FALSE(from(Ip4{0}, here));
  // An address that is given back is anybody's again.
  MUST(h.add_address(index, prefix("10.0.0.77/24")));
  EXPECT_TRUE(from(Ip4::of(10, 0, 0, 77), other));
  MUST(h.remove_address(index, ip("10.0.0.77")));
  EXPECT_FALSE(from(Ip4::of(10, 0, 0, 77), other));
  EXPECT_TRUE(from(kOwn, other));
}

TEST_F(IpInput, does_not_forward_unless_told_to) {
  receive_ip4(
      ip4({.source = kPeer, .destination = Ip4::of(10, 0, 0, 9), .protocol = 1}, echo4(7, 1)));
  EXPECT_EQ(count("ip4-lookup", "not_forwarding"), 1u);
  const Ip6 from = ip6_of("2001:db8::2"), to = ip6_of("2001:db8::9");
  receive_ip6(ip6({.source = from, .destination = to, .next_header = 58}, echo6(from, to, 7, 1)));
  EXPECT_EQ(count("ip6-lookup", "not_forwarding"), 1u);
  EXPECT_TRUE(sent().empty());
}

TEST_F(IpInput, ignores_unicast_in_a_link_broadcast) {
  receive(ethernet(net::MacAddress::broadcast(), peer_mac(), EtherType::Ip4, good4()));
  EXPECT_EQ(count("ip4-local", "link_broadcast"), 1u);
  MUST(h.sysctl().set("net.inet.ip.forwarding", "1"));
  receive(ethernet(
      net::MacAddress::broadcast(), peer_mac(), EtherType::Ip4,
      ip4({.source = kPeer, .destination = Ip4::of(10, 0, 0, 2), .protocol = 17}, udp(1, 2))));
  EXPECT_EQ(count("ip4-lookup", "link_broadcast"), 1u);
  EXPECT_TRUE(sent().empty());
}

TEST_F(IpInput, never_forwards_what_has_no_place_elsewhere) {
  MUST(h.sysctl().set("net.inet.ip.forwarding", "1"));
  MUST(h.sysctl().set("net.inet6.ip6.forwarding", "1"));
  for (const char* to : {"0.1.2.3", "224.1.2.3", "240.0.0.1"}) {
    receive_ip4(ip4({.source = kPeer, .destination = ip(to).v4(), .protocol = 17}, udp(1, 2)));
  }
  EXPECT_EQ(count("ip4-lookup", "never_forwarded"), 3u);
  // A link-local source goes no further than its link.
  const Ip6 from = ip6_of("fe80::2"), to = ip6_of("2001:db8:9::1");
  receive_ip6(ip6({.source = from, .destination = to, .next_header = 58}, echo6(from, to, 7, 1)));
  EXPECT_EQ(count("ip6-lookup", "scope_exceeded"), 1u);
  EXPECT_TRUE(sent().empty());
}

TEST_F(IpInput, obeys_unknown_options_of_ip6) {
  const Ip6 from = ip6_of("2001:db8::2"), to = ip6_of("2001:db8::1");
  auto with_option = [&](uint8_t type) {
    const Octets options{net::kProtocolIcmp6, 0, type, 4, 0, 0, 0, 0};
    receive_ip6(ip6({.source = from, .destination = to, .next_header = net::kIp6DestinationOptions},
                    options + echo6(from, to, 7, 1)));
    return sent();
  };
  EXPECT_EQ(with_option(0x1e).size(), 1u);   // 00: skipped, and the echo answered.
  EXPECT_EQ(with_option(0x5e).size(), 0u);   // 01: dropped.
  const auto complaint = with_option(0x9e);  // 10: dropped, and the sender told.
  ASSERT_EQ(complaint.size(), 1u);
  EXPECT_NE(complaint[0].find("parameter problem"), std::string::npos) << complaint[0];
  EXPECT_EQ(count("ip6-local", "unknown_option"), 2u);
}

TEST_F(IpInput, knows_hop_by_hop_options_at_the_beginning_only) {
  const Ip6 from = ip6_of("2001:db8::2"), to = ip6_of("2001:db8::1");
  const Octets first{net::kIp6HopByHop, 0, 1, 4, 0, 0, 0, 0};
  const Octets second{net::kProtocolIcmp6, 0, 1, 4, 0, 0, 0, 0};
  receive_ip6(ip6({.source = from, .destination = to, .next_header = net::kIp6HopByHop},
                  first + second + echo6(from, to, 7, 1)));
  EXPECT_EQ(count("ip6-local", "ip6_hop_by_hop_not_first"), 1u);
  ASSERT_EQ(recorder.out.size(), 1u);
  EXPECT_EQ(recorder.out[0][54], 4) << "parameter problem";
  EXPECT_EQ(recorder.out[0][55], 1) << "unrecognized next header";
  EXPECT_EQ(net::load32(&recorder.out[0][58]), 40u) << "its pointer";
}

TEST_F(IpInput, takes_the_middle_of_a_packet_for_no_packet) {
  const Ip6 from = ip6_of("2001:db8::2"), to = ip6_of("2001:db8::1");
  const Octets atomic{net::kIp6Fragment, 0, 0, 0, 0, 0, 0, 1};
  const Octets middle{net::kProtocolIcmp6, 0, 5, 0xc8, 0, 0, 0, 2};
  receive_ip6(ip6({.source = from, .destination = to, .next_header = net::kIp6Fragment},
                  atomic + middle + echo6(from, to, 7, 1)));
  EXPECT_TRUE(sent().empty());
}

TEST_F(IpInput, refuses_a_routing_header_with_segments_left) {
  const Ip6 from = ip6_of("2001:db8::2"), to = ip6_of("2001:db8::1");
  auto routed = [&](uint8_t segments_left) {
    const Octets routing{net::kProtocolIcmp6, 0, 0, segments_left, 0, 0, 0, 0};
    receive_ip6(ip6({.source = from, .destination = to, .next_header = net::kIp6Routing},
                    routing + echo6(from, to, 7, 1)));
    return sent();
  };
  const auto fine = routed(0), refused = routed(1);
  ASSERT_EQ(fine.size(), 1u);
  EXPECT_NE(fine[0].find("echo reply"), std::string::npos);
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_NE(refused[0].find("parameter problem"), std::string::npos) << refused[0];
  EXPECT_EQ(count("ip6-local", "routing_header"), 1u);
}

TEST_F(IpInput, drops_packets_of_an_interface_that_is_down) {
  MUST(h.set_up(index, false));
  receive_ip4(good4());
  EXPECT_EQ(cable.a().counters().rx_down, 1u);
  auto socket = MUST(h.open_udp({}, [](const UdpDatagram&) {}));
  MUST(socket->send(ip("10.0.0.2"), 9, Octets(4)));
  EXPECT_EQ(count("interface-output", "down"), 1u);
}

}  // namespace
}  // namespace wh::vnet
