// What a network does when it is broken or hostile: storms, loops, peers and interfaces that go in
// the middle of things, buffers that run out. Each loss is counted, memory keeps to its bounds, and
// what is right again works again.
#include "vnet/fib.h"
#include "vnet/neighbour.h"
#include "vnet/test_support.h"

namespace wh::vnet {
namespace {

using net::ArpOperation;
using net::ArpPacket;
using net::Ip4;
using net::IpError;
using net::MacAddress;

Octets arp(const ArpPacket& packet) {
  Octets bytes(ArpPacket::kSize);
  packet.emit(bytes);
  return ethernet(MacAddress::broadcast(), packet.sender_mac, net::EtherType::Arp, bytes);
}

class Storm : public HostTest {
 protected:
  static constexpr size_t kEntries = 100;
  Storm() {
    for (const char* setting : {"net.link.ether.inet.maxentries=100",
                                "net.inet6.icmp6.nd6_maxentries=100", "net.inet.ip.forwarding=1"}) {
      MUST(h.sysctl().assign(setting));
    }
  }
};

TEST_F(Storm, of_arp_requests_fills_no_more_than_the_table) {
  for (uint32_t i = 0; i < 20'000; ++i) {
    // All hosts of the link ask for us, from ever new addresses of their cards.
    receive(arp({ArpOperation::Request,
                 MacAddress::local(1000 + i),
                 Ip4{0x0a000003 + i % 250},
                 {},
                 Ip4::of(10, 0, 0, 1)}));
    // And for each other, which is none of ours.
    receive(arp({ArpOperation::Request,
                 MacAddress::local(1000 + i),
                 Ip4{0x0a000003 + i % 250},
                 {},
                 Ip4::of(10, 0, 0, 254)}));
    recorder.out.clear();
    recorder.in.clear();
  }
  EXPECT_EQ(h.stack().arp->size(), kEntries);
  EXPECT_GT(h.stack().arp->counters().displaced, 0u);
  EXPECT_EQ(count("arp-reply", "replies"), 20'000u);
  EXPECT_EQ(count("arp-input", "not_ours"), 20'000u);
  EXPECT_EQ(pool.in_use(), 0u);
  // Who was known before is known still.
  receive_ip4(ip4({.source = Ip4::of(10, 0, 0, 2),
                   .destination = Ip4::of(10, 0, 0, 1),
                   .protocol = net::kProtocolIcmp},
                  echo4(1, 1)));
  EXPECT_EQ(sent().size(), 1u);
}

TEST_F(Storm, of_neighbour_solicitations_fills_no_more_than_the_table) {
  const net::Ip6 own = ip("2001:db8::1").v6();
  for (uint32_t i = 0; i < 5'000; ++i) {
    net::Ip6 from = ip("2001:db8::").v6();
    net::store32(from.bytes.data() + 12, 100 + i);
    receive_ip6(discovery(
        from, own, net::NeighbourSolicitation{.target = own, .source_mac = MacAddress::local(i)}));
    recorder.out.clear();
    recorder.in.clear();
  }
  EXPECT_EQ(h.stack().nd->size(), kEntries);
  EXPECT_EQ(pool.in_use(), 0u);
  // And keeps nobody from being found.
  auto socket = MUST(h.open_udp({.family = net::Family::V6}, [](const UdpDatagram&) {}));
  MUST(socket->send(ip("2001:db8::f:77"), 9, Octets(10)));
  ASSERT_EQ(sent().size(), 1u);
  receive_ip6(discovery(ip("2001:db8::f:77").v6(), own,
                        net::NeighbourAdvertisement{.target = ip("2001:db8::f:77").v6(),
                                                    .solicited = true,
                                                    .override = true,
                                                    .target_mac = MacAddress::local(77)}));
  EXPECT_NE(h.stack().nd->find(index, ip("2001:db8::f:77")), nullptr);
  EXPECT_EQ(sent().size(), 1u);
}

// A scan of the link from outside: every packet wants another neighbour, none of which answers.
TEST_F(Storm, of_unknown_destinations_holds_a_bounded_number_of_packets) {
  for (uint32_t i = 0; i < 20'000; ++i) {
    receive_ip4(ip4({.source = Ip4::of(10, 0, 0, 2),
                     .destination = Ip4{0x0a000003 + i % 250},
                     .protocol = net::kProtocolUdp},
                    udp(1, 2)));
    recorder.out.clear();
    recorder.in.clear();
  }
  EXPECT_LE(pool.in_use(), kEntries * 16);
  EXPECT_GT(count("ip4-arp", "table_full"), 0u);
  loop.run_for(60s);
  EXPECT_EQ(pool.in_use(), 0u);
  EXPECT_GT(count("ip4-arp", "unresolved"), 0u);
}

using Broken = RouterTest;

TEST_F(Broken, routing_loop_ends_with_the_ttl) {
  MUST(b.sysctl().assign("net.inet.ip.forwarding=1"));
  MUST(b.sysctl().assign("net.inet6.ip6.forwarding=1"));
  for (const auto& [to, of_r, of_b] :
       {std::tuple("10.9.0.0/16", "10.2.0.2", "10.2.0.1"),
        std::tuple("2001:db8:9::/48", "2001:db8:2::2", "2001:db8:2::1")}) {
    MUST(r.add_route(prefix(to), ip(of_r)));
    MUST(b.add_route(prefix(to), ip(of_b)));
  }
  std::vector<IpError> errors;
  Ping::Actions keep{.on_error = [&](const IpError& e) { errors.push_back(e); }};
  for (const char* nowhere : {"10.9.0.1", "2001:db8:9::1"}) {
    errors.clear();
    const uint64_t before = right.a().counters().tx_packets + right.b().counters().tx_packets;
    EXPECT_EQ(ping(a, nowhere, {.count = 1, .ttl = 64}, keep).received, 0u);
    ASSERT_EQ(errors.size(), 1u);
    EXPECT_EQ(errors[0].kind, IpError::Kind::TimeExceeded);
    const uint64_t passes =
        right.a().counters().tx_packets + right.b().counters().tx_packets - before;
    EXPECT_GE(passes, 63u);
    EXPECT_LE(passes, 75u);  // The error, and who asked whom for an address.
  }
  EXPECT_EQ(pool.in_use(), 0u);
  // A thousand at once: each goes round no more often, and not each is answered.
  errors.clear();
  const PingStatistics many = ping(a, "10.9.0.1", {.count = 300, .ttl = 64}, keep);
  EXPECT_EQ(many.received, 0u);
  EXPECT_GT(errors.size(), 0u);
  EXPECT_EQ(count(r, "ip4-input", "ttl_expired") + count(b, "ip4-input", "ttl_expired"), 301u);
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST_F(Broken, routes_that_lead_in_a_circle_forward_nothing) {
  MUST(r.add_route(prefix("10.8.0.0/16"), ip("10.2.0.2")));
  MUST(r.add_route(prefix("10.9.0.0/16"), ip("10.8.0.1")));
  MUST(r.add_route(prefix("10.8.0.0/16"), ip("10.9.0.1")));
  EXPECT_EQ(ping(a, "10.9.1.1", {.count = 3}).received, 0u);
  EXPECT_EQ(pool.in_use(), 0u);
  MUST(r.add_route(prefix("10.8.0.0/16"), ip("10.2.0.2")));
  MUST(b.add_address(ib, prefix("10.9.1.1/32")));
  EXPECT_EQ(ping(a, "10.9.1.1", {.count = 3}).received, 3u);
}

TEST_F(Broken, peer_that_vanishes_is_unreachable_and_comes_back) {
  MUST(r.sysctl().assign("net.link.ether.inet.max_age=2"));
  EXPECT_EQ(ping(a, "10.2.0.2").received, 5u);
  EXPECT_EQ(ping(a, "2001:db8:2::2").received, 5u);
  right.b().set_up(false);
  for (const auto& [gone, node] :
       {std::pair("10.2.0.2", "ip4-arp"), std::pair("2001:db8:2::2", "ip6-discover-neighbor")}) {
    EXPECT_EQ(ping(a, gone, {.count = 20}).received, 0u);
    loop.run_for(60s);  // What was known of it gets old while it is used.
    EXPECT_EQ(ping(a, gone, {.count = 20}).received, 0u);
    loop.run_for(20s);  // It does not answer.
    EXPECT_GT(count(r, node, "unresolved"), 0u);
    EXPECT_EQ(pool.in_use(), 0u);
  }
  right.b().set_up(true);
  EXPECT_EQ(ping(a, "10.2.0.2").received, 5u);
  EXPECT_EQ(ping(a, "2001:db8:2::2").received, 5u);
}

TEST_F(Broken, interface_is_removed_while_packets_wait_and_pass) {
  MUST(r.add_route(prefix("10.9.0.0/16"), ip("10.2.0.2")));
  EXPECT_EQ(ping(a, "10.2.0.2").received, 5u);
  right.b().set_up(false);
  MUST(r.remove_neighbour(2, ip("10.2.0.2")));
  // Some wait for the neighbour when it goes, and there are fragments without their end.
  Ping waiting(a, {.destination = ip("10.2.0.2"), .count = 10, .interval = 1ms}, {});
  MUST(waiting.start());
  loop.run_for(5ms);
  EXPECT_GT(pool.in_use(), 0u);
  MUST(r.detach(2));
  loop.run_for(5s);
  EXPECT_EQ(pool.in_use(), 0u);
  EXPECT_EQ(ping(a, "10.2.0.2").received, 0u);
  EXPECT_EQ(ping(a, "10.9.0.1").received, 0u);
  EXPECT_EQ(ping(a, "10.1.0.1").received, 5u);  // The rest of it works.
  EXPECT_GT(count(r, "ip4-lookup", "no_route"), 0u);
  right.b().set_up(true);
  const uint16_t again = MUST(r.attach(right.a()));
  MUST(r.add_address(again, prefix("10.2.0.1/24")));
  EXPECT_EQ(ping(a, "10.2.0.2").received, 5u);
}

// Fragments that never become whole take every buffer there is.
TEST(OutOfBuffers, loses_counted_packets_until_some_come_back) {
  constexpr size_t kBuffers = 96;
  net::PacketPool pool(kBuffers);
  VirtualLoop loop;
  net::Cable cable(port("eth0", 1), port("peer", 2), loop);
  Vnet h({.name = "h"}, loop, pool, Random(1));
  const uint16_t index = MUST(h.attach(cable.a()));
  MUST(h.add_address(index, prefix("10.0.0.1/24")));
  MUST(h.add_neighbour(index, ip("10.0.0.2"), cable.b().mac()));
  uint64_t refused = 0;
  auto receive = [&](const net::Ip4Header& header, const Octets& payload) {
    net::PacketPtr p = pool.allocate();
    if (p == nullptr) {  // As a device does.
      ++refused;
      return;
    }
    p->assign(ethernet(cable.a().mac(), cable.b().mac(), net::EtherType::Ip4,
                       vnet::ip4(header, payload)));
    net::Frame frame;
    frame.push(std::move(p));
    cable.a().receive(std::move(frame));
    loop.run_for(0s);
  };
  const net::Ip4Header from_peer{.source = Ip4::of(10, 0, 0, 2),
                                 .destination = Ip4::of(10, 0, 0, 1),
                                 .protocol = net::kProtocolUdp};
  for (uint32_t i = 0; i < 2 * kBuffers; ++i) {
    net::Ip4Header fragment = from_peer;
    fragment.id = static_cast<uint16_t>(i);
    fragment.more_fragments = true;
    receive(fragment, Octets(64));
  }
  EXPECT_EQ(pool.in_use(), kBuffers);
  EXPECT_GE(refused, kBuffers);
  EXPECT_EQ(pool.exhausted(), refused);
  // What this host would say meanwhile is lost, too, and nothing else happens.
  EXPECT_FALSE(h.add_neighbour(index, ip("10.0.0.1"), cable.b().mac()));
  loop.run_for(120s);
  EXPECT_EQ(pool.in_use(), 0u);
  const uint64_t before = cable.a().counters().tx_packets;
  net::Ip4Header ping = from_peer;
  ping.protocol = net::kProtocolIcmp;
  receive(ping, echo4(1, 1));
  EXPECT_EQ(cable.a().counters().tx_packets, before + 1);
  EXPECT_EQ(pool.in_use(), 0u);
}

}  // namespace
}  // namespace wh::vnet
