// NAT44: how long mappings live, and how many there are.
#include "vnet/nat44_test_support.h"

namespace wh::vnet {
namespace {

using net::Ip4;

using NatAges = NatTest;

TEST_F(NatAges, bounds_mappings_and_uses_again_what_has_ended) {
  Nat44& nat = r.nat44();
  MUST(nat.set_max_mappings(3));
  for (uint16_t port = 1; port <= 3; ++port) {
    EXPECT_TRUE(nat.outside_of({17, Ip4::of(10, 1, 0, 2), port, 0}, true));
  }
  EXPECT_FALSE(nat.outside_of({17, Ip4::of(10, 1, 0, 2), 4, 0}, true));
  EXPECT_EQ(ping(a, "10.2.0.2", {.count = 1}).received, 0u);
  EXPECT_EQ(count(r, "nat44-in2out-output", "no_room"), 1u);
  loop.run_for(301s);
  EXPECT_TRUE(nat.outside_of({17, Ip4::of(10, 1, 0, 2), 4, 0}, true));
}

// Forwarding waits for no more than some.
TEST_F(NatAges, ends_few_mappings_at_a_time) {
  Nat44& nat = r.nat44();
  for (uint16_t port = 1; port <= 5000; ++port) {
    ASSERT_TRUE(nat.outside_of({17, Ip4::of(10, 1, 0, 2), port, 0}, true));
  }
  loop.run_for(299s);
  size_t most = 0, before = nat.size();
  for (const Instant end = loop.now() + 8s; loop.now() < end; before = nat.size()) {
    loop.run_for(100us);
    most = std::max(most, before - nat.size());
  }
  EXPECT_EQ(nat.size(), 0u);
  EXPECT_LE(most, 256u);
}

TEST_F(NatAges, reaches_a_lower_bound_few_mappings_at_a_time) {
  Nat44& nat = r.nat44();
  for (uint16_t port = 1; port <= 5000; ++port) {
    ASSERT_TRUE(nat.outside_of({17, Ip4::of(10, 1, 0, 2), port, 0}, true));
  }
  size_t most = 0, before = nat.size();
  MUST(nat.set_max_mappings(100));
  for (const Instant end = loop.now() + 1s; loop.now() < end; before = nat.size()) {
    most = std::max(most, before - nat.size());
    loop.run_for(100us);
  }
  EXPECT_EQ(nat.size(), 100u);
  EXPECT_LE(most, 256u);
}

// Though they go one after the other.
TEST_F(NatAges, ports_of_mappings_that_were_ended_are_free_at_once) {
  Nat44& nat = r.nat44();
  MUST(nat.remove_address(pool_address));
  MUST(nat.add_address(Ip4::of(10, 2, 0, 60)));
  const auto of_port = [&](uint32_t port) {
    return nat.outside_of({17, Ip4::of(10, 1, 0, 2), static_cast<uint16_t>(port), 0}, true);
  };
  for (uint32_t port = 1024; port <= 0xffff; ++port) ASSERT_EQ(of_port(port)->port, port);
  MUST(nat.remove_address(Ip4::of(10, 2, 0, 60)));
  EXPECT_EQ(nat.size(), 0u);
  EXPECT_FALSE(nat.inside_of({17, Ip4::of(10, 2, 0, 60), 2000, 0}));
  MUST(nat.add_address(Ip4::of(10, 2, 0, 60)));
  EXPECT_FALSE(nat.inside_of({17, Ip4::of(10, 2, 0, 60), 2000, 0})) << "no mapping comes back";
  EXPECT_EQ(of_port(5000)->port, 5000u);
  EXPECT_TRUE(nat.outside_of({17, Ip4::of(10, 1, 0, 3), 5000, 0}, true));
  EXPECT_EQ(nat.size(), 2u);
}

TEST_F(NatAges, uses_again_what_has_ended_behind_any_number_that_has_not) {
  Nat44& nat = r.nat44();
  MUST(nat.set_max_mappings(101));
  for (uint16_t port = 1; port <= 100; ++port) {
    ASSERT_TRUE(nat.outside_of({6, Ip4::of(10, 1, 0, 2), port, 0}, true));
    nat.note({6, Ip4::of(10, 1, 0, 2), port, 0}, true, 2, 40);
    nat.note({6, Ip4::of(10, 1, 0, 2), port, 0}, false, 0x12, 40);
  }
  ASSERT_TRUE(nat.outside_of({1, Ip4::of(10, 1, 0, 2), 1, 0}, true));
  loop.run_for(60s);
  EXPECT_TRUE(nat.outside_of({17, Ip4::of(10, 1, 0, 2), 1, 0}, true));
  // The bound lowered, those longest idle go.
  MUST(nat.set_max_mappings(1));
  EXPECT_EQ(nat.mappings()[0]->inside.protocol, 17);
}

TEST_F(NatAges, has_other_timeouts_at_once) {
  Nat44& nat = r.nat44();
  const NatEndpoint inside{17, Ip4::of(10, 1, 0, 2), 4000, 0};
  ASSERT_TRUE(nat.outside_of(inside, true));
  loop.run_for(50s);
  nat.set_timeouts({.udp = 51s});
  EXPECT_TRUE(nat.outside_of(inside, false));
  loop.run_for(1s);
  EXPECT_FALSE(nat.outside_of(inside, false));
}

TEST_F(NatAges, keeps_tcp_by_its_state) {
  Nat44& nat = r.nat44();
  const NatEndpoint inside{6, Ip4::of(10, 1, 0, 2), 4000, 0};
  ASSERT_TRUE(nat.outside_of(inside, true));
  nat.note(inside, true, 2, 40);
  EXPECT_EQ(nat.end_of(*nat.mappings()[0]), loop.now() + 240s);
  nat.note(inside, false, 0x12, 40);
  EXPECT_EQ(nat.end_of(*nat.mappings()[0]), loop.now() + 7440s);
  nat.note(inside, true, 1, 40);
  EXPECT_EQ(nat.end_of(*nat.mappings()[0]), loop.now() + 240s);
}

}  // namespace
}  // namespace wh::vnet
