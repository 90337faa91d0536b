// Routes with several next hops, next hops that other routes lead to, and VRFs.
#include "vnet/route_file.h"
#include "vnet/show.h"
#include "vnet/test_support.h"

namespace wh::vnet {
namespace {

// r (10.1.0.1 on left, 10.2.0.1 on right), and a host beyond each.
class Paths : public RouterTest {
 protected:
  static constexpr uint16_t kLeft = 1, kRight = 2;

  AdjacencyIndex way(std::string_view to, uint32_t hash, uint32_t vrf = 0) {
    const Stack& s = r.stack();
    const uint16_t slot = MUST(s.find_vrf(vrf));
    const auto address = ip(to);
    return s.adjacencies.pick(s.fib(address.family, slot).lookup(address), hash);
  }
  // How many of the 64 buckets lead out by an interface.
  uint32_t share(std::string_view to, uint16_t interface) {
    uint32_t n = 0;
    for (uint32_t hash = 0; hash < Balance::kBuckets; ++hash) {
      const Adjacency& adjacency = r.stack().adjacencies[way(to, hash)];
      n += adjacency.kind != AdjacencyKind::NoRoute && adjacency.interface == interface;
    }
    return n;
  }
  Result<void> add(std::string_view to, std::vector<NextHop> hops, uint32_t vrf = 0) {
    return r.add_route(prefix(to), hops, vrf);
  }
};

TEST_F(Paths, spread_flows_by_weight) {
  MUST(add("203.0.113.0/24", {{ip("10.1.0.2"), 0, 1}, {ip("10.2.0.2"), 0, 3}}));
  EXPECT_EQ(share("203.0.113.1", kLeft), 16u);
  EXPECT_EQ(share("203.0.113.1", kRight), 48u);
  MUST(r.remove_route(prefix("203.0.113.0/24")));
  EXPECT_EQ(r.stack().paths.size(), 0u);
}

TEST_F(Paths, move_only_the_flows_of_a_next_hop_that_goes) {
  MUST(add("203.0.113.0/24", {{ip("10.1.0.2")}, {ip("10.1.0.3")}, {ip("10.2.0.2")}}));
  std::vector<AdjacencyIndex> before;
  for (uint32_t h = 0; h < 64; ++h) before.push_back(way("203.0.113.1", h));
  MUST(r.set_up(kRight, false));
  EXPECT_EQ(share("203.0.113.1", kRight), 0u);
  for (uint32_t h = 0; h < 64; ++h) {
    if (r.stack().adjacencies[before[h]].interface == kLeft) {
      EXPECT_EQ(way("203.0.113.1", h), before[h]) << "flow " << h << " had a way and lost it";
    }
  }
  MUST(r.set_up(kLeft, false));
  EXPECT_EQ(way("203.0.113.1", 0), kNoRoute);
  MUST(r.set_up(kRight, true));
  EXPECT_EQ(share("203.0.113.1", kRight), 64u);
}

TEST_F(Paths, keep_a_flow_on_one_way_and_use_both) {
  MUST(r.add_route(prefix("203.0.113.0/24"),
                   std::vector<NextHop>{{ip("10.1.0.2")}, {ip("10.2.0.2")}}));
  ping(a, "10.2.0.2", {.count = 1});  // Both neighbours are known.
  ping(b, "10.1.0.2", {.count = 1});
  loop.run_for(2s);
  Recorder to_left, to_right;
  left.b().add_tap(&to_left);
  right.a().add_tap(&to_right);
  for (uint16_t flow = 0; flow < 64; ++flow) {
    for (int n = 0; n < 4; ++n) {
      net::Frame frame;
      net::PacketPtr p = pool.allocate();
      p->assign(ip4({.source = net::Ip4::of(10, 9, 0, 1),
                     .destination = net::Ip4::of(203, 0, 113, 7),
                     .protocol = net::kProtocolUdp},
                    udp(static_cast<uint16_t>(1000 + flow), 53)));
      frame.push(std::move(p));
      r.output(std::move(frame));
      loop.run_for(1ms);
    }
  }
  // Four packets each, and every flow whole on one side.
  EXPECT_EQ(to_left.out.size() + to_right.out.size(), 256u);
  EXPECT_EQ(to_left.out.size() % 4, 0u);
  EXPECT_GT(to_left.out.size(), 40u);
  EXPECT_GT(to_right.out.size(), 40u);
  left.b().remove_tap(&to_left);
  right.a().remove_tap(&to_right);
}

TEST_F(Paths, follow_the_route_that_leads_to_a_next_hop) {
  MUST(add("192.0.2.0/24", {{ip("10.1.0.2")}}));
  MUST(add("203.0.113.0/24", {{ip("192.0.2.1")}}));
  EXPECT_EQ(share("203.0.113.1", kLeft), 64u);
  MUST(add("192.0.2.0/24", {{ip("10.2.0.2")}}));
  EXPECT_EQ(share("203.0.113.1", kRight), 64u);
  // A longer prefix is a better way.
  MUST(add("192.0.2.1/32", {{ip("10.1.0.2")}}));
  EXPECT_EQ(share("203.0.113.1", kLeft), 64u);
  MUST(r.remove_route(prefix("192.0.2.1/32")));
  EXPECT_EQ(share("203.0.113.1", kRight), 64u);
  MUST(r.remove_route(prefix("192.0.2.0/24")));
  EXPECT_EQ(way("203.0.113.1", 0), kNoRoute);
  // The default route says nothing of a next hop.
  MUST(add("0.0.0.0/0", {{ip("10.1.0.2")}}));
  EXPECT_EQ(way("203.0.113.1", 0), kNoRoute);
  EXPECT_FALSE(add("198.51.100.0/24", {{ip("192.0.2.1")}}));
}

TEST_F(Paths, end_where_routes_lead_in_a_circle) {
  MUST(add("192.0.2.0/24", {{ip("10.1.0.2")}}));
  MUST(add("198.51.100.0/24", {{ip("192.0.2.1")}}));
  MUST(add("192.0.2.0/24", {{ip("198.51.100.1")}}));
  EXPECT_EQ(way("192.0.2.1", 0), kNoRoute);
  EXPECT_EQ(ping(a, "192.0.2.1", {.count = 1}).received, 0u);
}

TEST_F(Paths, say_what_is_wrong_with_a_route) {
  EXPECT_EQ(add("203.0.113.0/24", {}).error().text,
            "route 203.0.113.0/24: 0 next hops; accepted: 1..16");
  EXPECT_EQ(add("203.0.113.0/24", {{ip("10.1.0.2")}, {ip("192.0.2.1")}}).error().text,
            "route 203.0.113.0/24 via 10.1.0.2 via 192.0.2.1: the next hop is on no connected "
            "prefix; `unreached` behind it lets it wait for one");
  EXPECT_FALSE(add("203.0.113.0/24", {{ip("10.1.0.2"), 0, 0}}));
  EXPECT_EQ(r.stack().paths.size(), 0u);
}

TEST_F(Paths, are_shared_by_routes_and_listed_as_given) {
  for (int i = 0; i < 100; ++i) {
    MUST(r.add_route({net::Ip4::of(203, 0, static_cast<uint8_t>(i), 0), 24}, ip("10.1.0.2")));
  }
  EXPECT_EQ(r.stack().paths.size(), 1u);
  const auto routes = r.static_routes();
  ASSERT_EQ(routes.size(), 100u);
  EXPECT_EQ(routes[7].prefix, prefix("203.0.7.0/24"));
  EXPECT_EQ(routes[7].next_hops, std::vector<NextHop>{{ip("10.1.0.2")}});
}

TEST_F(Paths, come_from_a_text_all_or_none) {
  EXPECT_EQ(*add_routes(r, R"(# a table
203.0.113.0/24 via 10.1.0.2
198.51.100.0/24 via 10.1.0.2 weight 3 via 10.2.0.2   # two ways

192.0.2.0/24 drop
2001:db8:9::/48 via 2001:db8:1::2)"),
            4u);
  EXPECT_TRUE(add_routes(r, "ip route add 192.0.2.0/24  via\tdrop"));
  EXPECT_EQ(share("198.51.100.1", kLeft), 48u);
  EXPECT_EQ(r.static_routes().size(), 4u);
  EXPECT_EQ(add_routes(r, "203.0.113.0/25 via 10.1.0.2\n203.0.113.0/33 via 10.1.0.2").error().text,
            "line 2: '203.0.113.0/33' is not a prefix; accepted: 10.0.0.0/8 or 2001:db8::/32");
  EXPECT_EQ(
      add_routes(r, "203.0.113.0/25 via 10.1.0.2\n203.0.114.0/24 via 192.0.2.1").error().text,
      "line 2: the next hop is on no connected prefix; `unreached` behind it lets it wait for one");
  EXPECT_FALSE(add_routes(r, "203.0.113.0/25 over 10.1.0.2"));
  EXPECT_EQ(add_routes(r, "203.0.113.0/25 via 10.1.0.2 via drop").error().text,
            "line 1: 'drop' stands alone");
  EXPECT_FALSE(add_routes(r, "203.0.113.0/25 table 7 via drop"));
  EXPECT_FALSE(add_routes(r, "203.0.113.0/25 via drop 10.1.0.2"));
  EXPECT_FALSE(add_routes(r, "203.0.113.0/25 via 10.1.0.2 weight 0"));
  EXPECT_FALSE(add_routes(r, "2001:db8:8::/48 via 10.1.0.2"));
  EXPECT_EQ(r.static_routes().size(), 4u);
  for (const auto& route : r.static_routes()) MUST(r.remove_route(route.prefix));
  EXPECT_EQ(r.stack().paths.size(), 0u);
}

TEST_F(Paths, show_each_way_with_its_share) {
  MUST(add("203.0.113.0/24", {{ip("10.1.0.2")}, {ip("10.2.0.2")}}));
  const auto report = fib_report(r, ip("203.0.113.9"));
  ASSERT_EQ(report.rows.size(), 1u);
  ASSERT_EQ(report.rows[0].ways.size(), 2u);
  EXPECT_EQ(report.rows[0].ways[0].buckets, 32u);
  EXPECT_NE(format(report).find("buckets:2"), std::string::npos);
}

TEST_F(Paths, are_apart_in_each_vrf) {
  // c is in VRF 7 with the addresses that a has in the default one.
  net::Cable third{port("third", 5), port("eth0", 6), loop};
  Vnet c{{.name = "c"}, loop, pool, random.fork("c")};
  const uint16_t r3 = MUST(r.attach(third.a())), ic = MUST(c.attach(third.b()));
  EXPECT_FALSE(r.set_vrf(r3, 7));
  MUST(r.add_vrf(7));
  EXPECT_FALSE(r.add_vrf(7));
  MUST(r.set_vrf(r3, 7));
  MUST(r.add_address(r3, prefix("10.1.0.1/24")));
  MUST(c.add_address(ic, prefix("10.1.0.2/24")));
  MUST(c.add_route(prefix("0.0.0.0/0"), ip("10.1.0.1")));
  EXPECT_FALSE(r.set_vrf(r3, 0)) << "it has an address";
  EXPECT_EQ(ping(c, "10.1.0.1", {.count = 1}).received, 1u);
  EXPECT_EQ(ping(a, "10.1.0.1", {.count = 1}).received, 1u);
  // No route leads from one to the other, unless one is given.
  EXPECT_EQ(ping(c, "10.2.0.2", {.count = 1}).received, 0u);
  EXPECT_EQ(count(r, "ip4-lookup", "no_route"), 1u);
  const std::vector<NextHop> hop{{ip("10.1.0.2")}};
  MUST(r.add_route(prefix("203.0.113.0/24"), hop, 7));
  EXPECT_EQ(way("203.0.113.1", 0), kNoRoute);
  EXPECT_EQ(r.stack().adjacencies[way("203.0.113.1", 0, 7)].interface, r3);
  EXPECT_FALSE(r.remove_vrf(7));
  MUST(r.detach(r3));
  MUST(r.remove_vrf(7));
  EXPECT_EQ(r.vrfs(), std::vector<uint32_t>{0});
}

}  // namespace
}  // namespace wh::vnet
