#include "vnet/neighbour.h"

#include <gtest/gtest.h>

#include "core/virtual_loop.h"

namespace wh::vnet {
namespace {

using net::IpAddress;
using net::MacAddress;
using net::PacketPtr;

class NeighbourTest : public testing::Test {
 protected:
  NeighbourTest() {
    use_nd();
    fib.set({address(0), 24}, RouteSource::Interface, link);
  }
  void use_nd() {
    rules = {.retransmit = 1s,
             .reachable = 30s,
             .delay = 5s,
             .keep_stale = 100s,
             .multicast_tries = 3,
             .unicast_tries = 3,
             .max_pending = 4,
             .max_entries = 3};
  }
  void use_arp() {
    rules.is_arp = true;
    rules.reachable = 1200s;
  }
  IpAddress address(uint8_t n) const { return net::Ip4::of(10, 0, 0, n); }
  Neighbour& make(uint8_t n) { return *table.get(1, 1500, address(n)); }
  PacketPtr packet(uint32_t flow = 0) {
    PacketPtr p = pool.allocate();
    p->flow_hash = flow;
    return p;
  }
  void run(Duration d) { loop.run_for(d); }

  net::PacketPool pool;
  VirtualLoop loop;
  AdjacencyTable adjacencies;
  const AdjacencyIndex link = adjacencies.make(AdjacencyKind::Glean, 1, 1500, {});
  Fib fib{net::Family::V4};
  NeighbourRules rules;
  std::vector<std::pair<Instant, bool>> asked;
  std::vector<uint32_t> sent, unreachable, overflow, displaced;
  MacAddress mac = MacAddress::local(9);
  NeighbourTable table{loop,
                       Random(1),
                       adjacencies,
                       {.rules = [this] { return rules; },
                        .ask =
                            [this](const Neighbour&, bool unicast) {
                              asked.push_back({loop.now(), unicast});
                            },
                        .send = [this](PacketPtr p) { sent.push_back(p->flow_hash); },
                        .unreachable = [this](PacketPtr p) { unreachable.push_back(p->flow_hash); },
                        .overflow = [this](PacketPtr p) { overflow.push_back(p->flow_hash); },
                        .displaced = [this](PacketPtr p) { displaced.push_back(p->flow_hash); },
                        .settle = [] {},
                        .fib = [this](uint16_t) -> Fib& { return fib; },
                        .rewrite =
                            [](const Neighbour& n, std::span<uint8_t> out) {
                              std::memcpy(out.data(), n.mac().bytes.data(), 6);
                              return 14u;
                            }}};
};

TEST_F(NeighbourTest, sends_what_waited_in_order_once_resolved) {
  Neighbour& n = make(1);
  for (uint32_t i = 0; i < 3; ++i) table.resolve(n, packet(i));
  EXPECT_EQ(asked.size(), 1u);
  EXPECT_TRUE(sent.empty());
  table.confirm(n, mac);
  EXPECT_EQ(sent, (std::vector<uint32_t>{0, 1, 2}));
  EXPECT_EQ(adjacencies[n.adjacency()].kind, AdjacencyKind::Rewrite);
  EXPECT_EQ(fib.lookup(address(1)), n.adjacency());
  table.resolve(n, packet(7));
  EXPECT_EQ(sent.back(), 7u);
}

TEST_F(NeighbourTest, pushes_the_oldest_out_of_a_full_queue) {
  Neighbour& n = make(1);
  for (uint32_t i = 0; i < 4; ++i) table.resolve(n, packet(i));
  EXPECT_TRUE(overflow.empty());
  table.resolve(n, packet(4));
  EXPECT_EQ(overflow, std::vector<uint32_t>{0});
  EXPECT_EQ(n.pending(), 4u);
  EXPECT_EQ(table.counters().pending_overflow, 1u);
  table.confirm(n, mac);
  EXPECT_EQ(sent, (std::vector<uint32_t>{1, 2, 3, 4}));
}

TEST_F(NeighbourTest, asks_once_a_second_and_then_gives_up) {
  table.resolve(make(1), packet(1));
  for (int i = 0; i < 29; ++i) {
    run(100ms);
    if (Neighbour* n = table.find(1, address(1))) table.resolve(*n, packet(2));
  }
  EXPECT_EQ(asked.size(), 3u);
  run(100ms - 1ns);
  EXPECT_TRUE(unreachable.empty());
  run(1ns);
  EXPECT_EQ(asked.size(), 3u);
  EXPECT_EQ(unreachable.size(), 4u);
  EXPECT_EQ(table.size(), 0u);
  EXPECT_EQ(fib.lookup(address(1)), link);
  EXPECT_EQ(pool.in_use(), 0u);
  for (const auto& question : asked) EXPECT_FALSE(question.second);
}

// Strangers who ask for us, or whom nobody finds, keep nobody out.
TEST_F(NeighbourTest, full_table_gives_the_place_of_the_longest_idle) {
  table.hear(make(1), mac);
  table.resolve(make(2), packet(7));
  table.hear(make(3), mac);
  ASSERT_NE(table.get(1, 1500, address(4)), nullptr);
  EXPECT_EQ(table.find(1, address(1)), nullptr);
  EXPECT_EQ(fib.lookup(address(1)), link);
  ASSERT_NE(table.get(1, 1500, address(5)), nullptr);
  EXPECT_EQ(table.find(1, address(2)), nullptr);
  EXPECT_EQ(displaced, std::vector<uint32_t>{7});
  table.notice_use(table.find(1, address(3))->adjacency());
  ASSERT_NE(table.get(1, 1500, address(6)), nullptr);
  EXPECT_NE(table.find(1, address(3)), nullptr) << "in use";
  EXPECT_EQ(table.find(1, address(4)), nullptr);
  EXPECT_EQ(table.counters().displaced, 3u);
  EXPECT_EQ(table.size(), 3u);
}

TEST_F(NeighbourTest, full_table_keeps_what_is_used_static_or_a_routes) {
  for (const bool is_arp : {false, true}) {
    rules.is_arp = is_arp;
    table.hear(make(1), mac);
    table.notice_use(make(1).adjacency());
    MUST(table.set_static(1, 1500, address(2), mac));
    table.retain(make(3));
    const uint64_t refused = table.counters().table_full;
    EXPECT_EQ(table.get(1, 1500, address(4)), nullptr) << is_arp;
    EXPECT_EQ(table.counters().table_full, refused + 1);
    EXPECT_EQ(table.get(1, 1500, address(3)), &make(3));
    table.confirm(make(3), mac);
    table.release(make(3));
    if (!is_arp) {
      EXPECT_EQ(table.get(1, 1500, address(4)), nullptr) << "was just reached";
      run(45s);
    }
    EXPECT_NE(table.get(1, 1500, address(4)), nullptr) << is_arp;
    table.flush(1);
  }
}

// A packet on its way to who was displaced goes to nobody else.
TEST_F(NeighbourTest, adjacency_of_the_displaced_is_nobody_elses_at_once) {
  for (uint8_t i = 1; i <= 3; ++i) table.hear(make(i), mac);
  const AdjacencyIndex old = make(1).adjacency();
  table.hear(make(4), mac);
  EXPECT_NE(make(4).adjacency(), old);
  EXPECT_EQ(adjacencies[old].kind, AdjacencyKind::NoRoute);
  run(1ns);
  EXPECT_EQ(make(5).adjacency(), old);
}

TEST_F(NeighbourTest, walks_through_the_states_of_rfc_4861) {
  Neighbour& n = make(1);
  table.confirm(n, mac);
  EXPECT_EQ(n.state(), NeighbourState::Reachable);
  run(15s - 1ns);  // Half of 30 s is the least.
  EXPECT_EQ(n.state(), NeighbourState::Reachable);
  run(30s + 1ns);
  EXPECT_EQ(n.state(), NeighbourState::Stale);
  EXPECT_TRUE(adjacencies[n.adjacency()].notice_use);
  table.notice_use(n.adjacency());
  EXPECT_EQ(n.state(), NeighbourState::Delay);
  EXPECT_FALSE(adjacencies[n.adjacency()].notice_use);
  run(5s - 1ns);
  EXPECT_TRUE(asked.empty());
  run(1ns);
  EXPECT_EQ(n.state(), NeighbourState::Probe);
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_TRUE(asked[0].second);  // Of the neighbour itself.
  table.confirm(n, mac);
  EXPECT_EQ(n.state(), NeighbourState::Reachable);
}

TEST_F(NeighbourTest, forgets_a_neighbour_that_no_longer_answers) {
  Neighbour& n = make(1);
  table.hear(n, mac);
  EXPECT_EQ(n.state(), NeighbourState::Stale);
  table.notice_use(n.adjacency());
  run(5s);
  run(3s - 1ns);
  EXPECT_EQ(asked.size(), 3u);
  EXPECT_EQ(table.size(), 1u);
  run(1ns);
  EXPECT_EQ(table.size(), 0u);
}

TEST_F(NeighbourTest, forgets_a_stale_neighbour_nobody_uses) {
  table.hear(make(1), mac);
  run(100s - 1ns);
  EXPECT_EQ(table.size(), 1u);
  run(1ns);
  EXPECT_EQ(table.size(), 0u);
}

TEST_F(NeighbourTest, probes_an_old_arp_entry_only_if_it_was_used) {
  use_arp();
  Neighbour& used = make(1);
  table.confirm(used, mac);
  table.confirm(make(2), mac);
  table.notice_use(used.adjacency());
  run(1200s - 1ns);
  EXPECT_EQ(table.size(), 2u);
  run(1ns);
  EXPECT_EQ(table.size(), 1u);
  EXPECT_EQ(used.state(), NeighbourState::Probe);
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_TRUE(asked[0].second);
}

TEST_F(NeighbourTest, keeps_an_entry_that_a_route_uses) {
  Neighbour& n = make(1);
  table.retain(n);
  table.resolve(n, packet());
  run(10s);
  EXPECT_EQ(unreachable.size(), 1u);
  EXPECT_EQ(table.size(), 1u);
  EXPECT_EQ(n.state(), NeighbourState::Incomplete);
  table.resolve(n, packet());
  EXPECT_EQ(asked.size(), 4u);  // The next packet asks anew.
  run(10s);
  table.release(n);
  EXPECT_EQ(table.size(), 0u);
}

TEST_F(NeighbourTest, never_changes_a_static_entry) {
  MUST(table.set_static(1, 1500, address(1), mac));
  Neighbour& n = make(1);
  table.hear(n, MacAddress::local(66));
  EXPECT_EQ(n.mac(), mac);
  run(10'000s);
  EXPECT_EQ(n.state(), NeighbourState::Reachable);
  MUST(table.set_static(1, 1500, address(1), MacAddress::local(10)));
  EXPECT_EQ(n.mac(), MacAddress::local(10));
  MUST(table.remove(1, address(1)));
  EXPECT_FALSE(table.remove(1, address(1)));
}

TEST_F(NeighbourTest, rewrites_at_once_when_an_address_moves) {
  Neighbour& n = make(1);
  table.confirm(n, mac);
  table.hear(n, MacAddress::local(66));
  EXPECT_EQ(n.state(), NeighbourState::Stale);
  EXPECT_EQ(adjacencies[n.adjacency()].rewrite[5], 66);
}

}  // namespace
}  // namespace wh::vnet
