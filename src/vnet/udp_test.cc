#include "vnet/udp.h"

#include <set>

#include "vnet/test_support.h"

namespace wh::vnet {
namespace {

using Udp = PairTest;

void ignore(const UdpDatagram&) {}

TEST_F(Udp, prefers_the_socket_bound_to_the_very_address) {
  MUST(b.add_address(ib, prefix("10.0.0.3/24")));
  int any = 0, one = 0;
  auto general = MUST(b.open_udp({.port = 9}, [&](const UdpDatagram&) { ++any; }));
  auto special =
      MUST(b.open_udp({.address = ip("10.0.0.3"), .port = 9}, [&](const UdpDatagram&) { ++one; }));
  auto client = MUST(a.open_udp({}, ignore));
  MUST(client->send(ip("10.0.0.2"), 9, Octets(1)));
  MUST(client->send(ip("10.0.0.3"), 9, Octets(1)));
  loop.run_for(1s);
  EXPECT_EQ(any, 1);
  EXPECT_EQ(one, 1);
}

TEST_F(Udp, refuses_a_second_socket_on_one_port) {
  auto first = MUST(b.open_udp({.port = 9}, ignore));
  EXPECT_EQ(b.open_udp({.port = 9}, ignore).error().code, std::errc::address_in_use);
  EXPECT_TRUE(b.open_udp({.family = net::Family::V6, .port = 9}, ignore));
  EXPECT_EQ(b.open_udp({.address = ip("10.9.9.9")}, ignore).error().code,
            std::errc::address_not_available);
  first.reset();
  EXPECT_TRUE(b.open_udp({.port = 9}, ignore));
}

TEST_F(Udp, picks_ephemeral_ports_until_none_is_left) {
  std::vector<std::unique_ptr<UdpSocket>> sockets;
  for (;;) {
    auto socket = a.open_udp({}, ignore);
    if (!socket) break;
    EXPECT_GE((*socket)->port(), 49152);
    sockets.push_back(std::move(*socket));
  }
  EXPECT_EQ(sockets.size(), 16384u);
}

TEST_F(Udp, hears_that_the_port_is_closed) {
  std::vector<net::IpError> errors;
  auto client = MUST(a.open_udp({}, ignore));
  client->on_error([&](const net::IpError& e) { errors.push_back(e); });
  MUST(client->send(ip("10.0.0.2"), 9, Octets(1)));
  loop.run_for(1s);
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0].kind, net::IpError::Kind::PortUnreachable);
  EXPECT_EQ(errors[0].destination, ip("10.0.0.2"));
}

TEST_F(Udp, names_what_cannot_be_sent) {
  auto client = MUST(a.open_udp({}, ignore));
  EXPECT_EQ(client->send(ip("192.0.2.1"), 9, Octets(1)).error().code,
            std::errc::network_unreachable);
  EXPECT_EQ(client->send(ip("10.0.0.2"), 9, Octets(65508)).error().code, std::errc::message_size);
  EXPECT_TRUE(client->send(ip("10.0.0.2"), 9, Octets(65507)));
  EXPECT_FALSE(client->send(ip("2001:db8::2"), 9, Octets(1)));
}

TEST_F(Udp, carries_the_congestion_mark_and_checks_sums) {
  uint8_t ecn = 0;
  int received = 0;
  auto server = MUST(b.open_udp({.port = 9}, [&](const UdpDatagram& d) {
    ecn = d.ecn;
    ++received;
  }));
  Octets datagram = udp(1000, 9, Octets(5, 1));
  auto deliver = [&] {
    net::PacketPtr p = pool.allocate();
    p->assign(ethernet(cable.b().mac(), cable.a().mac(), net::EtherType::Ip4,
                       ip4({.source = net::Ip4::of(10, 0, 0, 1),
                            .destination = net::Ip4::of(10, 0, 0, 2),
                            .protocol = 17,
                            .tos = 3},
                           datagram)));
    net::Frame frame;
    frame.push(std::move(p));
    cable.b().receive(std::move(frame));
  };
  deliver();  // Without a checksum.
  EXPECT_EQ(received, 1);
  EXPECT_EQ(ecn, 3);
  net::InternetSum sum = net::pseudo_header(net::Ip4::of(10, 0, 0, 1), net::Ip4::of(10, 0, 0, 2),
                                            17, static_cast<uint32_t>(datagram.size()));
  sum.add(datagram);
  net::store16(datagram.data() + 6, sum.checksum());
  deliver();
  EXPECT_EQ(received, 2);
  datagram[9] = 2;
  deliver();
  EXPECT_EQ(received, 2);
  EXPECT_EQ(count(b, "ip4-udp-lookup", "bad_checksum"), 1u);
  datagram.resize(7);
  deliver();
  EXPECT_EQ(count(b, "ip4-udp-lookup", "udp_truncated"), 1u);
  datagram = udp(1000, 9);
  net::store16(datagram.data() + 4, 7);
  deliver();
  EXPECT_EQ(count(b, "ip4-udp-lookup", "udp_bad_length"), 1u);
  net::store16(datagram.data() + 4, 500);
  deliver();
  EXPECT_EQ(count(b, "ip4-udp-lookup", "udp_length_beyond_packet"), 1u);
}

TEST_F(Udp, reaches_itself) {
  int received = 0;
  auto server = MUST(a.open_udp({.port = 9}, [&](const UdpDatagram&) { ++received; }));
  auto client = MUST(a.open_udp({}, ignore));
  MUST(client->send(ip("10.0.0.1"), 9, Octets(3)));
  MUST(client->send(ip("127.0.0.1"), 9, Octets(60'000)));
  EXPECT_EQ(received, 2);
}

// What routers on the way may cut is told apart by its identification (RFC 6864 section 4.3): each
// packet of ours that may be has another, whatever made it.
TEST_F(Udp, identifications_of_packets_that_may_be_cut_differ) {
  Recorder wire;
  cable.a().add_tap(&wire);
  auto server = MUST(b.open_udp({.port = 53}, [](const UdpDatagram&) {}));
  auto client = MUST(a.open_udp({}, [](const UdpDatagram&) {}));
  for (int i = 0; i < 3; ++i) {
    MUST(client->send(ip("10.0.0.2"), 53, Octets(20)));
    MUST(client->send(ip("10.0.0.2"), 54, Octets(20)));  // Nobody's: an error comes back.
  }
  EXPECT_EQ(ping(a, "10.0.0.2", {.count = 3}).received, 3u);
  const auto differ = [](const std::vector<Octets>& frames) {
    std::set<uint16_t> seen;
    size_t count = 0;
    for (const Octets& f : frames) {
      if (net::load16(f.data() + 12) != 0x0800 || (f[20] & 0x40) != 0) continue;
      ++count;
      seen.insert(net::load16(f.data() + 18));
    }
    EXPECT_EQ(seen.size(), count);
    return count;
  };
  EXPECT_EQ(differ(wire.out), 9u);
  EXPECT_EQ(differ(wire.in), 6u);
  cable.a().remove_tap(&wire);
}

}  // namespace
}  // namespace wh::vnet
