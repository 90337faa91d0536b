// Loopbacks, sub-interfaces and bridge domains, by lines of text.
#include "router/metrics.h"
#include "router/test_lab.h"

namespace wh::router {
namespace {

using nlohmann::json;

class LinkLines : public RouterLab {
 protected:
  // Ports without addresses.
  void ports_up() {
    set(R"(create host-interface name e0
           create host-interface name e1
           set interface state host-e0 up
           set interface state host-e1 up)");
  }
};

TEST_F(LinkLines, loopback_is_always_there) {
  up();
  EXPECT_EQ(say("create loopback interface"), "loop0\n");
  EXPECT_EQ(say("create loopback interface instance 7 mac 02:00:00:00:00:99"), "loop7\n");
  EXPECT_EQ(say("create loopback interface"), "loop1\n");
  set(R"(set interface state loop0 up
         set interface mtu packet 9100 loop0
         set interface ip address loop0 10.255.0.1/32
         set interface ip address loop0 2001:db8:ff::1/128)");
  loop.run_for(5s);
  EXPECT_EQ(pings(a, "10.255.0.1"), 2u);
  EXPECT_EQ(pings(b, "2001:db8:ff::1"), 2u);
  expect_lasting();
  EXPECT_EQ(pings(a, "10.255.0.1"), 2u);
  set("delete loopback interface intfc loop0");
  EXPECT_EQ(pings(a, "10.255.0.1"), 0u);
  expect_refused(
      {{"create loopback interface instance 7", "'loop7': the name is in use"},
       {"create loopback interface instance 99999", "'99999' is not a number from 0 to 16383"},
       {"create loopback interface mac 02:00", "'02:00'"},
       {"delete loopback interface intfc host-e0", "neither a loopback nor a sub-interface"},
       {"delete loopback interface intfc loop0", "no interface 'loop0'"}});
}

// The hosts speak with one tag to e0, with two to e1.
// What was set on an interface goes with it, though the next has its number and name.
TEST_F(LinkLines, loopback_that_comes_again_is_a_new_one) {
  up();
  set("create loopback interface instance 3\nset interface mtu packet 1400 loop3\n"
      "set interface ip address loop3 10.3.0.1/24\nset interface state loop3 up\nip route add "
      "10.4.0.0/24 via 10.3.0.9");
  pings(a, "10.4.0.1");
  const uint16_t index = MUST(router.index_of("loop3"));
  EXPECT_FALSE(router.device_drops().empty());
  router.clear_errors();
  set("delete loopback interface intfc loop3\ncreate loopback interface instance 3");
  EXPECT_EQ(MUST(router.index_of("loop3")), index);
  EXPECT_EQ(router.wanted_mtu(index), 9000u);
  EXPECT_TRUE(router.device_drops().empty()) << router.device_drops()[0].count;
  EXPECT_EQ(now().find("mtu"), std::string::npos) << now();
}

TEST_F(LinkLines, sub_interfaces_carry_one_tag_or_two) {
  ports_up();
  for (auto* host : hosts) {
    const bool is_a = host == &a;
    const uint16_t sub =
        MUST(is_a ? host->virtuals().add_sub(1, {.id = 100})
                  : host->virtuals().add_sub(1, {.id = 5, .outer = 200, .inner = 7}));
    MUST(host->add_address(sub, vnet::prefix(is_a ? "10.11.0.2/24" : "10.12.0.2/24")));
    MUST(host->add_address(sub, vnet::prefix(is_a ? "2001:db8:11::2/64" : "2001:db8:12::2/64")));
    MUST(host->add_route(vnet::prefix("0.0.0.0/0"), vnet::ip(is_a ? "10.11.0.1" : "10.12.0.1")));
    MUST(host->add_route(vnet::prefix("::/0"),
                         vnet::ip(is_a ? "2001:db8:11::1" : "2001:db8:12::1")));
  }
  EXPECT_EQ(say("create sub-interface host-e0 100"), "host-e0.100\n");
  EXPECT_EQ(say("create sub host-e1 5 dot1ad 200 inner-dot1q 7 exact-match"), "host-e1.5\n");
  set(R"(set interface state host-e0.100 up
         set interface state host-e1.5 up
         set interface ip address host-e0.100 10.11.0.1/24
         set interface ip address host-e1.5 10.12.0.1/24
         set interface ip address host-e0.100 2001:db8:11::1/64
         set interface ip address host-e1.5 2001:db8:12::1/64)");
  loop.run_for(5s);
  EXPECT_EQ(pings(a, "10.12.0.2"), 2u);
  EXPECT_EQ(pings(a, "2001:db8:12::2"), 2u);
  expect_lasting();
  EXPECT_EQ(pings(a, "10.12.0.2"), 2u);
  EXPECT_EQ(pings(a, "2001:db8:12::2"), 2u);
  expect_refused(
      {{"create sub-interfaces host-e0 100", "host-e0.100"},
       {"create sub-interfaces host-e0 3 dot1q 4095", "'4095' is not a number from 1 to 4094"},
       {"create sub-interfaces host-e0 3 dot1ad 4", "accepted: inner-dot1q"},
       {"create sub-interfaces host-e0 5000", "VLAN 5000; accepted: 1..4094"},
       {"create sub-interfaces host-e0.100 3", "a sub-interface needs a device below it"},
       {"create sub-interfaces host-e0 3 dot1q 100", "host-e0.100 has it"},
       {"set interface mtu packet 1501 host-e0", "mtu 1501: the link of host-e0 carries 1500"},
       {"set interface mtu 1501 host-e0.100", "mtu 1501: the link of host-e0.100 carries 1500"},
       {"set interface mtu 1493 host-e1.5", "mtu 1493: the link of host-e1.5 carries 1492"},
       {"delete sub-interface host-e0", "neither a loopback nor a sub-interface"}});
  // A port takes its sub-interfaces along, also while they are captured.
  EXPECT_NE(say("pcap trace rx tx max 10 file " + testing::TempDir() + "sub.pcap").find("pcap"),
            std::string::npos);
  set("delete host-interface name e0");
  EXPECT_EQ(now().find("host-e0"), std::string::npos);
  loop.run_for(1s);
  EXPECT_NE(say("pcap trace off").find("Write"), std::string::npos);
}

// Wireshark and tcpdump read the time since 1970.
TEST(PcapTrace, dates_packets_by_the_wall_clock) {
  constexpr Duration kNow = 1'700'000'000s;
  VirtualLoop loop;
  PaperPorts ports(loop);
  Router router({.wall = [=] { return kNow; }}, loop, ports);
  CommandLine line(router);
  const std::string path = testing::TempDir() + "wall.pcap";
  for (const std::string& text :
       {std::string("create netmap name e0"), std::string("set interface state netmap-e0 up"),
        std::string("set interface ip address netmap-e0 10.0.0.1/24"),
        "pcap trace tx max 10 file " + path}) {
    ASSERT_TRUE(line.run(text)) << text;
  }
  loop.run_for(250ms);
  vnet::Ping ping(router.vnet(), {.destination = vnet::ip("10.0.0.2"), .count = 1}, {});
  ASSERT_TRUE(ping.start());
  loop.run_for(100ms);
  ASSERT_TRUE(line.run("pcap trace off"));
  const auto packets = MUST(net::read_capture(path));
  ASSERT_FALSE(packets.empty());
  EXPECT_EQ(packets[0].when.time_since_epoch(), kNow + 250ms);
}

TEST_F(LinkLines, sub_interfaces_of_one_port_have_link_local_addresses_of_their_own) {
  ports_up();
  set(R"(create sub-interfaces host-e0 1
         create sub-interfaces host-e0 2
         set interface ip address host-e0 2001:db8:a::1/64
         set interface ip address host-e0.1 2001:db8:b::1/64
         set interface ip address host-e0.2 2001:db8:c::1/64)");
  for (const json& row : data("show interface address")) {
    if (!row["name"].get<std::string>().starts_with("host-e0")) continue;
    ASSERT_EQ(row["addresses"].size(), 2u) << row;
    EXPECT_TRUE(row["addresses"][1]["prefix"].get<std::string>().starts_with("fe80:")) << row;
  }
  expect_lasting();
}

// Each loss is told with a reason, also what never came to a node.
TEST_F(LinkLines, errors_tell_what_devices_lost) {
  ports_up();
  set(R"(create sub-interfaces host-e1 100
         set interface state host-e1.100 up
         set interface ip address host-e1.100 10.11.0.1/24
         set interface state host-e1 down
         set interface state host-e0 down)");
  EXPECT_EQ(pings(a, "10.1.0.1", 1), 0u);
  vnet::Ping lost(router.vnet(), {.destination = vnet::ip("10.11.0.2"), .count = 1}, {});
  ASSERT_TRUE(lost.start());
  loop.run_for(1s);
  const std::string text = say("show errors");
  EXPECT_NE(text.find("host-e0-rx"), std::string::npos) << text;
  EXPECT_NE(text.find("host-e1-tx"), std::string::npos) << text;
  EXPECT_NE(metrics_text(router).find("wheelhouse_node_events_total{node=\"host-e0-rx\","
                                      "reason=\"down\",severity=\"warn\"}"),
            std::string::npos)
      << metrics_text(router);
  loop.run_for(10s);
  say("clear errors");
  EXPECT_EQ(say("show errors").find("host-e0-rx"), std::string::npos);
}

TEST_F(LinkLines, bridge_domain_joins_ports_and_routes_through_its_bvi) {
  ports_up();
  MUST(b.add_address(1, vnet::prefix("10.1.0.3/24")));
  MUST(b.add_address(1, vnet::prefix("2001:db8:1::3/64")));
  EXPECT_EQ(say("create bridge-domain 1 mac-age 5 learn-limit 100"), "bridge-domain 1\n");
  set(R"(create loopback interface instance 0
         set interface state loop0 up
         set interface l2 bridge host-e0 1
         set interface l2 bridge host-e1 1
         set interface l2 bridge loop0 1 bvi
         set interface ip address loop0 10.1.0.1/24
         set interface ip address loop0 2001:db8:1::1/64
         l2fib add 02:00:00:00:00:77 1 host-e1 static)");
  loop.run_for(5s);
  EXPECT_EQ(pings(a, "10.1.0.3"), 2u);
  EXPECT_EQ(pings(a, "2001:db8:1::3"), 2u);
  EXPECT_EQ(pings(a, "10.1.0.1"), 2u);
  EXPECT_EQ(pings(b, "2001:db8:1::1"), 2u);
  const json domain = data("show bridge-domain 1 detail")[0];
  EXPECT_EQ(domain["members"].size(), 3u);
  EXPECT_EQ(domain["mac_age_s"], 300);
  EXPECT_NE(say("show bridge-domain").find("loop0"), std::string::npos);
  EXPECT_NE(say("show bridge-domain 1 detail").find("host-e1"), std::string::npos);
  // Two hosts, the BVI, and the one given.
  auto macs = [&] { return data("show l2fib").size(); };
  EXPECT_EQ(macs(), 4u) << say("show l2fib");
  EXPECT_NE(say("show l2fib bd_id 1").find("02:00:00:00:00:77"), std::string::npos);
  say("l2fib flush-mac all");
  EXPECT_EQ(macs(), 1u);
  EXPECT_EQ(pings(a, "10.1.0.3"), 2u);
  loop.run_for(400s);
  EXPECT_EQ(macs(), 1u) << "five minutes are over";
  expect_lasting();
  EXPECT_EQ(pings(a, "10.1.0.3"), 2u);
  EXPECT_EQ(pings(a, "10.1.0.1"), 2u);
  set("set bridge-domain forward 1 disable\nset bridge-domain mac-age 1 0");
  EXPECT_NE(now().find("create bridge-domain 1 forward 0 mac-age 0 learn-limit 100\n"),
            std::string::npos)
      << now();
  set("set bridge-domain forward 1\nset interface l3 host-e1");
  EXPECT_EQ(pings(a, "10.1.0.3"), 0u);
  expect_refused({{"create bridge-domain 1", "bridge domain 1: there is one"},
                  {"create bridge-domain 0", "'0' is not a number from 1"},
                  {"set interface l2 bridge host-e1 2", "no bridge-domain '2'; there are: 1"},
                  {"set interface l2 bridge host-e0 1", "host-e0: in bridge domain 1"},
                  {"set interface l2 bridge host-e1 1 bvi", "a BVI is a loopback"},
                  {"set interface l2 bridge host-e1 1 bvy", "unknown input 'bvy'"},
                  {"set interface ip address host-e0 10.5.0.1/24", "in bridge domain 1"},
                  {"l2fib add 02:00:00:00:00:78 1 host-e1", "is no member"},
                  {"l2fib del 02:00:00:00:00:78 1", "no static entry"},
                  {"set interface l3 host-e1", "in no bridge domain"}});
}

TEST_F(LinkLines, bridge_takes_no_interface_that_has_an_address_or_a_route) {
  ports_up();
  set("create bridge-domain 1\nset interface ip address host-e0 fe80::3/64");
  expect_refused(
      {{"set interface l2 bridge host-e0 1",
        "interface host-e0: has address fe80::3/64, which a bridge would take from it"}});
  set("set interface ip address del host-e0 fe80::3/64\nip route add 10.9.0.0/16 via host-e0");
  expect_refused({{"set interface l2 bridge host-e0 1",
                   "has a route, which would see none of a bridge's frames"}});
  set("ip route del 10.9.0.0/16\nset ip neighbor host-e0 10.9.0.1 02:00:00:00:00:09");
  expect_refused({{"set interface l2 bridge host-e0 1", "has a neighbour that was given"}});
  set("set ip neighbor del host-e0 10.9.0.1 02:00:00:00:00:09\nset interface l2 bridge host-e0 1");
  expect_refused(
      {{"ip route add 10.9.0.0/16 via host-e0",
        "interface host-e0: in bridge domain 1, whose frames a route would not see"},
       {"ip route add 10.9.0.0/16 via 10.9.0.1 host-e0", "frames a route would not see"},
       {"set ip neighbor host-e0 10.9.0.1 02:00:00:00:00:09", "a neighbour would not see"},
       {"ip6 nd host-e0 ra-interval 60", "whose frames router advertisements would not see"},
       {"set dhcp client intfc host-e0", "whose frames a DHCP client would not see"}});
  expect_lasting();
}

TEST_F(LinkLines, routed_port_becomes_a_bridge_member_by_loading_a_configuration) {
  up();
  const std::string routed = now();
  EXPECT_EQ(load("create host-interface name e0\ncreate host-interface name e1\n"
                 "set interface state host-e0 up\nset interface state host-e1 up\n"
                 "create bridge-domain 3\n"
                 "set interface l2 bridge host-e0 3\nset interface l2 bridge host-e1 3\n"),
            "applied");
  EXPECT_NE(now().find("l2 bridge host-e1 3"), std::string::npos);
  EXPECT_EQ(load(routed), "applied");
  EXPECT_EQ(now(), routed);
}

}  // namespace
}  // namespace wh::router
