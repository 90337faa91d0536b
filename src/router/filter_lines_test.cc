// Access lists, policers and NAT44, by lines of text.
#include "router/metrics.h"
#include "router/test_lab.h"

namespace wh::router {
namespace {

using nlohmann::json;

class FilterLines : public RouterLab {
 protected:
  bool metrics_have(const std::string& sample) {
    return metrics_text(router).find(sample + "\n") != std::string::npos;
  }
};

TEST_F(FilterLines, access_lists_let_in_what_they_permit) {
  up();
  EXPECT_EQ(say("set acl-plugin acl deny src 10.1.0.2/32 proto icmp, permit src 0.0.0.0/0 tag web"),
            "ACL index:0\n");
  EXPECT_EQ(say("set acl-plugin acl deny ipv6 proto icmp6 sport 128, permit ipv6"),
            "ACL index:1\n");
  expect_refused(
      {{"set acl-plugin acl permit ipv4 src 2001:db8::/32", "src 2001:db8::/32: not of ipv4"},
       {"set acl-plugin acl permit ipv6 dst 10.0.0.0/8", "dst 10.0.0.0/8: not of ipv6"},
       {"delete acl-plugin acl index 01", "no acl '01'; there are: 0, 1"}});
  set("set acl-plugin interface host-e0 input acl 0 acl 1");
  EXPECT_EQ(pings(a, "10.2.0.2"), 0u);
  EXPECT_EQ(pings(a, "2001:db8:2::2"), 0u);
  EXPECT_EQ(pings(b, "2001:db8:1::2"), 2u) << "only requests are denied";
  const json lists = data("show acl-plugin acl");
  EXPECT_EQ(lists[0]["rules"][0]["hits"], 2u);
  EXPECT_EQ(lists[0]["tag"], "web");
  EXPECT_NE(say("show acl-plugin acl index 1")
                .find("          0: ipv6 deny src ::/0 dst ::/0 proto 58 sport 128-128 dport "
                      "0-65535 hits 2\n"),
            std::string::npos)
      << say("show acl-plugin acl index 1");
  EXPECT_EQ(data("show acl-plugin interface")[0],
            (json{{"interface", "host-e0"}, {"input", {0, 1}}, {"output", json::array()}}));
  EXPECT_TRUE(metrics_have(R"(wheelhouse_acl_hits_total{acl="0",rule="0",tag="web"} 2)"));
  expect_lasting();
  EXPECT_EQ(pings(a, "10.2.0.2"), 0u);
  set("set acl-plugin interface host-e0 input acl 0 acl 1 del");
  EXPECT_EQ(pings(a, "10.2.0.2"), 2u);
}

TEST_F(FilterLines, reflecting_list_lets_answers_pass_and_no_questions) {
  up();
  set(R"(set acl-plugin acl index 4 permit+reflect src 10.1.0.0/24, permit+reflect src 2001:db8:1::/64, permit ipv6 proto icmp6 sport 133-136
         set acl-plugin acl index 5 deny src 0.0.0.0/0, permit ipv6 proto icmp6 sport 133-136
         set acl-plugin interface host-e1 output acl 4
         set acl-plugin interface host-e1 input acl 5)");
  EXPECT_EQ(pings(a, "10.2.0.2"), 2u);
  EXPECT_EQ(pings(a, "2001:db8:2::2"), 2u);
  EXPECT_EQ(data("show acl-plugin sessions")["sessions"], 2);
  EXPECT_TRUE(metrics_have("wheelhouse_acl_sessions 2"));
  say("clear acl-plugin sessions");
  EXPECT_EQ(pings(b, "10.1.0.2"), 0u);
  EXPECT_EQ(pings(b, "2001:db8:1::2"), 0u);
  expect_lasting();
  EXPECT_EQ(pings(a, "10.2.0.2"), 2u);
}

TEST_F(FilterLines, list_in_use_gets_another_content_by_loading) {
  up();
  set("set acl-plugin acl index 0 deny\nset acl-plugin interface host-e0 input acl 0");
  std::string text = now();
  text.replace(text.find("deny"), 4, "permit");
  EXPECT_EQ(load(text), "applied");
  EXPECT_EQ(pings(a, "10.2.0.2"), 2u);
  expect_refused(
      {{"set acl-plugin acl index 0 allow", "unknown input 'allow'; accepted: deny, permit"},
       {"set acl-plugin acl index 0 deny src 10.0.0.0/40", "'10.0.0.0/40'"},
       {"set acl-plugin acl index 0 deny proto tpc", "'tpc'"},
       {"set acl-plugin acl index 0 deny proto tcp dport 80-70", "'80-70'"},
       {"set acl-plugin acl index 0 deny dport 80", "rule 0: protocol 0 has no ports"},
       {"set acl-plugin acl index 0 permit, deny src 10.0.0.0/8 dst ::/0", "rule 1: source and"},
       {"set acl-plugin acl index 0 permit, deny tcpflags 2 mask 2", "rule 1: TCP flags of"},
       {"set acl-plugin acl index 0 permit deny", "unknown input 'deny'"},
       {"set acl-plugin acl index 0 permit,", "the line ends too early; accepted: deny, permit"},
       {"set acl-plugin interface host-e0 input acl 9", "no acl '9'; there are: 0"},
       {"set acl-plugin interface host-e0 output acl 0 del", "acl 0 is not bound"},
       {"delete acl-plugin acl index 0", "interface host-e0 uses it"},
       {"delete acl-plugin acl index 3", "no acl '3'"}});
}

// Not for a packet: between the steps of a load packets pass.
TEST_F(FilterLines, interface_is_never_without_lists_while_others_are_loaded) {
  up();
  set(R"(set acl-plugin acl index 0 deny proto icmp, permit
         set acl-plugin acl index 1 deny
         set acl-plugin interface host-e0 input acl 0)");
  std::string text = now();
  text.replace(text.find("input acl 0"), 11, "input acl 1 acl 0");
  const auto target = try_configuration(router, text, "new.conf");
  ASSERT_TRUE(target) << target.error().text;
  ConfigurationDifference changes;
  Result<void> result;
  Steps steps = apply_configuration(line, *target, {}, changes, result);
  while (steps.next()) {
    ASSERT_FALSE(router.vnet().acls().bound(1, vnet::AclTable::kInput).empty());
  }
  EXPECT_TRUE(result) << result.error().text;
  EXPECT_EQ(now(), text);
}

TEST_F(FilterLines, policers_drop_what_exceeds_and_mark) {
  up();
  set(R"(policer add name slow rate kbps cir 8 cb 200 conform-action transmit exceed-action drop
         policer add name mark type 2r3c-2698 cir 8000 cb 20000 eir 9000 eb 20000 conform-action mark-and-transmit AF11 exceed-action transmit violate-action drop
         policer input name slow host-e0
         policer output name mark host-e0)");
  // 84 bytes each, a hundredth of a second apart: two fit into 200 bytes.
  EXPECT_EQ(pings(a, "10.2.0.2", 5), 2u);
  EXPECT_EQ(pings(a, "2001:db8:2::2", 5), 1u);  // 104 bytes each.
  const json slow = data("show policer slow")[0];
  EXPECT_EQ(slow["colours"]["exceed"]["packets"], 7);
  EXPECT_NE(say("show policer").find("Name \"mark\" type 2r3c-2698 cir 8000 eir 9000"),
            std::string::npos);
  EXPECT_TRUE(
      metrics_have(R"(wheelhouse_policer_packets_total{policer="slow",colour="exceed"} 7)"));
  expect_lasting();
  // A policer in use changes by loading.
  std::string text = now();
  text.replace(text.find("cb 200 "), 7, "cb 2000 ");
  EXPECT_EQ(load(text), "applied");
  EXPECT_EQ(pings(a, "10.2.0.2", 5), 5u);
  set("policer input name slow host-e0 unapply\npolicer del name slow");
  expect_refused(
      {{"policer add name x cir 8", "policer 'x': needs cir and cb"},
       {"policer add name x cir 8 cb 0", "'0' is not a number from 1"},
       {"policer add name x cir 8 cb 9 eir 5 eb 9", "the peak rate is below"},
       {"policer add name x type 1r3c cir 8 cb 9", "with these rates and bursts it is 1r2c"},
       {"policer add name x cir 8 cb 9 conform-action mark-and-transmit AF99", "'AF99'"},
       {"policer add name x cir 8 cb 9 conform-action bounce", "unknown input 'bounce'"},
       {"policer add name mark cir 8 cb 9", "there is one"},
       {"policer input name gone host-e0", "no policer 'gone'; there are: mark"},
       {"policer del name mark", "bound to 1 interfaces"},
       {"policer input name mark host-e0 unapply", "host-e0: no policer"}});
}

class NatLines : public FilterLines {
 protected:
  NatLines() {
    MUST(b.remove_route(vnet::prefix("0.0.0.0/0")));  // b does not know a's network.
    up();
  }
};

TEST_F(NatLines, inside_hosts_share_an_outside_address) {
  EXPECT_EQ(pings(a, "10.2.0.2"), 0u);
  set(R"(nat44 plugin enable sessions 1000
         nat44 add interface address host-e1
         set interface nat44 in host-e0 out host-e1)");
  EXPECT_EQ(pings(a, "10.2.0.2"), 2u);
  EXPECT_EQ(pings(a, "2001:db8:2::2"), 2u) << "IPv6 is none of its business";
  const json sessions = data("show nat44 sessions");
  ASSERT_EQ(sessions.size(), 1u);
  EXPECT_EQ(sessions[0]["outside"]["address"], "10.2.0.1");
  EXPECT_NE(say("show nat44 sessions").find("i2o 10.1.0.2 proto ICMP"), std::string::npos);
  EXPECT_EQ(data("show nat44 summary")["ICMP"], 1);
  EXPECT_EQ(data("show nat44 addresses")[0]["busy"]["ICMP"], 1);
  EXPECT_EQ(data("show nat44 interfaces")[1], (json{{"interface", "host-e1"}, {"role", "out"}}));
  EXPECT_TRUE(metrics_have("wheelhouse_nat44_sessions 1"));
  EXPECT_TRUE(metrics_have("wheelhouse_nat44_sessions_limit 1000"));
  // The interface gets another address, and so do the inside hosts.
  set("set interface ip address del host-e1 10.2.0.1/24\nset interface ip address host-e1 "
      "10.2.0.9/24");
  EXPECT_EQ(data("show nat44 sessions").size(), 0u) << "of the address that is gone";
  EXPECT_EQ(pings(a, "10.2.0.2"), 2u);
  EXPECT_EQ(data("show nat44 addresses")[0]["address"], "10.2.0.9");
  say("clear nat44 sessions");
  EXPECT_EQ(data("show nat44 sessions").size(), 0u);
  EXPECT_EQ(pings(a, "10.2.0.2"), 2u);
  expect_lasting();
  EXPECT_EQ(data("show nat44 sessions").size(), 0u) << "all was taken back in between";
  EXPECT_EQ(pings(a, "10.2.0.2"), 2u);
}

// Inside hosts of another table: what they send outside comes back to them there, and so does what
// a forwarded port is for.
TEST_F(NatLines, inside_may_be_a_table_of_its_own) {
  set(R"(set interface ip address del host-e0 10.1.0.1/24
         set interface ip address del host-e0 2001:db8:1::1/64
         ip table add 7
         set interface ip table host-e0 7
         set interface ip address host-e0 10.1.0.1/24
         ip route add 0.0.0.0/0 table 7 via 10.2.0.2 host-e1
         set interface nat44 in host-e0 out host-e1
         nat44 add interface address host-e1
         nat44 add static mapping udp local 10.1.0.2 53 external 10.2.0.1 8053 vrf 7)");
  EXPECT_EQ(pings(a, "10.2.0.2"), 2u);
  EXPECT_EQ(data("show nat44 sessions")[0]["vrf"], 7);
  int asked = 0, answered = 0;
  std::unique_ptr<vnet::UdpSocket> server =
      MUST(a.open_udp({.port = 53}, [&](const vnet::UdpDatagram& d) {
        ++asked;
        MUST(server->send(d.source, d.source_port, d.payload()));
      }));
  auto client =
      MUST(b.open_udp({}, [&](const vnet::UdpDatagram& d) { answered += d.source_port == 8053; }));
  MUST(client->send(vnet::ip("10.2.0.1"), 8053, vnet::Octets(20)));
  loop.run_for(1s);
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(answered, 1);
  expect_refused(
      {{"nat44 add static mapping udp local 10.1.0.2 53 external 10.2.0.1 9 vrf 7", "there is one"},
       {"nat44 add static mapping udp local 10.1.0.2 53 external 10.2.0.1 9 vrf 8", "'8'"},
       {"nat44 add static mapping udp local 10.1.0.2 53 external 10.2.0.1 8053 del", "no static"}});
  set("nat44 add static mapping udp local 10.1.0.2 53 external 10.2.0.1 9");  // Of table 0.
  expect_lasting();
  EXPECT_EQ(pings(a, "10.2.0.2"), 2u);
  set(R"(set interface ip address del host-e0 10.1.0.1/24
         set interface ip table host-e0 0)");
  expect_refused({{"ip table del 7", "VRF 7: the static mapping to 10.1.0.2 is in it"}});
  set("nat44 add static mapping udp local 10.1.0.2 53 external 10.2.0.1 8053 vrf 7 del");
  EXPECT_NE(data("show nat44 sessions").size(), 0u);
  set("ip table del 7");
  EXPECT_EQ(data("show nat44 sessions").size(), 0u);
}

TEST_F(NatLines, ports_and_addresses_are_forwarded) {
  set(R"(set interface nat44 in host-e0
         set interface nat44 out host-e1
         nat44 add address 10.2.0.1
         nat44 add address 10.2.0.50 - 10.2.0.52
         nat44 add static mapping udp local 10.1.0.2 53 external 10.2.0.1 8053
         nat44 add static mapping local 10.1.0.2 external 10.2.0.60
         set nat timeout udp 30 icmp 5)");
  int asked = 0, answered = 0;
  std::unique_ptr<vnet::UdpSocket> server =
      MUST(a.open_udp({.port = 53}, [&](const vnet::UdpDatagram& d) {
        ++asked;
        MUST(server->send(d.source, d.source_port, d.payload()));
      }));
  auto client = MUST(b.open_udp({}, [&](const vnet::UdpDatagram&) { ++answered; }));
  auto ask = [&] {
    MUST(client->send(vnet::ip("10.2.0.1"), 8053, vnet::Octets(20)));
    loop.run_for(1s);
  };
  ask();
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(answered, 1);
  EXPECT_EQ(data("show nat44 static mappings")[0]["external_port"], 8053);
  EXPECT_EQ(data("show nat timeouts")["udp"], 30);
  EXPECT_EQ(data("show nat44 addresses").size(), 4u);
  expect_lasting();
  ask();
  EXPECT_EQ(answered, 2);
  expect_refused(
      {{"nat44 add address 10.2.0.49 - 10.2.0.50", "10.2.0.50: is in the pool"},
       {"nat44 add address 10.2.0.53 - 10.2.0.2", "accepted: 1 to 256 addresses"},
       {"nat44 add address 10.2.0.53 del", "not in the pool"},
       {"nat44 add address 2001:db8::1", "2001:db8::1"},
       {"nat44 add static mapping udp local 10.1.0.3 53 external 10.2.0.1 8053", "there is one"},
       {"nat44 add static mapping sctp local 10.1.0.3 53 external 10.2.0.1 1",
        "unknown input 'sctp'"},
       {"nat44 add static mapping udp local 10.1.0.3 external 10.2.0.1 1", "'external' is not"},
       {"nat44 add static mapping tcp local 10.1.0.3 99999 external 10.2.0.1 1", "'99999'"},
       {"nat44 add static mapping local 10.1.0.3 external 10.2.0.61 del", "no static mapping"},
       {"set interface nat44 out host-e0", "host-e0: is inside"},
       {"set interface nat44 in host-e0 out host-e0", "host-e0: given twice"},
       {"set interface nat44 out host-e0 del", "host-e0: is not outside"},
       {"nat44 plugin enable sessions 0", "'0' is not a number from 1"},
       {"set nat timeout upd 4", "unknown input 'upd'"}});
  set("nat44 plugin disable");
  EXPECT_EQ(now().find("nat"), std::string::npos) << now();
}

}  // namespace
}  // namespace wh::router
