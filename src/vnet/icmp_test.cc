// ICMP and ICMPv6: which errors are sent, about what, how many, and who is told.
#include "net/wire/tcp.h"
#include "vnet/test_support.h"

namespace wh::vnet {
namespace {

using net::EtherType;
using net::Icmp6Header;
using net::IcmpHeader;
using net::Ip4;
using net::Ip6;
using net::IpError;

Octets udp4(Ip4 to, uint16_t port = 9) {
  return ip4({.source = kPeer, .destination = to, .protocol = net::kProtocolUdp}, udp(1000, port));
}
Octets udp6(const Ip6& to, uint16_t port = 9) {
  Octets datagram = udp(1000, port);
  net::InternetSum sum = net::pseudo_header(kPeer6, to, 17, static_cast<uint32_t>(datagram.size()));
  sum.add(datagram);
  net::store16(datagram.data() + 6, sum.checksum());
  return ip6({.source = kPeer6, .destination = to, .next_header = net::kProtocolUdp}, datagram);
}
// An ICMP error about `quoted`, to h.
Octets error4(net::IcmpType type, uint8_t code, uint32_t rest, const Octets& quoted) {
  Octets message(8);
  IcmpHeader{type, code, 0, rest}.emit(message);
  message = message + quoted;
  net::store16(message.data() + 2, net::checksum_of(message));
  return ip4({.source = kPeer, .destination = kOwn, .protocol = net::kProtocolIcmp}, message);
}
Octets error6(net::Icmp6Type type, uint8_t code, uint32_t rest, const Octets& quoted) {
  Octets message(8);
  Icmp6Header{type, code, 0, rest}.emit(message);
  message = message + quoted;
  net::InternetSum sum =
      net::pseudo_header(kPeer6, kOwn6, 58, static_cast<uint32_t>(message.size()));
  sum.add(message);
  net::store16(message.data() + 2, sum.checksum());
  return ip6({.source = kPeer6, .destination = kOwn6, .next_header = 58}, message);
}

using Icmp = HostTest;

TEST_F(Icmp, says_that_a_port_is_closed) {
  receive_ip4(udp4(kOwn));
  receive_ip6(udp6(kOwn6));
  const auto lines = sent();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_NE(lines[0].find("10.0.0.1 > 10.0.0.2: ICMP"), std::string::npos) << lines[0];
  EXPECT_NE(lines[0].find("port"), std::string::npos) << lines[0];
  EXPECT_NE(lines[1].find("destination unreachable, code 4"), std::string::npos) << lines[1];
  EXPECT_EQ(count("ip4-udp-lookup", "no_listener"), 1u);
  EXPECT_EQ(count("ip6-udp-lookup", "no_listener"), 1u);
  EXPECT_EQ(drops(), 2u);
  MUST(h.sysctl().set("net.inet.udp.blackhole", "1"));
  receive_ip4(udp4(kOwn));
  EXPECT_TRUE(sent().empty());
}

TEST_F(Icmp, says_that_a_protocol_is_unknown) {
  receive_ip4(ip4({.source = kPeer, .destination = kOwn, .protocol = 99}, Octets(8)));
  receive_ip6(ip6({.source = kPeer6, .destination = kOwn6, .next_header = 99}, Octets(8)));
  const auto lines = sent();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_NE(lines[0].find("protocol"), std::string::npos) << lines[0];
  EXPECT_NE(lines[1].find("parameter problem"), std::string::npos) << lines[1];
}

TEST_F(Icmp, quotes_no_more_than_the_rfcs_allow) {
  receive_ip4(ip4({.source = kPeer, .destination = kOwn, .protocol = 99}, Octets(1400)));
  receive_ip6(ip6({.source = kPeer6, .destination = kOwn6, .next_header = 99}, Octets(1400)));
  ASSERT_EQ(recorder.out.size(), 2u);
  EXPECT_EQ(recorder.out[0].size(), 14u + 576);
  EXPECT_EQ(recorder.out[1].size(), 14u + 1280);
}

// RFC 1122 section 3.2.2 and RFC 4443 section 2.4 (e), case by case.
TEST_F(Icmp, sends_no_error_about_what_allows_none) {
  MUST(h.sysctl().set("net.inet.ip.forwarding", "1"));
  const Octets quoted = udp4(kOwn);
  auto unroutable = [](Ip4 source, Octets payload, uint8_t protocol, uint16_t offset) {
    return ip4({.source = source,
                .destination = Ip4::of(192, 0, 2, 1),
                .protocol = protocol,
                .fragment_offset = offset},
               payload);
  };
  Octets icmp_error(8);
  IcmpHeader{net::IcmpType::TimeExceeded}.emit(icmp_error);
  receive_ip4(unroutable(kPeer, icmp_error + quoted, net::kProtocolIcmp, 0));
  receive_ip4(unroutable(kPeer, Octets(16), net::kProtocolUdp, 8));
  EXPECT_EQ(count("ip4-icmp-error", "not_allowed"), 2u);
  receive_ip4(unroutable(Ip4{}, udp(1, 2), net::kProtocolUdp, 0));
  EXPECT_EQ(count("ip4-input", "bad_source"), 1u);
  receive_ip4(udp4(Ip4::of(10, 0, 0, 255)));
  receive_ip4(udp4(Ip4::of(255, 255, 255, 255)));
  receive_ip4(udp4(Ip4::of(224, 0, 0, 1)));
  EXPECT_EQ(count("ip4-udp-lookup", "no_listener"), 3u);
  receive_ip4(
      ip4({.source = kPeer, .destination = Ip4::of(10, 0, 0, 255), .protocol = 99}, Octets(8)));
  EXPECT_TRUE(sent().empty());
  // But about an echo request, which is ICMP and no error, one is sent.
  receive_ip4(unroutable(kPeer, echo4(1, 1), net::kProtocolIcmp, 0));
  EXPECT_EQ(sent().size(), 1u);
  // So is one for the time; what a type of tomorrow is, nobody knows.
  Octets other(20);
  other[0] = 13;
  receive_ip4(unroutable(kPeer, other, net::kProtocolIcmp, 0));
  EXPECT_EQ(sent().size(), 1u);
  other[0] = 42;
  receive_ip4(unroutable(kPeer, other, net::kProtocolIcmp, 0));
  EXPECT_EQ(sent().size(), 0u);
}

TEST_F(Icmp, sends_no_error_about_a_multicast_packet_over_ip6) {
  receive(ethernet(net::MacAddress{{0x33, 0x33, 0, 0, 0, 1}}, peer_mac(), EtherType::Ip6,
                   udp6(ip6_of("ff02::1"))));
  EXPECT_EQ(count("ip6-udp-lookup", "no_listener"), 1u);
  EXPECT_TRUE(sent().empty());
  // Except for an option whose sender asks for it (RFC 4443 section 2.4 (e.3)); 10, not 11.
  const Octets options{net::kIp6NoNextHeader, 0, 0x9e, 4, 0, 0, 0, 0};
  receive(ethernet(net::MacAddress{{0x33, 0x33, 0, 0, 0, 1}}, peer_mac(), EtherType::Ip6,
                   ip6({.source = kPeer6,
                        .destination = ip6_of("ff02::1"),
                        .next_header = net::kIp6DestinationOptions},
                       options)));
  EXPECT_EQ(sent().size(), 1u);
}

TEST_F(Icmp, answers_at_the_addresses_of_all_routers_while_it_forwards) {
  const auto ask = [this](const char* group) {
    const Ip6 routers = ip6_of(group);
    receive(ethernet(net::MacAddress{{0x33, 0x33, 0, 0, 0, 2}}, peer_mac(), EtherType::Ip6,
                     ip6({.source = kPeer6, .destination = routers, .next_header = 58},
                         echo6(kPeer6, routers, 1, 1))));
    return sent().size();
  };
  EXPECT_EQ(ask("ff02::2"), 0u);
  MUST(h.sysctl().set("net.inet6.ip6.forwarding", "1"));
  EXPECT_EQ(ask("ff02::2"), 1u);
  EXPECT_EQ(ask("ff05::2"), 1u);
}

// RFC 4291 section 2.6.1: the first address of a prefix is that of all routers of its link.
TEST_F(Icmp, answers_at_the_subnet_router_address_while_it_forwards) {
  const Ip6 shared = ip6_of("2001:db8::");
  const auto ask = [&] {
    receive_ip6(ip6({.source = kPeer6, .destination = shared, .next_header = 58},
                    echo6(kPeer6, shared, 1, 1)));
    return sent();
  };
  EXPECT_TRUE(ask().empty());
  MUST(h.sysctl().set("net.inet6.ip6.forwarding", "1"));
  // From an address of its own (RFC 4443 section 2.2 (b)).
  EXPECT_EQ(ask(), std::vector<std::string>{
                       "IP6 2001:db8::1 > 2001:db8::2: ICMP6, echo reply, id 1, seq 1, length 64"});
}

TEST_F(Icmp, limits_the_errors_of_a_second) {
  MUST(h.sysctl().set("net.inet.icmp.icmplim", "5"));
  MUST(h.sysctl().set("net.inet6.icmp6.errppslimit", "3"));
  for (int i = 0; i < 8; ++i) {
    receive_ip4(udp4(kOwn));
    receive_ip6(udp6(kOwn6));
  }
  EXPECT_EQ(sent().size(), 8u);
  EXPECT_EQ(count("ip4-icmp-error", "limited"), 3u);
  EXPECT_EQ(count("ip6-icmp-error", "limited"), 5u);
  loop.run_for(200ms - 1ns);
  receive_ip4(udp4(kOwn));
  EXPECT_EQ(sent().size(), 0u);
  loop.run_for(1ns);
  receive_ip4(udp4(kOwn));
  EXPECT_EQ(sent().size(), 1u);
}

TEST(RateLimit, gives_exactly_its_limit_to_a_steady_stream) {
  RateLimit limit;
  Instant now(1000s);
  int64_t taken = 0;
  for (int i = 0; i < 10'000; ++i) {
    taken += limit.take(now, 100);
    now += 1ms;
  }
  EXPECT_EQ(taken, 100 + 999);  // A full bucket, and a hundred for each second after.
  EXPECT_FALSE(RateLimit().take(now, 0));
  EXPECT_TRUE(RateLimit().take(now, RateLimit::kUnlimited));
}

TEST_F(Icmp, answers_a_broadcast_echo_only_when_told_to) {
  const Octets request =
      ip4({.source = kPeer, .destination = Ip4::of(10, 0, 0, 255), .protocol = net::kProtocolIcmp},
          echo4(7, 1));
  receive(ethernet(net::MacAddress::broadcast(), peer_mac(), EtherType::Ip4, request));
  EXPECT_TRUE(sent().empty());
  EXPECT_EQ(count("ip4-icmp-echo-request", "broadcast"), 1u);
  MUST(h.sysctl().set("net.inet.icmp.bmcastecho", "1"));
  receive(ethernet(net::MacAddress::broadcast(), peer_mac(), EtherType::Ip4, request));
  EXPECT_EQ(sent(), std::vector<std::string>{
                        "IP 10.0.0.1 > 10.0.0.2: ICMP echo reply, id 7, seq 1, length 64"});
}

TEST_F(Icmp, answers_echo_with_a_right_checksum) {
  Octets data(333);
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<uint8_t>(i * 7);
  receive_ip4(ip4({.source = kPeer, .destination = kOwn, .protocol = 1}, echo4(7, 1, data)));
  receive_ip6(ip6({.source = kPeer6, .destination = kOwn6, .next_header = 58},
                  echo6(kPeer6, kOwn6, 7, 1, data)));
  ASSERT_EQ(recorder.out.size(), 2u);
  EXPECT_EQ(net::checksum_of(std::span(recorder.out[0]).subspan(34)), 0);
  net::InternetSum sum = net::pseudo_header(kOwn6, kPeer6, 58, 341);
  sum.add(std::span(recorder.out[1]).subspan(54));
  EXPECT_EQ(sum.checksum(), 0);
}

TEST_F(Icmp, drops_a_message_with_a_wrong_checksum) {
  Octets message = echo4(7, 1);
  message[20] = static_cast<uint8_t>(message[20] ^ 1);
  receive_ip4(ip4({.source = kPeer, .destination = kOwn, .protocol = 1}, message));
  EXPECT_EQ(count("ip4-icmp-input", "bad_checksum"), 1u);
  Octets message6 = echo6(kPeer6, kOwn6, 7, 1);
  message6[20] = static_cast<uint8_t>(message6[20] ^ 1);
  receive_ip6(ip6({.source = kPeer6, .destination = kOwn6, .next_header = 58}, message6));
  EXPECT_EQ(count("ip6-icmp-input", "bad_checksum"), 1u);
  EXPECT_TRUE(sent().empty());
}

// What h is said to have sent, from its TCP port 80.
Octets quoted_tcp4() {
  Octets segment(20);
  net::TcpHeader{.source_port = 80, .destination_port = 1000}.emit(segment);
  return ip4({.source = kOwn, .destination = kPeer, .protocol = net::kProtocolTcp}, segment);
}
Octets quoted_tcp6() {
  Octets segment(20);
  net::TcpHeader{.source_port = 80, .destination_port = 1000}.emit(segment);
  return ip6({.source = kOwn6, .destination = kPeer6, .next_header = net::kProtocolTcp}, segment);
}

TEST_F(Icmp, tells_the_protocol_that_a_packet_was_too_big) {
  Listener tcp;
  h.register_protocol(net::kProtocolTcp, &tcp);
  receive_ip4(
      error4(net::IcmpType::Unreachable, net::kIcmpFragmentationNeeded, 1400, quoted_tcp4()));
  receive_ip6(error6(net::Icmp6Type::PacketTooBig, 0, 1300, quoted_tcp6()));
  ASSERT_EQ(tcp.errors.size(), 2u);
  EXPECT_EQ(tcp.errors[0].kind, IpError::Kind::PacketTooBig);
  EXPECT_EQ(tcp.errors[0].mtu, 1400u);
  EXPECT_EQ(tcp.errors[0].source, net::IpAddress(kOwn));
  EXPECT_EQ(tcp.errors[0].destination, net::IpAddress(kPeer));
  EXPECT_EQ(tcp.errors[1].kind, IpError::Kind::PacketTooBig);
  EXPECT_EQ(tcp.errors[1].mtu, 1300u);
  EXPECT_EQ(tcp.errors[1].source, net::IpAddress(kOwn6));
  h.register_protocol(net::kProtocolTcp, nullptr);
  receive_ip4(error4(net::IcmpType::Unreachable, net::kIcmpPortUnreachable, 0, quoted_tcp4()));
  EXPECT_EQ(count("ip4-icmp-input", "no_listener"), 1u);
}

TEST_F(Icmp, maps_every_error_to_its_kind) {
  using Kind = IpError::Kind;
  Listener tcp;
  h.register_protocol(net::kProtocolTcp, &tcp);
  const std::tuple<net::IcmpType, uint8_t, Kind> kinds[] = {
      {net::IcmpType::Unreachable, 0, Kind::NetUnreachable},
      {net::IcmpType::Unreachable, 1, Kind::HostUnreachable},
      {net::IcmpType::Unreachable, 2, Kind::ProtocolUnreachable},
      {net::IcmpType::Unreachable, 3, Kind::PortUnreachable},
      {net::IcmpType::Unreachable, 13, Kind::AdminProhibited},
      {net::IcmpType::TimeExceeded, 0, Kind::TimeExceeded},
      {net::IcmpType::ParameterProblem, 0, Kind::ParameterProblem}};
  for (const auto& [type, code, kind] : kinds) {
    receive_ip4(error4(type, code, 0, quoted_tcp4()));
    EXPECT_EQ(tcp.errors.back().kind, kind);
  }
  const std::tuple<net::Icmp6Type, uint8_t, Kind> kinds6[] = {
      {net::Icmp6Type::Unreachable, 0, Kind::NetUnreachable},
      {net::Icmp6Type::Unreachable, 1, Kind::AdminProhibited},
      {net::Icmp6Type::Unreachable, 3, Kind::HostUnreachable},
      {net::Icmp6Type::Unreachable, 4, Kind::PortUnreachable},
      {net::Icmp6Type::TimeExceeded, 0, Kind::TimeExceeded},
      {net::Icmp6Type::ParameterProblem, 0, Kind::ParameterProblem},
      {net::Icmp6Type::ParameterProblem, 1, Kind::ProtocolUnreachable}};
  for (const auto& [type, code, kind] : kinds6) {
    receive_ip6(error6(type, code, 0, quoted_tcp6()));
    EXPECT_EQ(tcp.errors.back().kind, kind);
  }
  EXPECT_EQ(tcp.errors.size(), std::size(kinds) + std::size(kinds6));
  h.register_protocol(net::kProtocolTcp, nullptr);
}

TEST_F(Icmp, ignores_errors_about_packets_it_cannot_have_sent) {
  Listener tcp;
  h.register_protocol(net::kProtocolTcp, &tcp);
  Octets foreign = quoted_tcp4();
  foreign[15] = 77;
  receive_ip4(error4(net::IcmpType::Unreachable, 1, 0, foreign));
  EXPECT_EQ(count("ip4-icmp-input", "not_ours"), 1u);
  Octets cut = quoted_tcp4();
  cut.resize(27);  // One byte short of the eight that name its sender.
  receive_ip4(error4(net::IcmpType::Unreachable, 1, 0, cut));
  EXPECT_EQ(count("ip4-icmp-input", "icmp_bad_quote"), 1u);
  EXPECT_TRUE(tcp.errors.empty());
  h.register_protocol(net::kProtocolTcp, nullptr);
}

TEST_F(Icmp, hands_vectors_of_segments_to_a_protocol) {
  Listener tcp;
  h.register_protocol(net::kProtocolTcp, &tcp);
  net::Frame frame;
  for (int i = 0; i < 100; ++i) {
    net::PacketPtr p = pool.allocate();
    p->assign(
        ethernet(own_mac(), peer_mac(), EtherType::Ip4,
                 ip4({.source = kPeer, .destination = kOwn, .protocol = 6, .tos = 3}, Octets(20))));
    frame.push(std::move(p));
  }
  cable.a().receive(std::move(frame));
  EXPECT_EQ(tcp.vectors, std::vector<uint32_t>{100});
  EXPECT_EQ(tcp.packets[0]->l4_offset, 20);
  EXPECT_EQ(tcp.packets[0]->ecn, 3);
  EXPECT_EQ(tcp.packets[0]->size(), 40u);
  EXPECT_EQ(tcp.packets[0]->checksum, net::Checksum::Unknown);
  h.register_protocol(net::kProtocolTcp, nullptr);
}

TEST_F(Icmp, keeps_broadcasts_from_protocols_that_take_none) {
  Listener tcp;
  h.register_protocol(net::kProtocolTcp, &tcp);
  receive_ip4(
      ip4({.source = kPeer, .destination = Ip4::of(10, 0, 0, 255), .protocol = 6}, Octets(20)));
  EXPECT_EQ(count("ip4-local", "no_multicast"), 1u);
  EXPECT_TRUE(tcp.packets.empty());
  h.register_protocol(net::kProtocolTcp, nullptr);
}

}  // namespace
}  // namespace wh::vnet
