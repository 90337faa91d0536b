// NAT44: what it translates, and what not.
#include "net/wire/tcp.h"
#include "vnet/nat44_test_support.h"

namespace wh::vnet {
namespace {

using net::Ip4;

using Nat = NatTest;

TEST_F(Nat, lets_an_inside_host_ping_and_be_answered) {
  const auto s = ping(a, "10.2.0.2", {.count = 3});
  EXPECT_EQ(s.received, 3u);
  ASSERT_EQ(r.nat44().size(), 1u);
  const NatMapping& m = *r.nat44().mappings()[0];
  EXPECT_EQ(m.inside.address, Ip4::of(10, 1, 0, 2));
  EXPECT_EQ(m.outside.address, pool_address);
  EXPECT_EQ(m.packets, 6u);
  loop.run_for(70s);
  EXPECT_EQ(r.nat44().size(), 0u);
}

// Fragments of a ping have its identifier in the first only, and come in any order.
TEST_F(Nat, lets_large_pings_and_their_answers_pass_in_fragments) {
  const auto s = ping(a, "10.2.0.2", {.size = 4000, .count = 3});
  EXPECT_EQ(s.received, 3u);
  ASSERT_EQ(r.nat44().size(), 1u);
  EXPECT_EQ(r.nat44().mappings()[0]->packets, 18u);
  // The router's own pings keep their address and identifier.
  EXPECT_EQ(ping(r, "10.2.0.2", {.size = 4000, .count = 1}).received, 1u);

  MUST(a.add_neighbour(ia, ip("10.1.0.1"), left.b().mac()));
  const Octets message = echo4(77, 1, Octets(1600));
  std::vector<Octets> pieces;
  for (const uint32_t at : {0u, 800u, 1600u}) {
    const uint32_t end = std::min<uint32_t>(at + 800, static_cast<uint32_t>(message.size()));
    pieces.push_back(ip4({.source = Ip4::of(10, 1, 0, 2),
                          .destination = Ip4::of(10, 2, 0, 2),
                          .protocol = net::kProtocolIcmp,
                          .id = 9,
                          .more_fragments = end < message.size(),
                          .fragment_offset = static_cast<uint16_t>(at)},
                         {message.begin() + at, message.begin() + end}));
  }
  Recorder seen;
  right.b().add_tap(&seen);
  for (const size_t i : {2u, 1u, 0u}) {
    net::PacketPtr p = pool.allocate();
    p->assign(pieces[i]);
    net::Frame frame;
    frame.push(std::move(p));
    a.output(std::move(frame));
  }
  loop.run_for(100ms);
  right.b().remove_tap(&seen);
  EXPECT_EQ(seen.in.size(), 3u);
  EXPECT_EQ(seen.out.size(), 2u);  // b put them together: an answer, in fragments of its own.
  EXPECT_EQ(count(r, "nat44-in2out-output", "unreadable"), 0u);
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST_F(Nat, translates_datagrams_whole_and_in_fragments) {
  std::vector<std::pair<net::IpAddress, uint32_t>> came;
  std::unique_ptr<UdpSocket> server = MUST(b.open_udp({.port = 53}, [&](const UdpDatagram& d) {
    came.push_back({d.source, d.size});
    MUST(server->send(d.source, d.source_port, d.payload()));
  }));
  std::vector<uint32_t> back;
  auto client = MUST(a.open_udp({.port = 4000}, [&](const UdpDatagram& d) {
    EXPECT_EQ(d.source, ip("10.2.0.2"));
    back.push_back(d.size);
  }));
  for (const uint32_t size : {10u, 4000u, 0u}) {
    MUST(client->send(ip("10.2.0.2"), 53, std::vector<uint8_t>(size, 7)));
    loop.run_for(100ms);
  }
  // Received means that the checksum over the new addresses is right.
  ASSERT_EQ(came.size(), 3u);
  EXPECT_EQ(came[1], (std::pair<net::IpAddress, uint32_t>{net::IpAddress(pool_address), 4000u}));
  EXPECT_EQ(back, (std::vector<uint32_t>{10, 4000, 0}));
  EXPECT_EQ(r.nat44().size(), 1u);
  EXPECT_EQ(r.nat44().mappings()[0]->outside.port, 4000u);  // Its own port, as that was free.
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST_F(Nat, gives_another_port_when_one_is_taken) {
  Nat44& nat = r.nat44();
  const auto one = nat.outside_of({17, Ip4::of(10, 1, 0, 2), 4000, 0}, true);
  const auto two = nat.outside_of({17, Ip4::of(10, 1, 0, 3), 4000, 0}, true);
  EXPECT_EQ(one->port, 4000u);
  EXPECT_NE(two->port, 4000u);
  EXPECT_GE(two->port, 1024u);
  EXPECT_EQ(nat.inside_of(*two)->address, Ip4::of(10, 1, 0, 3));
  // TCP's ports are others.
  EXPECT_EQ(nat.outside_of({6, Ip4::of(10, 1, 0, 3), 4000, 0}, true)->port, 4000u);
}

TEST_F(Nat, gives_every_port_of_an_address_and_then_none) {
  Nat44& nat = r.nat44();
  MUST(nat.set_max_mappings(200'000));
  const auto of_host = [&](uint8_t host, uint8_t protocol, uint32_t port) {
    return nat.outside_of({protocol, Ip4::of(10, 1, 0, host), static_cast<uint16_t>(port), 0},
                          true);
  };
  // Half of them as they are, and for the second host of the same ports the other half.
  for (uint32_t port = 1024; port <= 0xffff; port += 2) {
    ASSERT_EQ(of_host(2, 17, port)->port, port);
  }
  for (uint32_t port = 1024; port <= 0xffff; port += 2) ASSERT_TRUE(of_host(3, 17, port));
  EXPECT_FALSE(of_host(4, 17, 5000));
  EXPECT_EQ(of_host(4, 17, 80)->port, 80u);
  EXPECT_FALSE(of_host(5, 17, 80));
  EXPECT_TRUE(of_host(4, 6, 5000));
  // One that is taken from its mapping and given back is the next.
  const NatStatic forward{17, pool_address, 6000, Ip4::of(10, 1, 0, 9), 53};
  MUST(nat.add_static(forward));
  EXPECT_FALSE(of_host(4, 17, 5000));
  MUST(nat.remove_static(forward));
  EXPECT_EQ(of_host(4, 17, 5000)->port, 6000u);
  nat.clear();
  EXPECT_EQ(of_host(4, 17, 7000)->port, 7000u);
}

TEST_F(Nat, forwards_a_port) {
  MUST(r.nat44().add_static({net::kProtocolUdp, pool_address, 8053, Ip4::of(10, 1, 0, 2), 53}));
  int asked = 0, answered = 0;
  std::unique_ptr<UdpSocket> server = MUST(a.open_udp({.port = 53}, [&](const UdpDatagram& d) {
    ++asked;
    MUST(server->send(d.source, d.source_port, d.payload()));
  }));
  auto client = MUST(b.open_udp({}, [&](const UdpDatagram& d) {
    EXPECT_EQ(d.source, net::IpAddress(pool_address));
    EXPECT_EQ(d.source_port, 8053u);
    ++answered;
  }));
  MUST(client->send(net::IpAddress(pool_address), 8053, Octets(20)));
  loop.run_for(100ms);
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(answered, 1);
  EXPECT_EQ(r.nat44().size(), 0u);
  MUST(r.nat44().remove_static({net::kProtocolUdp, pool_address, 8053, Ip4::of(10, 1, 0, 2), 53}));
  EXPECT_FALSE(
      r.nat44().remove_static({net::kProtocolUdp, pool_address, 8053, Ip4::of(10, 1, 0, 2), 53}));
}

// Inside, a forwarded port is reached by its outside address too (RFC 4787 REQ-9): the server sees
// what the client is outside, so that its answer comes by here again.
TEST_F(Nat, lets_the_inside_reach_a_forwarded_port_by_its_outside_address) {
  MUST(a.add_address(ia, prefix("10.1.0.3/24")));
  MUST(r.nat44().add_static({net::kProtocolUdp, pool_address, 8053, Ip4::of(10, 1, 0, 2), 53}));
  int asked = 0, answered = 0;
  size_t received = 0;
  std::unique_ptr<UdpSocket> server =
      MUST(a.open_udp({.address = ip("10.1.0.2"), .port = 53}, [&](const UdpDatagram& d) {
        ++asked;
        EXPECT_EQ(d.source, net::IpAddress(pool_address));
        received += d.payload().size();
        MUST(server->send(d.source, d.source_port, Octets(20)));
      }));
  auto client =
      MUST(a.open_udp({.address = ip("10.1.0.3"), .port = 4000}, [&](const UdpDatagram& d) {
        EXPECT_EQ(d.source, net::IpAddress(pool_address));
        EXPECT_EQ(d.source_port, 8053u);
        ++answered;
      }));
  MUST(client->send(net::IpAddress(pool_address), 8053, Octets(20)));
  MUST(client->send(net::IpAddress(pool_address), 8053, Octets(4000)));  // In fragments.
  loop.run_for(100ms);
  EXPECT_EQ(asked, 2);
  EXPECT_EQ(received, 4020u);
  EXPECT_EQ(answered, 2);
  EXPECT_EQ(count(r, "nat44-hairpinning", "translated"), 4u + 2u);
  ASSERT_EQ(r.nat44().size(), 1u);
  EXPECT_EQ(r.nat44().mappings()[0]->inside.address, Ip4::of(10, 1, 0, 3));
}

// The same of what another inside host is at the moment, and of the error that it answers with.
TEST_F(Nat, brings_errors_about_hairpinned_packets_back) {
  MUST(a.add_address(ia, prefix("10.1.0.3/24")));
  const NatEndpoint closed{net::kProtocolUdp, Ip4::of(10, 1, 0, 2), 5000, 0};
  const NatEndpoint outside = *r.nat44().outside_of(closed, true);
  std::vector<net::IpError> errors;
  auto client =
      MUST(a.open_udp({.address = ip("10.1.0.3"), .port = 4000}, [](const UdpDatagram&) {}));
  client->on_error([&](const net::IpError& e) { errors.push_back(e); });
  MUST(client->send(net::IpAddress(outside.address), outside.port, Octets(20)));
  loop.run_for(100ms);
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0].destination, net::IpAddress(pool_address));
}

TEST_F(Nat, hairpins_echoes_to_a_whole_address_and_leaves_the_routers_own) {
  MUST(a.add_address(ia, prefix("10.1.0.3/24")));
  MUST(r.nat44().add_static({0, Ip4::of(10, 2, 0, 50), 0, Ip4::of(10, 1, 0, 2), 0}));
  EXPECT_EQ(ping(a, "10.2.0.50", {.source = ip("10.1.0.3"), .count = 2}).received, 2u);
  EXPECT_EQ(count(r, "nat44-hairpinning", "translated"), 4u);
  EXPECT_EQ(ping(a, "10.2.0.2", {.count = 1}).received, 1u);
  EXPECT_EQ(ping(a, "10.2.0.1", {.count = 2}).received, 2u);
  EXPECT_EQ(count(r, "nat44-hairpinning", "translated"), 4u);
}

TEST_F(Nat, maps_a_whole_address) {
  MUST(r.nat44().add_static({0, Ip4::of(10, 2, 0, 50), 0, Ip4::of(10, 1, 0, 2), 0}));
  EXPECT_EQ(ping(b, "10.2.0.50", {.count = 2}).received, 2u);
}

TEST_F(Nat, maps_a_whole_address_of_any_protocol) {
  const Ip4 inside = Ip4::of(10, 1, 0, 2), outside = Ip4::of(10, 2, 0, 50);
  const Ip4 peer = Ip4::of(10, 2, 0, 2);
  MUST(r.nat44().add_static({0, outside, 0, inside, 0}));
  Recorder at_a, at_b;
  left.a().add_tap(&at_a);
  right.b().add_tap(&at_b);
  auto send = [&](Vnet& from, const net::Ip4Header& header) {
    net::PacketPtr p = pool.allocate();
    p->assign(ip4(header, Octets(20)));
    net::Frame frame;
    frame.push(std::move(p));
    from.output(std::move(frame));
    loop.run_for(100ms);
  };
  const auto came = [](const Recorder& at, uint8_t protocol, Ip4 source, Ip4 destination) {
    return std::count_if(at.in.begin(), at.in.end(), [&](const Octets& f) {
      return f.size() > 34 && f[12] == 8 && f[13] == 0 && f[23] == protocol &&
             net::load32(&f[26]) == source.value && net::load32(&f[30]) == destination.value &&
             net::header_checksum(std::span(f).subspan(14, 20)) == 0;
    });
  };
  constexpr uint8_t kGre = 47;
  send(a, {.source = inside, .destination = peer, .protocol = kGre});
  EXPECT_EQ(came(at_b, kGre, outside, peer), 1);
  // That b does not know the protocol is told whom it is about.
  EXPECT_EQ(came(at_a, net::kProtocolIcmp, peer, inside), 1);
  send(b, {.source = peer, .destination = outside, .protocol = kGre});
  EXPECT_EQ(came(at_a, kGre, peer, inside), 1);
  send(a, {.source = Ip4::of(10, 1, 0, 3), .destination = peer, .protocol = kGre});
  EXPECT_EQ(count(r, "nat44-in2out-output", "unknown_protocol"), 1u);
  left.a().remove_tap(&at_a);
  right.b().remove_tap(&at_b);
}

TEST_F(Nat, gives_nobody_else_ports_of_an_address_that_is_one_hosts) {
  Nat44& nat = r.nat44();
  const Ip4 host = Ip4::of(10, 1, 0, 2);
  const NatEndpoint own{17, host, 5000, 0}, other{17, Ip4::of(10, 1, 0, 3), 4000, 0};
  ASSERT_TRUE(nat.outside_of(own, true));
  ASSERT_TRUE(nat.outside_of(other, true));
  MUST(nat.add_static({0, pool_address, 0, host, 0}));
  EXPECT_EQ(nat.size(), 0u);
  EXPECT_FALSE(nat.outside_of(other, true));
  EXPECT_EQ(nat.inside_of({17, pool_address, 4000, 0})->address, host);
}

TEST_F(Nat, answers_arp_for_its_addresses_on_the_outside_link) {
  auto answers = [&](std::string_view address) {
    const uint64_t before = count(r, "arp-reply", "replies");
    ping(b, address, {.count = 1});
    return count(r, "arp-reply", "replies") != before;
  };
  EXPECT_FALSE(answers("10.2.0.51"));
  MUST(r.nat44().add_address(Ip4::of(10, 2, 0, 51)));
  EXPECT_TRUE(answers("10.2.0.51"));
  const NatStatic one{net::kProtocolUdp, Ip4::of(10, 2, 0, 52), 53, Ip4::of(10, 1, 0, 2), 53};
  NatStatic two = one;
  two.outside_port = two.inside_port = 54;
  MUST(r.nat44().add_static(one));
  MUST(r.nat44().add_static(two));
  MUST(r.nat44().remove_static(one));
  EXPECT_TRUE(answers("10.2.0.52"));
  MUST(r.nat44().remove_static(two));
  loop.run_for(1200s);  // b forgets it.
  EXPECT_FALSE(answers("10.2.0.52"));
  // Inside, nobody is told of them, nor of what is on another link.
  MUST(r.nat44().add_address(Ip4::of(10, 1, 0, 51)));
  ping(a, "10.1.0.51", {.count = 1});
  EXPECT_EQ(a.graph().error_count("arp-input", "heard"), 0u);
}

TEST_F(Nat, brings_errors_to_whom_they_are_about) {
  std::vector<net::IpError> errors;
  auto client = MUST(a.open_udp({.port = 4000}, [](const UdpDatagram&) {}));
  client->on_error([&](const net::IpError& e) { errors.push_back(e); });
  MUST(client->send(ip("10.2.0.2"), 9, Octets(20)));  // Nobody listens.
  loop.run_for(100ms);
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0].kind, net::IpError::Kind::PortUnreachable);
  EXPECT_EQ(errors[0].source, ip("10.1.0.2"));
  EXPECT_EQ(errors[0].destination, ip("10.2.0.2"));
  // And the other way: an inside host has closed the port that was forwarded to it.
  MUST(r.nat44().add_static({net::kProtocolUdp, pool_address, 8053, Ip4::of(10, 1, 0, 2), 53}));
  auto outside = MUST(b.open_udp({}, [](const UdpDatagram&) {}));
  std::vector<net::IpError> seen;
  outside->on_error([&](const net::IpError& e) { seen.push_back(e); });
  MUST(outside->send(net::IpAddress(pool_address), 8053, Octets(20)));
  loop.run_for(100ms);
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].destination, net::IpAddress(pool_address));
}

// What the router refuses of an outside host's packets was translated before: the error is about
// the packet as that host sent it (RFC 5508 section 4.2), or it would not know what to do with it.
TEST_F(Nat, tells_an_outside_host_of_its_own_packet) {
  MUST(r.nat44().add_static({net::kProtocolUdp, pool_address, 8053, Ip4::of(10, 1, 0, 2), 53}));
  MUST(r.set_mtu(kInside, 1300));
  auto outside = MUST(b.open_udp({.dont_fragment = true}, [](const UdpDatagram&) {}));
  std::vector<net::IpError> seen;
  outside->on_error([&](const net::IpError& e) { seen.push_back(e); });
  Recorder wire;
  right.b().add_tap(&wire);
  MUST(outside->send(net::IpAddress(pool_address), 8053, Octets(1400)));
  loop.run_for(100ms);
  right.b().remove_tap(&wire);
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].kind, net::IpError::Kind::PacketTooBig);
  EXPECT_EQ(seen[0].mtu, 1300u);
  EXPECT_EQ(seen[0].destination, net::IpAddress(pool_address));
  ASSERT_FALSE(wire.in.empty());
  const std::span<const uint8_t> error = wire.in.back();
  EXPECT_EQ(net::load32(error.data() + 14 + 12), pool_address.value);
  EXPECT_EQ(net::load16(error.data() + 14 + 28 + 22), 8053);  // The quoted destination port.
  EXPECT_EQ(net::checksum_of(error.subspan(14 + 20)), 0);
  EXPECT_EQ(net::checksum_of(error.subspan(14 + 28, 20)), 0);
  seen.clear();
  MUST(b.sysctl().set("net.inet.ip.ttl", "1"));
  MUST(outside->send(net::IpAddress(pool_address), 8053, Octets(10)));
  loop.run_for(100ms);
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].kind, net::IpError::Kind::TimeExceeded);
  EXPECT_EQ(seen[0].destination, net::IpAddress(pool_address));
}

TEST_F(Nat, leaves_the_router_itself_reachable_and_reaching) {
  EXPECT_EQ(ping(b, "10.2.0.1", {.count = 2}).received, 2u);
  EXPECT_EQ(ping(r, "10.2.0.2", {.count = 2}).received, 2u);
  EXPECT_EQ(ping(r, "10.1.0.2", {.count = 2}).received, 2u);
}

// Who scans its outside address makes it refuse much, and that fills no table.
TEST_F(Nat, maps_what_the_router_begins_and_not_what_it_refuses) {
  Recorder seen;
  right.b().add_tap(&seen);
  auto send = [&](uint16_t port, net::TcpFlags flags) {
    Octets tcp(20);
    net::store16(tcp.data(), port);
    net::store16(tcp.data() + 2, 4000);
    tcp[12] = 0x50;
    tcp[13] = static_cast<uint8_t>(flags.bits);
    net::PacketPtr p = pool.allocate();
    p->assign(ip4({.source = pool_address,
                   .destination = Ip4::of(10, 2, 0, 2),
                   .protocol = net::kProtocolTcp},
                  tcp));
    net::Frame frame;
    frame.push(std::move(p));
    r.output(std::move(frame));
  };
  EXPECT_EQ(ping(r, "10.2.0.2", {.count = 1}).received, 1u);  // The neighbour is known.
  loop.run_for(70s);
  seen.in.clear();
  for (uint16_t port = 1; port <= 300; ++port) send(port, net::kTcpRst | net::kTcpAck);
  loop.run_for(10ms);
  EXPECT_EQ(seen.in.size(), 300u);
  EXPECT_EQ(r.nat44().size(), 0u);
  // A port that it uses itself is kept from inside hosts.
  send(4000, net::kTcpSyn);
  EXPECT_EQ(r.nat44().size(), 1u);
  EXPECT_NE(r.nat44().outside_of({6, Ip4::of(10, 1, 0, 2), 4000, 0}, true)->port, 4000u);
  right.b().remove_tap(&seen);
}

TEST_F(Nat, ends_mappings_of_addresses_that_are_gone) {
  Nat44& nat = r.nat44();
  const NatEndpoint inside{17, Ip4::of(10, 1, 0, 2), 4000, 0};
  auto map = [&] {
    ASSERT_TRUE(nat.outside_of(inside, true));
    ASSERT_EQ(nat.size(), 1u);
  };
  map();
  MUST(nat.remove_address(pool_address));
  EXPECT_EQ(nat.size(), 0u);
  MUST(nat.add_interface_addresses(kOutside));
  map();
  MUST(nat.remove_interface_addresses(kOutside));
  EXPECT_EQ(nat.size(), 0u);
  MUST(nat.add_interface_addresses(kOutside));
  map();
  MUST(r.add_address(kOutside, prefix("10.2.0.9/24")));
  MUST(r.remove_address(kOutside, ip("10.2.0.9")));
  EXPECT_EQ(nat.size(), 1u) << "an address that it does not have";
  MUST(r.remove_address(kOutside, net::IpAddress(pool_address)));
  EXPECT_EQ(nat.size(), 0u);
  MUST(r.add_address(kOutside, prefix("10.2.0.1/24")));
  map();
  MUST(r.detach(kOutside));
  EXPECT_EQ(nat.size(), 0u);
}

TEST_F(Nat, drops_and_counts_what_has_no_mapping) {
  MUST(r.nat44().add_address(Ip4::of(10, 2, 0, 60)));
  EXPECT_EQ(ping(b, "10.2.0.60", {.count = 2}).received, 0u);
  EXPECT_EQ(count(r, "nat44-out2in", "no_translation"), 2u);
}

TEST_F(Nat, refuses_what_cannot_be) {
  EXPECT_EQ(r.nat44().add_address(pool_address).error().text,
            "nat address 10.2.0.1: is in the pool");
  EXPECT_FALSE(r.nat44().add_address(Ip4::of(224, 0, 0, 5)));
  EXPECT_EQ(r.nat44().set_role(kInside, NatRole::Outside).error().text,
            "interface left: is inside");
  EXPECT_FALSE(r.nat44().add_static({17, pool_address, 0, Ip4::of(10, 1, 0, 2), 53}));
  EXPECT_FALSE(r.nat44().add_static({47, pool_address, 5, Ip4::of(10, 1, 0, 2), 5}));
  EXPECT_FALSE(r.nat44().add_static({0, Ip4::of(224, 0, 0, 5), 0, Ip4::of(10, 1, 0, 2), 0}));
  EXPECT_FALSE(r.nat44().remove_address(Ip4::of(1, 2, 3, 4)));
  EXPECT_FALSE(r.nat44().set_max_mappings(0));
  MUST(r.detach(kOutside));
  EXPECT_EQ(r.nat44().role(kOutside), NatRole::None);
}

}  // namespace
}  // namespace wh::vnet
