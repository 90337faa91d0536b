// VLAN and QinQ sub-interfaces, bridge domains, and their BVI.
#include "vnet/acl.h"
#include "vnet/nat44.h"
#include "vnet/policer.h"
#include "vnet/test_support.h"

namespace wh::vnet {
namespace {

// a --- b, both with sub-interfaces.
TEST_F(PairTest, carries_vlans_and_double_tags_between_sub_interfaces) {
  const uint16_t a100 = MUST(a.virtuals().add_sub(ia, {.id = 100}));
  const uint16_t b100 = MUST(b.virtuals().add_sub(ib, {.id = 100}));
  const uint16_t a200 = MUST(a.virtuals().add_sub(ia, {.id = 200, .outer = 200, .inner = 7}));
  const uint16_t b200 = MUST(b.virtuals().add_sub(ib, {.id = 5, .outer = 200, .inner = 7}));
  EXPECT_EQ(b.interfaces()[b200].name, "eth0.5");
  MUST(a.add_address(a100, prefix("10.100.0.1/24")));
  MUST(b.add_address(b100, prefix("10.100.0.2/24")));
  MUST(a.add_address(a200, prefix("10.200.0.1/24")));
  MUST(b.add_address(b200, prefix("10.200.0.2/24")));
  Recorder wire;
  cable.a().add_tap(&wire);
  EXPECT_EQ(ping(a, "10.100.0.2", {.count = 2}).received, 2u);
  EXPECT_EQ(ping(a, "10.200.0.2", {.count = 2}).received, 2u);
  EXPECT_EQ(ping(a, "10.0.0.2", {.count = 2}).received, 2u);
  bool vlan = false, qinq = false;
  for (const Octets& bytes : wire.out) {
    const auto e = net::EthernetView::parse(bytes);
    vlan = vlan || (e->tag_count() == 1 && e->tag(0).vlan() == 100);
    qinq = qinq || (e->tag_count() == 2 && e->tag(0).tpid == net::EtherType::ServiceVlan &&
                    e->tag(0).vlan() == 200 && e->tag(1).vlan() == 7);
  }
  EXPECT_TRUE(vlan && qinq);
  cable.a().remove_tap(&wire);
  EXPECT_GT(b.interfaces()[b100].device->counters().rx_packets, 2u);
}

// A link of 1500 bytes carries one 802.1Q tag besides; what more there is comes off the MTU.
TEST_F(PairTest, keeps_frames_with_two_tags_to_what_the_link_carries) {
  const SubInterfaceConfig kinds[] = {{.id = 100},
                                      {.id = 200, .outer = 200, .inner = 7, .dot1q = true},
                                      {.id = 300, .outer = 300, .inner = 7}};
  uint32_t mtu = 1500;
  for (const SubInterfaceConfig& kind : kinds) {
    const uint16_t sub = MUST(a.virtuals().add_sub(ia, kind));
    const uint16_t there = MUST(b.virtuals().add_sub(ib, kind));
    EXPECT_EQ(a.interfaces()[sub].mtu(), mtu);
    const std::string net = fmt::format("10.{}.0.", kind.id / 2);
    MUST(a.add_address(sub, prefix(net + "1/24")));
    MUST(b.add_address(there, prefix(net + "2/24")));
    std::vector<net::IpError> errors;
    Ping::Actions keep{.on_error = [&](const net::IpError& e) { errors.push_back(e); }};
    const uint32_t fits = mtu - 28;
    EXPECT_EQ(ping(a, net + "2", {.size = 4000, .count = 2}).received, 2u);
    EXPECT_EQ(ping(a, net + "2", {.size = fits, .count = 1, .dont_fragment = true}).received, 1u);
    EXPECT_EQ(
        ping(a, net + "2", {.size = fits + 1, .count = 1, .dont_fragment = true}, keep).received,
        0u);
    ASSERT_EQ(errors.size(), 1u);
    EXPECT_EQ(errors[0].mtu, mtu);
    mtu -= 4;
  }
  // The parent's own packets may be kept smaller; that is nothing to its sub-interfaces.
  MUST(a.set_mtu(ia, 600));
  MUST(b.set_mtu(ib, 600));
  EXPECT_EQ(ping(a, "10.50.0.2", {.size = 1472, .count = 1, .dont_fragment = true}).received, 1u);
  EXPECT_EQ(ping(a, "10.0.0.2", {.size = 1472, .count = 1}).received, 1u);
}

TEST_F(PairTest, refuses_sub_interfaces_that_cannot_be) {
  EXPECT_EQ(a.virtuals().add_sub(ia, {.id = 4095}).error().text, "VLAN 4095; accepted: 1..4094");
  EXPECT_TRUE(a.virtuals().add_sub(ia, {.id = 4094}));
  EXPECT_FALSE(a.virtuals().add_sub(ia, {.id = 1, .outer = 4094})) << "the tag is in use";
  EXPECT_FALSE(a.virtuals().add_sub(77, {.id = 1}));
  const uint16_t sub = MUST(a.virtuals().add_sub(ia, {.id = 9}));
  EXPECT_FALSE(a.virtuals().add_sub(sub, {.id = 1}));
  MUST(a.virtuals().remove(sub));
  EXPECT_FALSE(a.virtuals().remove(sub));
  EXPECT_FALSE(a.virtuals().remove(ia));
  EXPECT_TRUE(a.virtuals().add_sub(ia, {.id = 9}));
  MUST(a.detach(ia));  // Takes them along.
  EXPECT_EQ(a.virtuals().find(ia, 9, 0), nullptr);
}

TEST_F(PairTest, counts_frames_of_a_vlan_nobody_has) {
  MUST(a.virtuals().add_sub(ia, {.id = 100}));
  const uint16_t a100 = MUST(a.interfaces().find("eth0.100"));
  MUST(a.add_address(a100, prefix("10.100.0.1/24")));
  ping(a, "10.100.0.2", {.count = 1});
  EXPECT_GE(count(b, "ethernet-input", "unknown_vlan"), 1u);
}

// Three hosts on one bridge s; hosts a, b and c know nothing of it.
class Bridge : public testing::Test, protected World {
 protected:
  Bridge() {
    MUST(s.bridges().add({.id = 1, .max_entries = 4}));
    for (uint32_t i = 0; i < 3; ++i) {
      ports[i] = MUST(s.attach(cables[i]->b()));
      MUST(s.bridges().add_member(1, {.interface = ports[i]}));
      hosts.push_back(
          std::make_unique<Vnet>(Vnet::Config{.name = std::string(1, static_cast<char>('a' + i))},
                                 loop, pool, random.fork("h" + std::to_string(i))));
      const uint16_t index = MUST(hosts[i]->attach(cables[i]->a()));
      MUST(hosts[i]->add_address(index, prefix("10.0.0." + std::to_string(i + 1) + "/24")));
    }
    loop.run_for(3s);
  }
  static std::unique_ptr<net::Cable> make_cable(uint32_t i, Loop& loop) {
    static const char* kNames[] = {"p0", "p1", "p2"};
    return std::make_unique<net::Cable>(port("eth0", 10 + i), port(kNames[i], 20 + i), loop);
  }
  std::unique_ptr<net::Cable> cables[3] = {make_cable(0, loop), make_cable(1, loop),
                                           make_cable(2, loop)};
  Vnet s{{.name = "s"}, loop, pool, random.fork("s")};
  std::vector<std::unique_ptr<Vnet>> hosts;
  uint16_t ports[3] = {};
};

TEST_F(Bridge, floods_what_it_does_not_know_and_learns) {
  EXPECT_EQ(ping(*hosts[0], "10.0.0.2", {.count = 3}).received, 3u);
  const BridgeDomain& domain = *s.bridges().find(1);
  EXPECT_EQ(domain.find(cables[0]->a().mac(), loop.now()), ports[0]);
  EXPECT_EQ(domain.find(cables[1]->a().mac(), loop.now()), ports[1]);
  // Once known, unicast frames go nowhere else.
  const uint64_t before = cables[2]->b().counters().tx_packets;
  EXPECT_EQ(ping(*hosts[0], "10.0.0.2", {.count = 3}).received, 3u);
  EXPECT_EQ(cables[2]->b().counters().tx_packets, before);
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST_F(Bridge, passes_a_priority_tag_on_and_no_frame_of_nobody) {
  Recorder seen;
  cables[1]->b().add_tap(&seen);
  const auto put = [&](const net::MacAddress& source, const Octets& type_and_rest) {
    Octets frame(12, 0xff);
    std::copy(source.bytes.begin(), source.bytes.end(), frame.begin() + 6);
    frame = frame + type_and_rest + Octets(46);
    net::PacketPtr p = pool.allocate();
    std::copy(frame.begin(), frame.end(), p->append(static_cast<uint32_t>(frame.size())));
    net::Frame one;
    one.push(std::move(p));
    cables[0]->a().transmit(std::move(one));
    loop.run_for(1ms);
    return std::exchange(seen.out, {});
  };
  const Octets tagged{0x81, 0, 0xe0, 0, 0x12, 0x34};
  const auto frames = put(net::MacAddress::local(9), tagged);
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(Octets(frames[0].begin() + 12, frames[0].begin() + 18), tagged);
  EXPECT_TRUE(put(net::MacAddress{}, {0x12, 0x34}).empty());
  EXPECT_TRUE(put(net::MacAddress{{1}}, {0x12, 0x34}).empty());
  EXPECT_EQ(count(s, "l2-input", "bad_source"), 2u);
  cables[1]->b().remove_tap(&seen);
}

TEST_F(Bridge, forgets_what_is_old) {
  ping(*hosts[0], "10.0.0.2", {.count = 1});
  const BridgeDomain& domain = *s.bridges().find(1);
  const auto mac = cables[0]->a().mac();
  ASSERT_EQ(domain.find(mac, loop.now()), ports[0]);
  const Instant seen = domain.entries().at(mac).seen;
  EXPECT_EQ(domain.find(mac, seen + 1200s - 1ns), ports[0]);
  EXPECT_EQ(domain.find(mac, seen + 1200s), 0u);
  MUST(hosts[0]->set_up(1, false));
  MUST(hosts[1]->set_up(1, false));
  MUST(hosts[2]->set_up(1, false));
  loop.run_for(1400s);
  EXPECT_TRUE(domain.entries().empty());
}

TEST_F(Bridge, keeps_its_table_bounded_and_counts) {
  for (uint32_t i = 0; i < 10; ++i) {
    net::PacketPtr p = pool.allocate();
    p->assign(ethernet(net::MacAddress::broadcast(), net::MacAddress::local(100 + i),
                       net::EtherType::Ip4, Octets(50)));
    net::Frame frame;
    frame.push(std::move(p));
    cables[0]->b().receive(std::move(frame));
  }
  loop.run_for(1ms);
  EXPECT_EQ(s.bridges().find(1)->entries().size(), 4u);
  EXPECT_GE(count(s, "l2-input", "not_learnt"), 6u);
}

TEST_F(Bridge, routes_for_its_hosts_through_the_bvi) {
  const uint16_t loop0 = MUST(s.virtuals().add_loopback(0));
  MUST(s.bridges().add_member(1, {.interface = loop0, .is_bvi = true}));
  MUST(s.add_address(loop0, prefix("10.0.0.254/24")));
  EXPECT_EQ(ping(*hosts[0], "10.0.0.254", {.count = 3}).received, 3u);
  EXPECT_EQ(ping(s, "10.0.0.2", {.count = 3}).received, 3u);
  EXPECT_EQ(pool.in_use(), 0u);
  EXPECT_FALSE(s.add_address(ports[0], prefix("10.5.0.1/24"))) << "a member's frames are bridged";
}

// A bridge does not cut what is too long for a member, but says so.
TEST_F(Bridge, counts_what_is_too_long_for_a_member) {
  const uint16_t loop0 = MUST(s.virtuals().add_loopback(0));
  MUST(s.bridges().add_member(1, {.interface = loop0, .is_bvi = true}));
  MUST(s.add_address(loop0, prefix("10.0.0.254/24")));
  EXPECT_EQ(ping(s, "10.0.0.2", {.size = 1472, .count = 1}).received, 1u);
  EXPECT_EQ(ping(s, "10.0.0.2", {.size = 3000, .count = 2}).received, 0u);
  EXPECT_EQ(count(s, "p1-tx", "too_big"), 2u);
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST_F(Bridge, keeps_a_split_horizon_group_apart) {
  for (const int i : {0, 1}) {
    MUST(s.bridges().remove_member(ports[i]));
    MUST(s.bridges().add_member(1, {.interface = ports[i], .group = 1}));
  }
  EXPECT_EQ(ping(*hosts[0], "10.0.0.2", {.count = 1}).received, 0u);
  EXPECT_EQ(ping(*hosts[0], "10.0.0.3", {.count = 1}).received, 1u);
}

// Access lists judge what is routed: one on a member would filter nothing.
TEST_F(Bridge, refuses_access_lists_where_they_would_see_nothing) {
  const uint32_t list = MUST(s.acls().add({AclRule{}}));
  EXPECT_EQ(s.acls().bind(ports[0], AclTable::kInput, {list}).error().text,
            "interface p0: in bridge domain 1, whose frames access lists would not see; its BVI "
            "takes it");
  EXPECT_TRUE(s.acls().bind(ports[0], AclTable::kInput, {}));
  const uint16_t bvi = MUST(s.virtuals().add_loopback(0));
  MUST(s.bridges().add_member(1, {.interface = bvi, .is_bvi = true}));
  EXPECT_TRUE(s.acls().bind(bvi, AclTable::kOutput, {list}));
  MUST(s.bridges().remove_member(ports[0]));
  MUST(s.acls().bind(ports[0], AclTable::kOutput, {list}));
  EXPECT_EQ(s.bridges().add_member(1, {.interface = ports[0]}).error().text,
            "interface p0: has access lists, which would see none of a bridge's frames");
}

// So do NAT44, policers, source checks, DHCP and advertisements, whichever comes first.
TEST_F(Bridge, refuses_what_looks_at_routed_packets_only) {
  MUST(s.policers().add(
      {.name = "slow", .rate = Rate::bits_per_second(1000), .burst = Bytes(1000)}));
  const uint16_t bvi = MUST(s.virtuals().add_loopback(0));
  MUST(s.bridges().add_member(1, {.interface = bvi, .is_bvi = true}));
  struct Feature {
    std::string name;
    std::function<Result<void>(uint16_t)> add, remove;
  };
  const std::vector<Feature> features{
      {"NAT44", [&](uint16_t i) { return s.nat44().set_role(i, NatRole::Inside); },
       [&](uint16_t i) { return s.nat44().set_role(i, NatRole::None); }},
      {"a policer", [&](uint16_t i) { return s.policers().bind(i, PolicerSide::Output, "slow"); },
       [&](uint16_t i) { return s.policers().unbind(i, PolicerSide::Output); }},
      {"a source check",
       [&](uint16_t i) { return s.set_source_check(i, net::Family::V6, SourceCheck::Loose); },
       [&](uint16_t i) { return s.set_source_check(i, net::Family::V6, SourceCheck::Off); }},
      {"a DHCP client", [&](uint16_t i) { return s.dhcp_clients().add(i); },
       [&](uint16_t i) { return s.dhcp_clients().remove(i); }},
      {"a DHCP relay",
       [&](uint16_t i) { return s.dhcp().set_relay(i, {net::Ip4::of(10, 0, 0, 1)}); },
       [&](uint16_t i) { return s.dhcp().remove_relay(i); }},
      {"router advertisements", [&](uint16_t i) { return s.advertiser().enable(i, {}); },
       [&](uint16_t i) { return s.advertiser().disable(i); }}};
  for (const auto& [name, add, remove] : features) {
    SCOPED_TRACE(name);
    EXPECT_EQ(
        add(ports[0]).error().text,
        fmt::format("interface p0: in bridge domain 1, whose frames {} would not see; its BVI "
                    "takes it",
                    name));
    MUST(add(bvi));
    MUST(s.bridges().remove_member(ports[0]));
    MUST(add(ports[0]));
    const auto refused = s.bridges().add_member(1, {.interface = ports[0]});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().text,
              fmt::format("interface p0: has {}, which would see none of a bridge's frames",
                          name == "NAT44" ? "a part in NAT44" : name));
    MUST(remove(ports[0]));
    MUST(s.bridges().add_member(1, {.interface = ports[0]}));
  }
}

TEST_F(Bridge, refuses_members_that_cannot_be) {
  EXPECT_EQ(s.bridges().add({.id = 1}).error().text, "bridge domain 1: there is one");
  EXPECT_FALSE(s.bridges().add({.id = 0}));
  EXPECT_EQ(s.bridges().add_member(1, {.interface = ports[0]}).error().text,
            "interface p0: in bridge domain 1");
  EXPECT_FALSE(s.bridges().add_member(9, {.interface = ports[0]}));
  EXPECT_FALSE(s.bridges().add_static(1, net::MacAddress::broadcast(), ports[0]));
  MUST(s.bridges().add_static(1, net::MacAddress::local(99), ports[0]));
  MUST(s.bridges().remove_static(1, net::MacAddress::local(99)));
  EXPECT_FALSE(s.bridges().remove_static(1, net::MacAddress::local(99)));
  MUST(s.detach(ports[2]));
  EXPECT_EQ(s.bridges().find(1)->members().size(), 2u);
  MUST(s.bridges().remove(1));
  EXPECT_EQ(s.bridges().of(ports[0]), nullptr);
}

}  // namespace
}  // namespace wh::vnet
