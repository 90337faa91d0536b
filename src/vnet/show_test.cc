#include "vnet/show.h"

#include <nlohmann/json.hpp>

#include "vnet/test_support.h"

namespace wh::vnet {
namespace {

using net::Family;

TEST(Show, prints_interfaces_in_the_original_columns) {
  const std::vector<InterfaceRow> rows{
      {"host-vr0",
       1,
       true,
       9000,
       {{"rx packets", 144547}, {"rx bytes", 9262576900}, {"tx packets", 0}}},
      {"local0", 0, false, 0, {}}};
  EXPECT_EQ(
      format(rows),
      R"(              Name               Idx    State  MTU (L3/IP4/IP6/MPLS)     Counter          Count
host-vr0                          1      up          9000/0/0/0     rx packets                144547
                                                                    rx bytes              9262576900
local0                            0     down          0/0/0/0
)");
  EXPECT_EQ(to_json(rows)[0]["counters"]["rx bytes"], 9262576900);
}

TEST(Show, prints_addresses_as_the_original_does) {
  const std::vector<AddressRow> rows{{"host-vr0", true, {{prefix("10.1.0.1/24"), ""}}},
                                     {"local0", false, {}}};
  EXPECT_EQ(format(rows), "host-vr0 (up):\n  L3 10.1.0.1/24\nlocal0 (dn):\n");
}

TEST(Show, prints_neighbours_in_the_original_columns) {
  const std::vector<NeighbourRow> rows{{.age = 34356500us,
                                        .address = ip("10.1.0.2"),
                                        .state = "reachable",
                                        .mac = MUST(net::parse_mac("d6:0e:d6:08:b2:b9")),
                                        .interface = "host-vr0"}};
  EXPECT_EQ(
      format(rows),
      R"(     Age                       IP                    Flags      Ethernet              Interface
     34.3565                10.1.0.2                   D    d6:0e:d6:08:b2:b9 host-vr0
)");
}

using ShowPair = PairTest;

TEST_F(ShowPair, tells_of_a_dropped_packet_what_it_was) {
  loop.run_for(5s);  // Both have probed their addresses.
  net::PacketPtr p = pool.allocate();
  p->assign(ip4({.source = ip("10.0.0.1").v4(),
                 .destination = ip("10.0.0.2").v4(),
                 .protocol = net::kProtocolUdp,
                 .ttl = 9},
                udp(4000, 5000)));
  // b takes an address away that a's neighbour table still has.
  ping(a, "10.0.0.2", {.count = 1});
  MUST(b.remove_address(ib, ip("10.0.0.2")));
  MUST(b.graph().trace_add("error-drop", 1));
  net::Frame frame;
  frame.push(std::move(p));
  a.output(std::move(frame));
  loop.run_for(10ms);
  const std::string text = graph::format_traces(b.graph());
  EXPECT_NE(text.find("10.0.0.1.4000 > 10.0.0.2.5000"), std::string::npos) << text;
  EXPECT_NE(text.find(" bytes, interface 1"), std::string::npos) << text;
}

TEST_F(ShowPair, reports_what_happened) {
  ping(a, "10.0.0.2", {.count = 3});
  const auto interfaces = interface_report(a);
  ASSERT_EQ(interfaces.size(), 2u);
  EXPECT_EQ(interfaces[0].name, "eth0");
  EXPECT_EQ(interfaces[1].name, "local0");
  EXPECT_EQ(interfaces[0].counters[6], (std::pair<std::string, uint64_t>{"ip4", 3}));

  const auto neighbours = neighbour_report(a, Family::V4);
  ASSERT_EQ(neighbours.size(), 1u);
  EXPECT_EQ(neighbours[0].address, ip("10.0.0.2"));
  EXPECT_EQ(neighbours[0].state, "reachable");
  EXPECT_EQ(to_json(neighbours)[0]["mac"], "02:00:00:00:00:02");

  const FibReport way = fib_report(a, ip("10.0.0.2"));
  ASSERT_EQ(way.rows.size(), 1u);
  EXPECT_EQ(way.rows[0].source, "neighbour");
  EXPECT_EQ(way.rows[0].packets, 3u);
  EXPECT_NE(format(way).find("10.0.0.2/32\n  unicast-ip4-chain\n"), std::string::npos);
  EXPECT_NE(format(way).find("ipv4 via 10.0.0.2 eth0: mtu:1500"), std::string::npos) << format(way);
  for (const char* const nowhere : {"192.0.2.1", "2001:db8:9::1"}) {
    const FibReport none = fib_report(a, ip(nowhere));
    ASSERT_EQ(none.rows.size(), 1u);
    EXPECT_EQ(none.rows[0].prefix.length, 0);
    EXPECT_NE(format(none).find("dpo-drop no route"), std::string::npos) << format(none);
  }
  EXPECT_GT(fib_report(a, Family::V6).rows.size(), 3u);

  const auto runtime = runtime_report(a);
  EXPECT_GT(runtime.out_per_second, 0);
  const auto at = std::find_if(runtime.rows.begin(), runtime.rows.end(),
                               [](const auto& row) { return row.name == "ip4-rewrite"; });
  ASSERT_NE(at, runtime.rows.end());
  EXPECT_EQ(at->vectors, 3u);
  a.clear_runtime();
  EXPECT_TRUE(runtime_report(a).rows.empty());
}

TEST_F(ShowPair, keeps_one_set_of_books) {
  ping(a, "10.0.0.2", {.count = 3});
  EXPECT_EQ(MUST(b.sysctl().get("net.graph.ip4-icmp-echo-request.replies")), "3");
  EXPECT_EQ(MUST(a.sysctl().get("net.link.generic.ifdata.eth0.tx_packets")),
            std::to_string(cable.a().counters().tx_packets));
  EXPECT_FALSE(a.sysctl().set("net.graph.ip4-icmp-echo-request.replies", "0"));
}

TEST_F(ShowPair, names_its_tunables_as_freebsd_does) {
  EXPECT_EQ(MUST(a.sysctl().get("net.inet.ip.ttl")), "64");
  MUST(a.sysctl().set("net.inet.ip.ttl", "7"));
  std::vector<uint8_t> ttls;
  ping(a, "10.0.0.2", {.count = 1});
  MUST(b.sysctl().set("net.inet.ip.ttl", "9"));
  ping(a, "10.0.0.2", {.count = 1},
       {.on_answer = [&](const Ping::Answer& x) { ttls.push_back(x.ttl); }});
  EXPECT_EQ(ttls, std::vector<uint8_t>{9});
  EXPECT_NE(a.sysctl().set("net.inet.ip.ttl", "256").error().text.find("accepted: 1..255"),
            std::string::npos);
  EXPECT_NE(
      a.sysctl().set("net.inet.ip.forwardin", "1").error().text.find("net.inet.ip.forwarding"),
      std::string::npos);
  for (const auto& leaf : MUST(a.sysctl().list(""))) {
    EXPECT_FALSE(leaf.description.empty()) << leaf.name;
    EXPECT_FALSE(leaf.is_int && leaf.unit.empty()) << leaf.name;
  }
}

TEST_F(ShowPair, refuses_addresses_that_are_no_host_s) {
  for (const char* text : {"0.0.0.0/8", "224.0.0.1/24", "10.5.0.0/24", "10.5.0.255/24",
                           "10.0.0.1/24", "10.9.0.1/0", "ff02::5/64"}) {
    EXPECT_FALSE(a.add_address(ia, prefix(text))) << text;
  }
  EXPECT_FALSE(a.add_address(9, prefix("10.5.0.1/24")));
  EXPECT_TRUE(a.add_address(ia, prefix("10.5.0.0/31")));  // RFC 3021.
  EXPECT_TRUE(a.remove_address(ia, ip("10.5.0.0")));
  EXPECT_FALSE(a.remove_address(ia, ip("10.5.0.0")));
}

TEST_F(ShowPair, forgets_a_connected_prefix_with_its_last_address) {
  MUST(a.add_address(ia, prefix("10.0.0.9/24")));
  MUST(a.remove_address(ia, ip("10.0.0.1")));
  EXPECT_EQ(ping(a, "10.0.0.2", {.count = 1}).received, 1u);
  MUST(a.remove_address(ia, ip("10.0.0.9")));
  EXPECT_FALSE(a.route(ip("10.0.0.2")));
}

}  // namespace
}  // namespace wh::vnet
