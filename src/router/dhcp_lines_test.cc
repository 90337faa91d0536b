// DHCP and router advertisements, by lines of text.
#include "router/test_lab.h"

namespace wh::router {
namespace {

using nlohmann::json;

class DhcpLines : public RouterLab {};

TEST_F(DhcpLines, pool_serves_a_links_hosts) {
  up();
  MUST(a.remove_address(1, vnet::ip("10.1.0.2")));
  set("dhcp server add pool lan network 10.1.0.0/24 range 10.1.0.100 10.1.0.110 router 10.1.0.1 "
      "lease 600 dns 9.9.9.9 dns 1.1.1.1 host 02:00:00:00:00:77 10.1.0.50");
  MUST(a.dhcp_clients().add(1));
  loop.run_for(5s);
  EXPECT_TRUE(a.is_local(vnet::ip("10.1.0.100")));
  EXPECT_EQ(pings(a, "10.2.0.2"), 2u);
  const json lan = data("show dhcp server lan")[0];
  EXPECT_EQ(lan["leases"][0]["state"], "bound");
  EXPECT_EQ(lan["dns"], (json{"9.9.9.9", "1.1.1.1"}));
  EXPECT_NE(say("show dhcp server").find("10.1.0.100"), std::string::npos);
  expect_lasting();
  expect_refused(
      {{"dhcp server add pool lan network 10.1.0.0/24 range 10.1.0.3 10.1.0.4", "there is one"},
       {"dhcp server add pool x network 10.1.0.0/24 range 10.1.0.9 10.1.0.4", "dhcp pool 'x'"},
       {"dhcp server add pool x network 10.1.0.0/24 range 10.1.0.9 10.1.1.4",
        "is not in 10.1.0.0/24"},
       {"dhcp server add pool x network 2001:db8::/64 range 10.1.0.9 10.1.0.9",
        "not an IPv4 network"},
       {"dhcp server add pool x network 10.1.0.0/24 range 10.1.0.9", "the line ends too early"},
       {"dhcp server add pool x network 10.1.0.0/24 range 10.1.0.9 10.1.0.9 dns x",
        "'x' is not an IPv4"},
       {"dhcp server del pool y", "no pool 'y'; there are: lan"}});
}

TEST_F(DhcpLines, relay_carries_questions_to_a_server_elsewhere) {
  up();
  MUST(a.remove_address(1, vnet::ip("10.1.0.2")));
  vnet::DhcpPool far{.name = "far",
                     .network = vnet::prefix("10.1.0.0/24"),
                     .first = net::Ip4::of(10, 1, 0, 100),
                     .last = net::Ip4::of(10, 1, 0, 110),
                     .router = net::Ip4::of(10, 1, 0, 1)};
  MUST(b.dhcp().add_pool(far));
  set("dhcp relay add host-e0 server 10.2.0.2 server 10.2.0.7");
  MUST(a.dhcp_clients().add(1));
  loop.run_for(10s);
  EXPECT_TRUE(a.is_local(vnet::ip("10.1.0.100")));
  EXPECT_EQ(data("show dhcp relay")[0]["servers"], (json{"10.2.0.2", "10.2.0.7"}));
  expect_lasting();
  expect_refused({{"dhcp relay add host-e9 server 10.2.0.2", "no interface 'host-e9'"},
                  {"dhcp relay add host-e0 server 10.2.0", "'10.2.0'"},
                  {"dhcp relay add host-e0", "accepted: server"},
                  {"dhcp relay del host-e1", "no dhcp relay on interface host-e1"}});
}

TEST_F(DhcpLines, client_asks_for_an_address_that_is_not_configuration) {
  set("create host-interface name e0\nset interface state host-e0 up");
  const std::string before = now();
  MUST(a.dhcp().add_pool({.name = "lan",
                          .network = vnet::prefix("10.1.0.0/24"),
                          .first = net::Ip4::of(10, 1, 0, 100),
                          .last = net::Ip4::of(10, 1, 0, 110),
                          .router = net::Ip4::of(10, 1, 0, 2),
                          .dns = {net::Ip4::of(9, 9, 9, 9)}}));
  set("set dhcp client intfc host-e0");
  EXPECT_NE(say("show dhcp client").find("no address"), std::string::npos);
  loop.run_for(5s);
  const json client = data("show dhcp client")[0];
  EXPECT_EQ(client["address"], "10.1.0.100/24");
  EXPECT_EQ(client["router"], "10.1.0.2");
  EXPECT_EQ(pings(a, "10.1.0.100"), 2u);
  EXPECT_EQ(data("show ip fib 192.0.2.1")[0]["prefix"], "0.0.0.0/0");
  EXPECT_EQ(now(), before + "set dhcp client intfc host-e0\n");
  expect_lasting();
  expect_refused({{"set dhcp client host-e0", "host-e0"},
                  {"set dhcp client host-e4", "unknown input 'host-e4'"},
                  {"set dhcp client del", "the line ends too early"}});
  set("set dhcp client del host-e0");
  EXPECT_EQ(now(), before);
}

// The address that leads to them is not there when the configuration is loaded.
TEST_F(DhcpLines, routes_and_relay_by_a_leased_address_survive_a_restart) {
  set("create host-interface name e0\nset interface state host-e0 up");
  MUST(a.dhcp().add_pool({.name = "lan",
                          .network = vnet::prefix("10.1.0.0/24"),
                          .first = net::Ip4::of(10, 1, 0, 100),
                          .last = net::Ip4::of(10, 1, 0, 110)}));
  set("set dhcp client intfc host-e0");
  loop.run_for(5s);
  set(R"(ip route add 172.16.0.0/16 via 10.1.0.2
         ip route add 172.17.0.0/16 via 172.16.0.1
         dhcp relay add host-e0 server 10.1.0.2)");
  expect_lasting();
  EXPECT_EQ(data("show dhcp client")[0]["state"], "bound");
  EXPECT_NE(say("show ip fib 172.16.0.1").find("via 10.1.0.2 host-e0"), std::string::npos)
      << say("show ip fib 172.16.0.1");
  EXPECT_EQ(data("show dhcp relay")[0]["waits"], false);
  set("set dhcp client del intfc host-e0");
  EXPECT_NE(say("show dhcp relay").find("(waits for an IPv4 address)"), std::string::npos);
}

TEST_F(DhcpLines, router_advertisements_say_what_they_are_told) {
  up();
  vnet::Recorder seen;
  ports.cables.at("e0")->b().add_tap(&seen);
  auto advertisements = [&] {
    std::vector<net::RouterAdvertisement> all;
    for (const vnet::Octets& bytes : seen.in) {
      if (bytes.size() < 54 + 16 || bytes[20] != net::kProtocolIcmp6 || bytes[54] != 134) continue;
      all.push_back(net::Icmp6View::parse(std::span(bytes).subspan(54))->router_advertisement());
    }
    seen.in.clear();
    return all;
  };
  set("ip6 nd host-e0 ra-interval 60 ra-lifetime 900 ra-other-config-flag prefix 2001:db8:77::/64 "
      "7200 3600 off-link prefix 2001:db8:78::/64");
  loop.run_for(1s);
  auto first = advertisements();
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(first[0].router_lifetime, std::chrono::seconds(900));
  EXPECT_TRUE(first[0].other_config);
  EXPECT_FALSE(first[0].managed);
  ASSERT_EQ(first[0].prefix_count, 2u);
  EXPECT_FALSE(first[0].prefixes[0].on_link);
  EXPECT_EQ(first[0].prefixes[0].valid_lifetime, std::chrono::seconds(7200));
  EXPECT_TRUE(first[0].prefixes[1].autonomous);
  set("ip6 nd host-e0 ra-managed-config-flag");  // The rest stays.
  EXPECT_EQ(data("show ip6 ra")[0]["lifetime_s"], 900);
  EXPECT_EQ(data("show ip6 ra")[0]["managed"], true);
  expect_lasting();
  EXPECT_FALSE(advertisements().empty());
  set("ip6 nd host-e1 no ra-suppress");
  EXPECT_NE(say("show ip6 ra").find("host-e1:\n  interval up to 600 s"), std::string::npos);
  expect_refused({{"ip6 nd host-e0 ra-interval 3", "'3' is not a number from 4 to 1800"},
                  {"ip6 nd host-e0 ra-lifetime 20", "lifetime; accepted"},
                  {"ip6 nd host-e0 prefix 10.0.0.0/8", "10.0.0.0/8: not an IPv6 prefix"},
                  {"ip6 nd host-e0 prefix fe80::/64", "fe80::/64 is no host's to use"},
                  {"ip6 nd host-e0 prefix ff05::/64", "ff05::/64 is no host's to use"},
                  {"ip6 nd host-e0 prefix 2001:db8::/64 5 10", "preferred for longer"},
                  {"ip6 nd host-e0 ra-lifetme 20", "did you mean ra-lifetime?"},
                  {"ip6 nd host-e7 ra-suppress", "no interface 'host-e7'"}});
  set("ip6 nd host-e0 ra-suppress");
  expect_refused({{"ip6 nd host-e0 ra-suppress", "host-e0: sends no router advertisements"}});
  ports.cables.at("e0")->b().remove_tap(&seen);
}

TEST_F(DhcpLines, offer_that_nobody_took_has_no_time_left) {
  up();
  set("dhcp server add pool lan network 10.1.0.0/24 range 10.1.0.100 10.1.0.110 lease 60");
  MUST(a.remove_address(1, vnet::ip("10.1.0.2")));
  MUST(a.dhcp_clients().add(1));
  loop.run_for(5s);
  MUST(a.dhcp_clients().remove(1));
  loop.run_for(100s);
  EXPECT_EQ(data("show dhcp server lan")[0]["leases"][0]["ends_in_s"], 0.0);
  EXPECT_EQ(say("show dhcp server").find(" -"), std::string::npos) << say("show dhcp server");
}

}  // namespace
}  // namespace wh::router
