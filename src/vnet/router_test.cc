// Three vnets in a row: what a router forwards, lowers, cuts and answers.
#include <sstream>

#include "graph/show.h"
#include "vnet/show.h"
#include "vnet/test_support.h"

namespace wh::vnet {
namespace {

using net::IpError;

using Router = RouterTest;

TEST_F(Router, forwards_pings_both_ways) {
  loop.run_for(2s);  // Each host looks for duplicates of its addresses, which the others ignore.
  const uint64_t before = r.graph().drops();
  std::vector<uint8_t> ttls;
  const auto s =
      ping(a, "10.2.0.2", {},
           {.on_answer = [&](const Ping::Answer& answer) { ttls.push_back(answer.ttl); }});
  EXPECT_EQ(s.received, 5u);
  EXPECT_EQ(ttls, std::vector<uint8_t>(5, 63));
  EXPECT_EQ(ping(a, "2001:db8:2::2").received, 5u);
  EXPECT_EQ(ping(b, "10.1.0.2").received, 5u);
  EXPECT_EQ(r.graph().drops(), before);
}

TEST_F(Router, answers_when_the_ttl_runs_out) {
  std::vector<IpError> errors;
  Ping::Actions keep{.on_error = [&](const IpError& e) { errors.push_back(e); }};
  EXPECT_EQ(ping(a, "10.2.0.2", {.count = 1, .ttl = 1}, keep).received, 0u);
  EXPECT_EQ(ping(a, "2001:db8:2::2", {.count = 1, .ttl = 1}, keep).received, 0u);
  ASSERT_EQ(errors.size(), 2u);
  EXPECT_EQ(errors[0].kind, IpError::Kind::TimeExceeded);
  EXPECT_EQ(errors[1].kind, IpError::Kind::TimeExceeded);
  EXPECT_EQ(count(r, "ip4-input", "ttl_expired"), 1u);
  EXPECT_EQ(count(r, "ip6-input", "hop_limit"), 1u);
  // Nobody is asked for first.
  ping(a, "10.2.0.77", {.count = 1, .ttl = 1}, keep);
  ping(a, "2001:db8:2::77", {.count = 1, .ttl = 1}, keep);
  ASSERT_EQ(errors.size(), 4u);
  EXPECT_EQ(errors[2].kind, IpError::Kind::TimeExceeded);
  EXPECT_EQ(errors[3].kind, IpError::Kind::TimeExceeded);
  EXPECT_EQ(count(r, "ip4-arp", "held"), 0u);
  EXPECT_EQ(count(r, "ip6-discover-neighbor", "held"), 0u);
  // Two hops are enough, and a packet for the router itself needs none to spare.
  EXPECT_EQ(ping(a, "10.2.0.2", {.count = 1, .ttl = 2}).received, 1u);
  EXPECT_EQ(ping(a, "10.2.0.1", {.count = 1, .ttl = 1}).received, 1u);
  EXPECT_EQ(ping(a, "2001:db8:2::1", {.count = 1, .ttl = 1}).received, 1u);
}

TEST_F(Router, cuts_ip4_for_a_narrower_link_unless_told_not_to) {
  MUST(r.set_mtu(2, 600));
  MUST(b.set_mtu(ib, 600));
  EXPECT_EQ(ping(a, "10.2.0.2", {.size = 1400, .count = 1}).received, 1u);
  EXPECT_EQ(count(r, "ip4-frag", "fragments"), 3u);
  std::vector<IpError> errors;
  Ping::Actions keep{.on_error = [&](const IpError& e) { errors.push_back(e); }};
  EXPECT_EQ(ping(a, "10.2.0.2", {.size = 1400, .count = 1, .dont_fragment = true}, keep).received,
            0u);
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0].kind, IpError::Kind::PacketTooBig);
  EXPECT_EQ(errors[0].mtu, 600u);
  // 572 + 8 + 20 is the MTU exactly.
  EXPECT_EQ(ping(a, "10.2.0.2", {.size = 572, .count = 1, .dont_fragment = true}).received, 1u);
}

TEST_F(Router, never_cuts_ip6_but_says_how_large_a_packet_may_be) {
  MUST(r.set_mtu(2, 1300));
  std::vector<IpError> errors;
  Ping::Actions keep{.on_error = [&](const IpError& e) { errors.push_back(e); }};
  EXPECT_EQ(ping(a, "2001:db8:2::2", {.size = 1400, .count = 1}, keep).received, 0u);
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0].kind, IpError::Kind::PacketTooBig);
  EXPECT_EQ(errors[0].mtu, 1300u);
  EXPECT_EQ(ping(a, "2001:db8:2::2", {.size = 1252, .count = 1}).received, 1u);
}

TEST_F(Router, answers_for_what_it_cannot_reach) {
  std::vector<IpError> errors;
  Ping::Actions keep{.on_error = [&](const IpError& e) { errors.push_back(e); }};
  ping(a, "192.0.2.1", {.count = 1}, keep);
  ping(a, "2001:db8:9::1", {.count = 1}, keep);
  ASSERT_EQ(errors.size(), 2u);
  EXPECT_EQ(errors[0].kind, IpError::Kind::NetUnreachable);
  EXPECT_EQ(errors[1].kind, IpError::Kind::NetUnreachable);
  // A host that is not there: told once nobody has answered for it.
  errors.clear();
  Ping absent(a, {.destination = ip("10.2.0.77"), .count = 1, .timeout = 20s}, keep);
  MUST(absent.start());
  loop.run_for(10s);
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0].kind, IpError::Kind::HostUnreachable);
  EXPECT_EQ(count(r, "ip4-arp", "unresolved"), 1u);
}

TEST_F(Router, stops_a_routing_loop_at_the_last_hop) {
  MUST(a.sysctl().set("net.inet.ip.forwarding", "1"));
  MUST(r.add_route(prefix("203.0.113.0/24"), ip("10.1.0.2")));
  ping(b, "203.0.113.1", {.count = 1});  // What a made itself would not come back through it.
  EXPECT_EQ(count(a, "ip4-input", "ttl_expired") + count(r, "ip4-input", "ttl_expired"), 1u);
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST_F(Router, drops_without_a_word_what_a_blackhole_matches) {
  MUST(r.add_blackhole(prefix("203.0.113.0/24")));
  ping(a, "203.0.113.1", {.count = 3});
  EXPECT_EQ(count(r, "ip4-lookup", "never_forwarded"), 3u);
  EXPECT_EQ(count(r, "ip4-icmp-error", "sent"), 0u);
  MUST(r.remove_route(prefix("203.0.113.0/24")));
  EXPECT_FALSE(r.remove_route(prefix("203.0.113.0/24")));
}

TEST_F(Router, changes_a_route_in_place) {
  MUST(a.add_route(prefix("10.2.0.0/16"), ip("10.1.0.9")));
  EXPECT_EQ(ping(a, "10.2.0.2", {.count = 1}).received, 0u);
  MUST(a.add_route(prefix("10.2.0.0/16"), ip("10.1.0.1")));
  EXPECT_EQ(a.static_routes().size(), 3u);
  EXPECT_EQ(ping(a, "10.2.0.2", {.count = 1}).received, 1u);
}

TEST_F(Router, refuses_a_next_hop_it_cannot_have) {
  EXPECT_EQ(a.add_route(prefix("9.0.0.0/8"), ip("10.9.0.1")).error().text,
            "route 9.0.0.0/8 via 10.9.0.1: the next hop is on no connected prefix; `unreached` "
            "behind it lets it wait for one");
  EXPECT_EQ(a.add_route(prefix("9.0.0.0/8"), ip("10.1.0.2")).error().text,
            "route 9.0.0.0/8 via 10.1.0.2: that is this host");
  EXPECT_FALSE(a.add_route(prefix("9.0.0.0/8"), ip("fe80::1")));
  EXPECT_FALSE(a.add_route(prefix("9.0.0.0/8"), ip("10.1.0.1"), 77));
}

TEST_F(Router, says_what_is_known_of_a_way) {
  const auto route = a.route(ip("10.2.0.2"));
  ASSERT_TRUE(route);
  EXPECT_EQ(route->source, ip("10.1.0.2"));
  EXPECT_EQ(route->mtu, 1500u);
  EXPECT_EQ(a.route(ip("2001:db8:2::2"))->source, ip("2001:db8:1::2"));
  EXPECT_EQ(a.route(ip("10.1.0.2"))->source, ip("10.1.0.2"));
  EXPECT_FALSE(r.route(ip("192.0.2.1")));
  EXPECT_FALSE(r.route(ip("fe80::1")));  // Two links: which one?
  EXPECT_EQ(a.route(ip("fe80::1"))->source, net::IpAddress(net::Ip6::link_local(left.a().mac())));
  EXPECT_TRUE(a.is_local(ip("10.1.0.2")));
  EXPECT_TRUE(a.is_local(ip("127.0.0.1")));
  EXPECT_FALSE(a.is_local(ip("10.1.0.1")));
}

// Link-local addresses mean something only on their link: one may be on several, and a host on one
// may have what is ours on another (RFC 4291 section 2.5.6).
TEST_F(Router, has_one_link_local_address_on_two_links) {
  MUST(r.add_address(1, prefix("fe80::1/64")));
  MUST(r.add_address(2, prefix("fe80::1/64")));
  loop.run_for(3s);
  EXPECT_EQ(ping(a, "fe80::1", {.count = 2}).received, 2u);
  EXPECT_EQ(ping(b, "fe80::1", {.count = 2}).received, 2u);
  // From where it began to be known, too.
  const auto of_b = to_string(net::Ip6::link_local(right.b().mac()));
  EXPECT_EQ(ping(r, of_b, {.source = ip("fe80::1"), .count = 2, .interface = 2}).received, 2u);
  EXPECT_FALSE(r.add_address(2, prefix("fe80::1/64")));
  // Taken from one, it stays on the other.
  MUST(r.remove_address(1, ip("fe80::1")));
  EXPECT_EQ(ping(a, "fe80::1", {.count = 1}).received, 0u);
  EXPECT_EQ(ping(b, "fe80::1", {.count = 2}).received, 2u);
  EXPECT_EQ(ping(r, of_b, {.source = ip("fe80::1"), .count = 2}).received, 2u);
}

TEST_F(Router, takes_a_next_hop_whose_link_local_address_is_its_own_elsewhere) {
  MUST(r.add_address(1, prefix("fe80::1/64")));
  MUST(b.add_address(ib, prefix("fe80::1/64")));
  MUST(b.add_address(ib, prefix("2001:db8:9::1/128")));
  loop.run_for(3s);
  const auto own = r.add_route(prefix("2001:db8:9::/48"), ip("fe80::1"), 1);
  ASSERT_FALSE(own);
  EXPECT_EQ(own.error().text, "route 2001:db8:9::/48 via fe80::1: that is this host");
  MUST(r.add_route(prefix("2001:db8:9::/48"), ip("fe80::1"), 2));
  EXPECT_EQ(ping(a, "2001:db8:9::1", {.count = 2}).received, 2u);
  EXPECT_EQ(ping(b, to_string(net::Ip6::link_local(right.a().mac())),
                 {.source = ip("fe80::1"), .count = 2})
                .received,
            2u);
  EXPECT_FALSE(r.add_neighbour(1, ip("fe80::1"), right.b().mac()));
  EXPECT_TRUE(r.add_neighbour(2, ip("fe80::1"), right.b().mac()));
}

TEST_F(Router, explains_each_packet_in_a_trace) {
  ping(a, "10.2.0.2", {.count = 1});
  MUST(r.graph().trace_add("ethernet-input", 1));
  ping(a, "10.2.0.2", {.count = 1});
  std::vector<std::string> nodes;
  for (const auto& record : r.graph().traces().at(0).records) {
    nodes.push_back(record.node);
  }
  EXPECT_EQ(nodes,
            (std::vector<std::string>{"ethernet-input", "ip4-input", "ip4-lookup", "ip4-rewrite",
                                      "interface-output", "right-output", "right-tx"}));
  const std::string text = graph::format_traces(r.graph());
  EXPECT_NE(text.find("10.1.0.2 > 10.2.0.2: ICMP echo request"), std::string::npos) << text;
  EXPECT_NE(text.find("ipv4 via 10.2.0.2 right"), std::string::npos) << text;
}

// Whoever is said to be on another link keeps its place on its own.
TEST_F(Router, sends_to_a_connected_host_whatever_is_said_of_it_on_another_interface) {
  const uint16_t left_index = *r.interfaces().find("left");
  const uint16_t right_index = *r.interfaces().find("right");
  for (const char* net : {"1.0.0.0/8", "2001:db8:ff::/48"}) {
    const net::Prefix far = prefix(net);
    const bool v4 = far.address.is_v4();
    const char* own = v4 ? "10.1.0.1" : "2001:db8:1::1";
    const char* host = v4 ? "10.1.0.2" : "2001:db8:1::2";
    MUST(r.add_route(far, ip(host), right_index));
    EXPECT_EQ(ping(a, own, {.count = 1}).received, 1u) << host;
    MUST(r.remove_route(far));
    EXPECT_EQ(ping(a, own, {.count = 1}).received, 1u) << host;
    MUST(r.add_neighbour(right_index, ip(host), right.b().mac()));
    EXPECT_EQ(ping(r, host, {.count = 1}).received, 1u) << host;
    MUST(r.remove_neighbour(right_index, ip(host)));
    EXPECT_EQ(ping(r, host, {.count = 1}).received, 1u) << host;
    // And what is known where it is stays so when the other goes.
    const AdjacencyIndex way = r.stack().fib(far.address.family).lookup(ip(host));
    EXPECT_EQ(r.stack().adjacencies[way].kind, AdjacencyKind::Rewrite);
    EXPECT_EQ(r.stack().adjacencies[way].interface, left_index);
  }
}

// A neighbour may be known before its link's prefix is, and outlive it.
TEST_F(Router, finds_a_neighbour_that_is_older_than_its_prefix) {
  const uint16_t right_index = *r.interfaces().find("right");
  MUST(r.add_neighbour(right_index, ip("10.3.0.2"), right.b().mac()));
  MUST(r.add_route(prefix("10.9.0.0/16"), ip("10.3.0.2"), right_index));
  EXPECT_FALSE(r.route(ip("10.3.0.2")));
  const auto way = [&] {
    const AdjacencyIndex i = r.stack().fib(net::Family::V4).lookup(ip("10.3.0.2"));
    return r.stack().adjacencies[i].kind;
  };
  MUST(r.add_address(right_index, prefix("10.3.0.1/24")));
  MUST(b.add_address(ib, prefix("10.3.0.2/24")));
  EXPECT_EQ(ping(r, "10.3.0.2", {.count = 1}).received, 1u);
  EXPECT_EQ(way(), AdjacencyKind::Rewrite);
  MUST(r.remove_address(right_index, ip("10.3.0.1")));
  EXPECT_EQ(way(), AdjacencyKind::NoRoute);
}

TEST_F(Router, refuses_a_prefix_that_overlaps_another_interfaces) {
  const uint16_t left_index = *r.interfaces().find("left");
  const uint16_t right_index = *r.interfaces().find("right");
  EXPECT_EQ(r.add_address(right_index, prefix("10.1.0.7/24")).error().text,
            "address 10.1.0.7/24: 10.1.0.1/24 of interface left overlaps it");
  for (const char* text : {"10.1.0.7/16", "10.1.0.129/25", "10.1.0.7/32", "2001:db8:1::7/64",
                           "2001:db8:1::7/128", "2001:db8:7::1/32"}) {
    EXPECT_FALSE(r.add_address(right_index, prefix(text))) << text;
  }
  EXPECT_FALSE(r.remove_address(right_index, ip("10.1.0.7")));
  // Of its own interface, of another VRF, and link-local everywhere.
  EXPECT_TRUE(r.add_address(left_index, prefix("10.1.0.7/24")));
  EXPECT_TRUE(r.add_address(right_index, prefix("fe80::7/64")));
  net::Cable third{port("third", 8), port("eth0", 9), loop};
  const uint16_t other = MUST(r.attach(third.a()));
  MUST(r.add_vrf(7));
  MUST(r.set_vrf(other, 7));
  EXPECT_TRUE(r.add_address(other, prefix("10.1.0.7/24")));
  MUST(r.remove_address(left_index, ip("10.1.0.7")));
  MUST(r.detach(other));
  EXPECT_EQ(ping(a, "10.2.0.2", {.count = 1}).received, 1u);
  EXPECT_EQ(ping(a, "2001:db8:2::2", {.count = 1}).received, 1u);
  // What is taken back is free for another.
  MUST(r.remove_address(left_index, ip("10.1.0.1")));
  EXPECT_TRUE(r.add_address(right_index, prefix("10.1.0.1/24")));
}

// In whichever order they are said: else what is set could not be set again.
TEST_F(Router, refuses_an_address_that_is_given_as_somebody_elses) {
  const auto refusal = [&](const char* address) {
    const auto done = r.add_address(1, prefix(address));
    return done ? "" : done.error().text;
  };
  MUST(r.add_route(prefix("9.0.0.0/8"), ip("10.1.0.9")));
  MUST(r.add_route(prefix("9:9::/32"), ip("fe80::9"), 1));
  MUST(r.add_neighbour(1, ip("10.1.0.8"), left.a().mac()));
  MUST(r.add_neighbour(2, ip("fe80::8"), right.b().mac()));
  EXPECT_EQ(refusal("10.1.0.9/24"), "address 10.1.0.9/24: it is given as a route's next hop");
  EXPECT_EQ(refusal("fe80::9/64"), "address fe80::9/64: it is given as a route's next hop");
  EXPECT_EQ(refusal("10.1.0.8/24"), "address 10.1.0.8/24: it is given as a neighbour's on left");
  EXPECT_EQ(refusal("fe80::8/64"), "");  // Another link's.
  MUST(r.remove_route(prefix("9.0.0.0/8")));
  EXPECT_EQ(refusal("10.1.0.9/24"), "");
  loop.run_for(3s);
}

TEST_F(Router, keeps_the_routes_of_an_addresses_neighbours_when_it_goes) {
  // Prefixes alone: the report counts packets too.
  const auto routes = [&] {
    std::istringstream lines(format(fib_report(r, net::Family::V4)));
    std::string all, line;
    while (std::getline(lines, line)) all += line.starts_with(' ') ? "" : line + "\n";
    return all;
  };
  ping(a, "10.1.0.1", {.count = 1});  // Both know each other from now on.
  const std::string before = routes();
  const uint16_t left_index = *r.interfaces().find("left");
  // A part of the same prefix, the edge of that part, and the edge of the whole.
  for (const char* text : {"10.1.0.9/25", "10.1.0.127/24", "10.1.0.255/32", "10.1.0.200/24"}) {
    MUST(r.add_address(left_index, prefix(text)));
    EXPECT_TRUE(r.is_local(ip("10.1.0.1"))) << text;
  }
  EXPECT_EQ(ping(a, "10.1.0.127", {.count = 1}).received, 1u);
  for (const char* text : {"10.1.0.9", "10.1.0.255", "10.1.0.127", "10.1.0.200"}) {
    MUST(r.remove_address(left_index, ip(text)));
    EXPECT_EQ(ping(a, "10.1.0.1", {.count = 1}).received, 1u) << text;
  }
  EXPECT_EQ(routes(), before);
}

TEST_F(Router, loses_nothing_when_an_interface_goes) {
  ping(a, "10.2.0.2", {.count = 1});
  MUST(r.detach(2));
  EXPECT_EQ(ping(a, "10.2.0.2", {.count = 2}).received, 0u);
  EXPECT_EQ(count(r, "ip4-lookup", "no_route"), 2u);
  EXPECT_FALSE(r.detach(2));
  EXPECT_FALSE(r.sysctl().contains("net.link.generic.ifdata.right.rx_packets"));
  const uint16_t again = MUST(r.attach(right.a()));
  MUST(r.add_address(again, prefix("10.2.0.1/24")));
  EXPECT_EQ(ping(a, "10.2.0.2", {.count = 2}).received, 2u);
}

}  // namespace
}  // namespace wh::vnet
