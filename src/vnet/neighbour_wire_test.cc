// ARP and neighbour discovery as they are on the wire, between vnets and by hand.
#include "vnet/show.h"
#include "vnet/test_support.h"

namespace wh::vnet {
namespace {

using net::ArpOperation;
using net::ArpPacket;
using net::EtherType;
using net::Ip4;
using net::Ip6;
using net::MacAddress;

class Arp : public HostTest {
 protected:
  void receive_arp(const ArpPacket& arp) {
    Octets bytes(ArpPacket::kSize);
    arp.emit(bytes);
    receive(ethernet(MacAddress::broadcast(), arp.sender_mac, EtherType::Arp, bytes + Octets(18)));
  }
  const Neighbour* find(std::string_view address) {
    return h.stack().arp->find(index, ip(address));
  }
  MacAddress other = MacAddress::local(50);
  Ip4 stranger = Ip4::of(10, 0, 0, 50);
  Ip4 own = Ip4::of(10, 0, 0, 1);
};

TEST_F(Arp, answers_for_its_address_and_learns_who_asks) {
  receive_arp({ArpOperation::Request, other, stranger, {}, own});
  EXPECT_EQ(sent(), std::vector<std::string>{"ARP, Reply 10.0.0.1 is-at 02:00:00:00:00:01"});
  ASSERT_NE(find("10.0.0.50"), nullptr);
  EXPECT_EQ(find("10.0.0.50")->mac(), other);
}

TEST_F(Arp, learns_nothing_from_talk_among_others) {
  receive_arp({ArpOperation::Request, other, stranger, {}, Ip4::of(10, 0, 0, 60)});
  receive_arp({ArpOperation::Reply, other, stranger, own_mac(), own});  // Nobody asked.
  EXPECT_EQ(find("10.0.0.50"), nullptr);
  EXPECT_TRUE(sent().empty());
  EXPECT_EQ(count("arp-input", "not_ours"), 1u);
  EXPECT_EQ(count("arp-input", "heard"), 1u);
}

TEST_F(Arp, answers_a_probe_without_learning) {
  receive_arp({ArpOperation::Request, other, Ip4{}, {}, own});
  EXPECT_EQ(sent().size(), 1u);
  EXPECT_EQ(h.stack().arp->size(), 1u);  // The one given by hand.
}

// Linux asks from the source of what it sends, which may be an address of a service.
TEST_F(Arp, answers_who_asks_from_an_address_of_no_link_without_learning) {
  receive_arp({ArpOperation::Request, other, Ip4::of(198, 51, 100, 1), {}, own});
  EXPECT_EQ(sent(), std::vector<std::string>{"ARP, Reply 10.0.0.1 is-at 02:00:00:00:00:01"});
  EXPECT_EQ(find("198.51.100.1"), nullptr);
  EXPECT_EQ(count("arp-input", "off_link"), 0u);
}

// A provider's gateway may be outside of the customer's prefix, and a link have a second one.
TEST_F(Arp, believes_a_next_hop_that_is_said_to_be_on_its_link) {
  const Ip4 gateway = Ip4::of(192, 0, 2, 1);
  MUST(h.add_route(prefix("0.0.0.0/0"), gateway, index));
  auto socket = MUST(h.open_udp({}, [](const UdpDatagram&) {}));
  MUST(socket->send(ip("8.8.8.8"), 9, Octets(10)));
  EXPECT_EQ(sent(), std::vector<std::string>{"ARP, Request who-has 192.0.2.1 tell 10.0.0.1"});
  receive_arp({ArpOperation::Reply, other, gateway, own_mac(), own});
  ASSERT_EQ(sent().size(), 1u);
  const NextHop link{.interface = index};
  MUST(h.add_route(prefix("203.0.113.0/24"), std::span(&link, 1)));
  receive_arp({ArpOperation::Request, other, Ip4::of(203, 0, 113, 5), {}, own});
  ASSERT_NE(find("203.0.113.5"), nullptr);
  EXPECT_EQ(find("203.0.113.5")->mac(), other);
}

TEST_F(Arp, names_each_fault) {
  receive_arp({static_cast<ArpOperation>(7), other, stranger, {}, own});
  EXPECT_EQ(count("arp-input", "bad_operation"), 1u);
  receive_arp({ArpOperation::Request, MacAddress::broadcast(), stranger, {}, own});
  receive_arp({ArpOperation::Request, other, Ip4::of(224, 0, 0, 1), {}, own});
  EXPECT_EQ(count("arp-input", "bad_sender"), 2u);
  receive_arp({ArpOperation::Request, other, own, {}, own});
  EXPECT_EQ(count("arp-input", "conflict"), 1u);
  receive_arp({ArpOperation::Request, other, Ip4::of(10, 9, 0, 1), {}, Ip4::of(10, 9, 0, 2)});
  EXPECT_EQ(count("arp-input", "off_link"), 1u);
  Octets bytes(ArpPacket::kSize);
  ArpPacket{ArpOperation::Request, other, stranger, {}, own}.emit(bytes);
  receive(ethernet(own_mac(), peer_mac(), EtherType::Arp, bytes));
  EXPECT_EQ(count("arp-input", "mac_mismatch"), 1u);
  bytes[1] = 6;
  receive(ethernet(own_mac(), other, EtherType::Arp, bytes));
  EXPECT_EQ(count("arp-input", "arp_bad_hardware_type"), 1u);
  receive(ethernet(own_mac(), other, EtherType::Arp, Octets(27)));
  EXPECT_EQ(count("arp-input", "arp_truncated"), 1u);
  EXPECT_TRUE(sent().empty());
}

TEST_F(Arp, holds_a_bounded_number_of_packets_for_an_absent_host) {
  auto socket = MUST(h.open_udp({}, [](const UdpDatagram&) {}));
  for (int i = 0; i < 20; ++i) MUST(socket->send(ip("10.0.0.77"), 9, Octets(10)));
  EXPECT_EQ(sent(), std::vector<std::string>{"ARP, Request who-has 10.0.0.77 tell 10.0.0.1"});
  EXPECT_EQ(count("ip4-arp", "queue_full"), 4u);
  EXPECT_EQ(pool.in_use(), 17u);  // Sixteen that wait, and the question on its cable.
  loop.run_for(10s);
  EXPECT_EQ(count("ip4-arp", "unresolved"), 16u);
  EXPECT_EQ(sent().size(), 4u);
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST_F(Arp, bounds_its_table_against_a_scan) {
  MUST(h.sysctl().set("net.link.ether.inet.maxentries", "10"));
  auto socket = MUST(h.open_udp({}, [](const UdpDatagram&) {}));
  for (uint8_t i = 100; i < 120; ++i) MUST(socket->send(Ip4::of(10, 0, 0, i), 9, Octets(1)));
  EXPECT_EQ(h.stack().arp->size(), 10u);
  EXPECT_EQ(count("ip4-arp", "table_full"), 11u);
}

TEST_F(Arp, follows_a_neighbour_that_moves) {
  receive_arp({ArpOperation::Request, other, stranger, {}, own});
  receive_arp(
      {ArpOperation::Request, MacAddress::local(51), stranger, {}, stranger});  // Gratuitous.
  EXPECT_EQ(find("10.0.0.50")->mac(), MacAddress::local(51));
}

class Discovery : public HostTest {
 protected:
  MacAddress other = MacAddress::local(50);
  Ip6 stranger = ip6_of("2001:db8::50");
  const Neighbour* find(const Ip6& address) { return h.stack().nd->find(index, address); }
  void advertise(net::NeighbourAdvertisement m, uint8_t hop_limit = 255) {
    receive_ip6(discovery(m.target, kOwn6, m, hop_limit));
  }
};

TEST_F(Discovery, answers_for_its_address_and_learns_who_asks) {
  receive(ethernet(
      {{0x33, 0x33, 0xff, 0, 0, 1}}, other, EtherType::Ip6,
      discovery(stranger, kOwn6.solicited_node(), net::NeighbourSolicitation{kOwn6, other})));
  const auto lines = sent();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_NE(lines[0].find("neighbor advertisement"), std::string::npos) << lines[0];
  ASSERT_NE(find(stranger), nullptr);
  EXPECT_EQ(find(stranger)->state(), NeighbourState::Stale);
  EXPECT_EQ(find(stranger)->mac(), other);
}

// A router answers for the address that it shares with others, and replaces none of them (RFC 4861
// section 7.2.4). A link between two has no such address (RFC 6164).
TEST_F(Discovery, answers_for_the_routers_of_the_subnet) {
  const auto ask = [&](const char* target) {
    const Ip6 shared = ip6_of(target);
    const Ip6 group = shared.solicited_node();
    receive(ethernet({{0x33, 0x33, 0xff, group.bytes[13], group.bytes[14], group.bytes[15]}}, other,
                     EtherType::Ip6,
                     discovery(stranger, group, net::NeighbourSolicitation{shared, other})));
    return std::exchange(recorder.out, {});
  };
  EXPECT_TRUE(ask("2001:db8::").empty());
  MUST(h.sysctl().set("net.inet6.ip6.forwarding", "1"));
  const auto answers = ask("2001:db8::");
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0][54], 136) << "neighbour advertisement";
  EXPECT_EQ(answers[0][58], 0xc0) << "router, solicited, no override";
  EXPECT_TRUE(ask("2001:db8::7:0").empty());
  MUST(h.add_address(index, prefix("2001:db8:7::1/127")));
  EXPECT_TRUE(ask("2001:db8:7::").empty());
}

TEST_F(Discovery, refuses_messages_from_beyond_the_link) {
  receive_ip6(discovery(stranger, kOwn6, net::NeighbourSolicitation{kOwn6, other}, 254));
  EXPECT_EQ(count("icmp6-neighbor-solicitation", "invalid"), 1u);
  advertise({.target = kPeer6, .solicited = true, .target_mac = other}, 254);
  EXPECT_EQ(count("icmp6-neighbor-advertisement", "invalid"), 1u);
  // RFC 4861 sections 7.1.1 and 7.1.2.
  receive_ip6(discovery(Ip6{}, kOwn6, net::NeighbourSolicitation{kOwn6, {}}));
  receive_ip6(discovery(Ip6{}, kOwn6.solicited_node(), net::NeighbourSolicitation{kOwn6, other}));
  receive_ip6(discovery(stranger, kOwn6, net::NeighbourSolicitation{ip6_of("ff02::9"), other}));
  receive_ip6(discovery(stranger, ip6_of("ff02::1"),
                        net::NeighbourAdvertisement{.target = stranger, .solicited = true}));
  EXPECT_EQ(count("icmp6-neighbor-solicitation", "invalid"), 4u);
  EXPECT_EQ(count("icmp6-neighbor-advertisement", "invalid"), 2u);
  EXPECT_TRUE(sent().empty());
  EXPECT_EQ(find(stranger), nullptr);
}

// One that was given by hand is neither changed nor doubted by what a stranger says.
TEST_F(Discovery, believes_what_was_given_whatever_is_said) {
  for (const bool is_override : {false, true}) {
    advertise({.target = kPeer6, .solicited = true, .override = is_override, .target_mac = other});
  }
  loop.run_for(48h);
  const auto socket = MUST(h.open_udp({.family = net::Family::V6}, [](const UdpDatagram&) {}));
  MUST(socket->send(kPeer6, 9, Octets(1)));
  loop.run_for(60s);
  ASSERT_NE(find(kPeer6), nullptr);
  EXPECT_TRUE(find(kPeer6)->is_static());
  EXPECT_EQ(find(kPeer6)->mac(), peer_mac());
}

TEST_F(Discovery, ignores_advertisements_nobody_asked_for) {
  advertise({.target = stranger, .override = true, .target_mac = other});
  EXPECT_EQ(find(stranger), nullptr);
  EXPECT_EQ(count("icmp6-neighbor-advertisement", "unknown"), 1u);
}

// RFC 4861 section 7.2.5, its table of cases.
TEST_F(Discovery, applies_an_advertisement_as_its_flags_say) {
  NeighbourTable& table = *h.stack().nd;
  Neighbour& n = *table.get(index, 1500, stranger);
  advertise({.target = stranger, .solicited = true});  // Without an address: nothing to go by.
  EXPECT_EQ(n.state(), NeighbourState::Incomplete);
  advertise({.target = stranger, .solicited = true, .target_mac = other});
  EXPECT_EQ(n.state(), NeighbourState::Reachable);
  const MacAddress rival = MacAddress::local(51);
  advertise({.target = stranger, .solicited = true, .target_mac = rival});  // No override: doubt.
  EXPECT_EQ(n.state(), NeighbourState::Stale);
  EXPECT_EQ(n.mac(), other);
  advertise({.target = stranger, .solicited = true});  // The same one, confirmed.
  EXPECT_EQ(n.state(), NeighbourState::Reachable);
  advertise({.target = stranger, .override = true, .target_mac = rival});
  EXPECT_EQ(n.state(), NeighbourState::Stale);
  EXPECT_EQ(n.mac(), rival);
  advertise({.target = stranger, .solicited = true, .override = true, .target_mac = other});
  EXPECT_EQ(n.state(), NeighbourState::Reachable);
  EXPECT_EQ(n.mac(), other);
}

TEST_F(Discovery, asks_of_the_solicited_node_group) {
  auto socket = MUST(h.open_udp({.family = net::Family::V6}, [](const UdpDatagram&) {}));
  for (int i = 0; i < 20; ++i) MUST(socket->send(stranger, 9, Octets(10)));
  EXPECT_EQ(count("ip6-discover-neighbor", "queue_full"), 4u);
  ASSERT_EQ(recorder.out.size(), 1u);
  const MacAddress group{{0x33, 0x33, 0xff, 0, 0, 0x50}};
  EXPECT_EQ(std::memcmp(recorder.out[0].data(), group.bytes.data(), 6), 0);
  loop.run_for(10s);
  EXPECT_EQ(recorder.out.size(), 3u);
  EXPECT_EQ(count("ip6-discover-neighbor", "unresolved"), 16u);
}

class Duplicates : public testing::Test, protected World {
 protected:
  net::Cable cable{port("eth0", 1), port("eth0", 2), loop};
  Vnet a{{.name = "a"}, loop, pool, random.fork("a")};
  Vnet b{{.name = "b"}, loop, pool, random.fork("b")};
};

TEST_F(Duplicates, the_second_host_gives_its_address_up) {
  const uint16_t ia = MUST(a.attach(cable.a())), ib = MUST(b.attach(cable.b()));
  MUST(a.add_address(ia, prefix("2001:db8::1/64")));
  EXPECT_EQ(address_report(a)[0].addresses.at(1).state, "tentative");
  loop.run_for(5s);
  EXPECT_EQ(address_report(a)[0].addresses.at(1).state, "");
  MUST(b.add_address(ib, prefix("2001:db8::1/64")));
  EXPECT_TRUE(b.is_local(ip("2001:db8::1")));
  loop.run_for(5s);
  EXPECT_FALSE(b.is_local(ip("2001:db8::1")));
  EXPECT_EQ(address_report(b)[0].addresses.at(1).state, "duplicated");
  EXPECT_TRUE(a.is_local(ip("2001:db8::1")));
  EXPECT_EQ(count(b, "icmp6-neighbor-advertisement", "duplicate"), 1u);
}

TEST_F(Duplicates, two_that_probe_at_once_both_give_up) {
  const uint16_t ia = MUST(a.attach(cable.a())), ib = MUST(b.attach(cable.b()));
  loop.run_for(5s);
  MUST(a.add_address(ia, prefix("2001:db8::1/64")));
  MUST(b.add_address(ib, prefix("2001:db8::1/64")));
  loop.run_for(5s);
  EXPECT_FALSE(a.is_local(ip("2001:db8::1")));
  EXPECT_FALSE(b.is_local(ip("2001:db8::1")));
}

// Nobody hears who asks on a link that is down.
TEST_F(Duplicates, are_looked_for_when_an_interface_comes_up) {
  const uint16_t ia = MUST(a.attach(cable.a())), ib = MUST(b.attach(cable.b()));
  MUST(a.add_address(ia, prefix("2001:db8::7/64")));
  MUST(b.set_up(ib, false));
  MUST(b.add_address(ib, prefix("2001:db8::7/64")));
  loop.run_for(10s);
  EXPECT_NE(address_report(b)[0].addresses.at(1).state, "duplicated");
  MUST(b.set_up(ib, true));
  loop.run_for(10s);
  EXPECT_EQ(address_report(b)[0].addresses.at(1).state, "duplicated");
}

}  // namespace
}  // namespace wh::vnet
