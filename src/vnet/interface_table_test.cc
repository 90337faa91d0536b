// Interfaces that come and go: the next has the number of one that went, and nothing else of it.
#include "vnet/interface_table.h"

#include "vnet/test_support.h"

namespace wh::vnet {
namespace {

class Reuse : public RouterTest {
 protected:
  // A fragment of a UDP datagram from a's link to `to`.
  Octets fragment(net::Ip4 to, uint16_t id, bool is_first) {
    return ip4({.source = net::Ip4::of(10, 1, 0, 2),
                .destination = to,
                .protocol = net::kProtocolUdp,
                .id = id,
                .more_fragments = is_first,
                .fragment_offset = static_cast<uint16_t>(is_first ? 0 : 48)},
               is_first ? udp(1, 9, Octets(40)) : Octets(16));
  }
  void receive(net::Cable& cable, const Octets& packet) {
    net::PacketPtr p = pool.allocate();
    p->assign(ethernet(cable.b().mac(), cable.a().mac(), net::EtherType::Ip4, packet));
    net::Frame frame;
    frame.push(std::move(p));
    cable.b().receive(std::move(frame));
    loop.run_for(0s);
  }
};

TEST_F(Reuse, of_an_index_has_no_end) {
  VirtualInterfaces& virtuals = r.virtuals();
  const uint16_t first = MUST(virtuals.add_loopback(1));
  MUST(virtuals.remove(first));
  const size_t nodes = r.graph().nodes().size();
  const size_t leaves = MUST(r.sysctl().list("")).size();
  for (uint32_t i = 0; i < 66'000; ++i) {
    const auto index = virtuals.add_loopback(i % 16'384);
    ASSERT_TRUE(index) << i << ": " << index.error().text;
    ASSERT_EQ(*index, first);
    MUST(virtuals.remove(first));
  }
  EXPECT_EQ(r.graph().nodes().size(), nodes);
  EXPECT_EQ(MUST(r.sysctl().list("")).size(), leaves);
  // The least that is free, so that what is set anew in the same order has the same numbers.
  const uint16_t second = MUST(virtuals.add_loopback(2));
  const uint16_t third = MUST(virtuals.add_loopback(3));
  MUST(virtuals.remove(third));
  MUST(virtuals.remove(second));
  EXPECT_EQ(MUST(virtuals.add_loopback(4)), second);
  EXPECT_EQ(MUST(virtuals.add_loopback(5)), third);
}

TEST_F(Reuse, leaves_nothing_of_what_was_set_on_who_had_the_index) {
  MUST(r.sysctl().set("net.inet6.ip6.dad_count", "0"));
  VirtualInterfaces& virtuals = r.virtuals();
  const uint16_t index = MUST(virtuals.add_loopback(1));
  MUST(r.set_up(index, true));
  MUST(r.add_address(index, prefix("10.3.0.1/24")));
  MUST(r.set_source_check(index, net::Family::V4, SourceCheck::Strict));
  MUST(r.add_route(prefix("203.0.113.0/24"), ip("10.3.0.9")));
  MUST(r.add_neighbour(index, ip("10.3.0.7"), net::MacAddress::local(7)));
  const uint32_t any = MUST(r.acls().add({{.action = AclAction::Reflect,
                                           .source = prefix("0.0.0.0/0"),
                                           .destination = prefix("0.0.0.0/0")}}));
  MUST(r.acls().bind(index, AclTable::kInput, {any}));
  MUST(r.acls().bind(index, AclTable::kOutput, {any}));
  r.acls().judge(index, AclTable::kInput, {ip("1.1.1.1"), ip("2.2.2.2"), 17, 0, true, 1, 2});
  MUST(r.nat44().add_interface_addresses(index));
  MUST(r.nat44().set_role(index, NatRole::Outside));
  MUST(r.policers().add({.name = "p", .rate = Rate::bits_per_second(8), .burst = Bytes(1)}));
  MUST(r.policers().bind(index, PolicerSide::Output, "p"));
  MUST(r.graph().trace_add("loop1-tx", 1));
  MUST(virtuals.remove(index));
  MUST(r.acls().remove(any));
  MUST(r.policers().remove("p"));

  EXPECT_EQ(MUST(virtuals.add_loopback(2)), index);
  const InterfaceEntry& entry = r.interfaces()[index];
  EXPECT_EQ(entry.name, "loop2");
  EXPECT_EQ(entry.features, FeatureMasks{});
  EXPECT_TRUE(entry.addresses.size() == 1 && entry.addresses[0].prefix.address.is_link_local());
  EXPECT_EQ(r.source_check(index, net::Family::V4), SourceCheck::Off);
  EXPECT_EQ(r.acls().sessions(), 0u);
  EXPECT_EQ(r.nat44().role(index), NatRole::None);
  EXPECT_TRUE(r.nat44().pool().empty());
  EXPECT_EQ(r.stack().arp->find(index, ip("10.3.0.7")), nullptr);
  EXPECT_EQ(r.stack().arp->find(index, ip("10.3.0.9")), nullptr);
  // No packet takes the way of a feature that the other had.
  MUST(r.add_address(index, prefix("10.3.0.1/24")));
  MUST(r.add_neighbour(index, ip("10.3.0.7"), net::MacAddress::local(7)));
  MUST(r.set_up(index, true));
  const uint64_t before = r.interfaces()[index].device->counters().tx_packets;
  ping(a, "10.3.0.7", {.count = 1});
  EXPECT_EQ(r.interfaces()[index].device->counters().tx_packets, before + 1);
  EXPECT_EQ(r.graph().find("loop1-tx"), nullptr);
  EXPECT_TRUE(r.sysctl().get("net.graph.loop2-tx.too_big"));
  EXPECT_FALSE(r.sysctl().get("net.graph.loop1-tx.too_big"));
}

TEST_F(Reuse, ends_what_waits_for_the_rest_of_a_packet) {
  MUST(r.acls().bind(1, AclTable::kInput,
                     {MUST(r.acls().add({{.action = AclAction::Permit,
                                          .source = prefix("0.0.0.0/0"),
                                          .destination = prefix("0.0.0.0/0")}}))}));
  receive(left, fragment(net::Ip4::of(10, 2, 0, 2), 1, false));
  receive(left, fragment(net::Ip4::of(10, 1, 0, 1), 2, true));
  EXPECT_EQ(count(r, "ip4-sv-reassembly", "held"), 1u);
  MUST(r.detach(1));
  EXPECT_EQ(count(r, "ip4-sv-reassembly", "gone"), 1u);
  EXPECT_EQ(count(r, "ip4-full-reassembly", "gone"), 1u);
  // Nor is anybody answered, by whatever interface.
  loop.run_for(60s);
  EXPECT_EQ(count(r, "ip4-full-reassembly", "timeout"), 0u);
  EXPECT_EQ(count(r, "ip4-icmp-error", "no_source"), 0u);
}

TEST_F(Reuse, ends_what_came_by_it_and_waits_for_a_neighbour_elsewhere) {
  receive(left, ip4({.source = net::Ip4::of(10, 1, 0, 2),
                     .destination = net::Ip4::of(10, 2, 0, 9),
                     .protocol = net::kProtocolUdp},
                    udp(1, 9)));
  MUST(r.detach(1));
  EXPECT_EQ(count(r, "ip4-arp", "gone"), 1u);
  loop.run_for(60s);
  EXPECT_EQ(count(r, "ip4-arp", "unresolved"), 0u);
}

// What was made here for a VRF may wait for a neighbour of another's interface.
TEST_F(Reuse, of_a_vrf_finds_none_of_its_packets) {
  MUST(r.add_vrf(7));
  const NextHop hop{ip("10.2.0.9"), 2};
  MUST(r.add_route(prefix("0.0.0.0/0"), std::span(&hop, 1), 7));
  auto socket = MUST(r.open_udp({.table = MUST(r.table_of(7))}, [](const UdpDatagram&) {}));
  MUST(socket->send(ip("203.0.113.9"), 9, Octets(10)));
  socket.reset();
  MUST(r.remove_vrf(7));
  EXPECT_EQ(count(r, "ip4-arp", "gone"), 1u);
  loop.run_for(60s);
}

TEST_F(Reuse, of_a_vrf_has_no_end) {
  for (uint32_t id = 1; id < Stack::kMaxVrfs; ++id) MUST(r.add_vrf(id));
  EXPECT_EQ(r.add_vrf(5000).error().text, "VRF 5000: at most 1024 at once");
  MUST(r.remove_vrf(7));
  MUST(r.add_vrf(5000));
}

// Two VRFs' hosts may have the same addresses; their fragments are two packets'.
TEST_F(Reuse, of_an_address_in_a_vrf_mixes_no_fragments) {
  net::Cable third{port("eth0", 5), port("third", 6), loop};
  const uint16_t r3 = MUST(r.attach(third.b()));
  MUST(r.add_vrf(7));
  MUST(r.set_vrf(r3, 7));
  MUST(r.add_address(r3, prefix("10.1.0.1/24")));
  receive(left, fragment(net::Ip4::of(10, 1, 0, 1), 2, true));
  receive(third, fragment(net::Ip4::of(10, 1, 0, 1), 2, false));
  EXPECT_EQ(count(r, "ip4-full-reassembly", "reassembled"), 0u);
  receive(left, fragment(net::Ip4::of(10, 1, 0, 1), 2, false));
  EXPECT_EQ(count(r, "ip4-full-reassembly", "reassembled"), 1u);
  MUST(r.detach(r3));
}

}  // namespace
}  // namespace wh::vnet
