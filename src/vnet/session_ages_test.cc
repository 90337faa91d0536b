#include "vnet/session_ages.h"

#include <gtest/gtest.h>

#include "core/virtual_loop.h"

namespace wh::vnet {
namespace {

constexpr uint8_t kShort = 0, kLong = 1;

class SessionAgesTest : public testing::Test {
 protected:
  struct One : SessionAges::Session {
    int number = 0;
  };
  One& add(int number, uint64_t group = 1, uint8_t kind = kShort) {
    One& one = all[number];
    one.number = number;
    ages.add(one, group, kind);
    return one;
  }
  // How many are left, at least, of which no more than some went at once.
  size_t most_at_once(Duration time) {
    size_t most = 0, before = all.size();
    for (const Instant end = loop.now() + time; loop.now() < end; before = all.size()) {
      loop.run_for(100us);
      most = std::max(most, before - all.size());
    }
    return most;
  }
  VirtualLoop loop;
  SessionAges ages{loop, {10s, 100s}, 20'000, [this](SessionAges::Session& s) {
                     all.erase(static_cast<One&>(s).number);
                   }};
  std::map<int, One> all;
};

TEST_F(SessionAgesTest, session_ends_after_the_idleness_of_its_kind) {
  One& one = add(1);
  One& two = add(2, 1, kLong);
  loop.run_for(10s - 1ns);
  EXPECT_FALSE(ages.has_ended(one));
  ages.touch(two, kShort);
  loop.run_for(1ns);
  EXPECT_EQ(all.count(1), 0u);
  EXPECT_FALSE(ages.has_ended(two));
  loop.run_for(10s - 2ns);
  EXPECT_FALSE(ages.has_ended(two));
  loop.run_for(1ns);
  EXPECT_TRUE(all.empty() || ages.has_ended(two));
  loop.run_for(5s);
  EXPECT_TRUE(all.empty());
  EXPECT_EQ(loop.timers_armed(), 0u) << "nothing is swept";
}

TEST_F(SessionAgesTest, group_ends_at_once_and_goes_few_at_a_time) {
  for (int i = 0; i < 6000; ++i) add(i, static_cast<uint64_t>(i % 3));
  ages.end_groups([](uint64_t group) { return group != 1; });
  EXPECT_EQ(ages.size(), 2000u);
  EXPECT_EQ(all.size(), 6000u);
  EXPECT_TRUE(ages.has_ended(all[0]));
  EXPECT_FALSE(ages.has_ended(all[1]));
  size_t seen = 0;
  ages.each([&](const auto& s) {
    EXPECT_EQ(static_cast<const One&>(s).number % 3, 1);
    ++seen;
  });
  EXPECT_EQ(seen, 2000u);
  // Another session of the same group has not ended.
  EXPECT_FALSE(ages.has_ended(add(6000, 0)));
  EXPECT_LE(most_at_once(100ms), 256u);
  EXPECT_EQ(all.size(), 2001u);
  EXPECT_EQ(ages.size(), 2001u);
}

TEST_F(SessionAgesTest, lower_bound_is_reached_few_at_a_time_longest_idle_first) {
  for (int i = 0; i < 3000; ++i) {
    add(i, 1, i % 2 == 0 ? kShort : kLong);
    loop.run_for(1us);
  }
  ages.set_most(10);
  EXPECT_GE(all.size(), 3000u - 256);
  EXPECT_FALSE(ages.make_room());
  EXPECT_LE(most_at_once(100ms), 256u);
  EXPECT_EQ(all.size(), 10u);
  EXPECT_EQ(all.begin()->first, 2990);
}

TEST_F(SessionAgesTest, there_is_room_where_one_has_ended) {
  ages.set_most(3);
  add(1, 1, kLong);
  loop.run_for(1us);
  add(2, 2);
  add(3, 3);
  EXPECT_FALSE(ages.make_room());
  ages.end_groups([](uint64_t group) { return group == 3; });
  EXPECT_TRUE(ages.make_room());
  EXPECT_EQ(all.count(3), 0u);
  add(4, 4, kLong);
  EXPECT_FALSE(ages.make_room());
  ages.erase_longest_idle();
  EXPECT_EQ(all.count(1), 0u);
  EXPECT_TRUE(ages.make_room());
}

}  // namespace
}  // namespace wh::vnet
