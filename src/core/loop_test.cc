#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <vector>

#include "core/random.h"
#include "core/virtual_loop.h"

namespace wh {
namespace {

TEST(VirtualLoop, does_not_begin_at_zero) {
  VirtualLoop loop;
  EXPECT_EQ(loop.now(), VirtualLoop::kEpoch);
  EXPECT_GT(loop.now(), Instant{});
}

TEST(VirtualLoop, fires_by_deadline_and_equal_deadlines_in_the_order_armed) {
  VirtualLoop loop;
  std::vector<int> fired;
  Timer a(loop, [&] { fired.push_back(1); }), b(loop, [&] { fired.push_back(2); }),
      c(loop, [&] { fired.push_back(3); });
  c.arm(loop.now() + 5ms);
  a.arm(loop.now() + 10ms);
  b.arm(loop.now() + 5ms);
  loop.run();
  EXPECT_EQ(fired, (std::vector{3, 2, 1}));
  EXPECT_EQ(loop.now(), VirtualLoop::kEpoch + 10ms);
}

TEST(VirtualLoop, re_arming_moves_a_timer_behind_its_equals) {
  VirtualLoop loop;
  std::vector<int> fired;
  Timer a(loop, [&] { fired.push_back(1); }), b(loop, [&] { fired.push_back(2); });
  a.arm(loop.now() + 1ms);
  b.arm(loop.now() + 1ms);
  a.arm(loop.now() + 1ms);
  loop.run();
  EXPECT_EQ(fired, (std::vector{2, 1}));
}

TEST(VirtualLoop, run_until_stops_at_the_deadline_itself) {
  VirtualLoop loop;
  int fired = 0;
  Timer t(loop, [&] { ++fired; });
  t.arm(loop.now() + 10ms);
  EXPECT_TRUE(loop.run_for(10ms - 1ns));
  EXPECT_EQ(fired, 0);
  EXPECT_TRUE(loop.run_for(1ns));
  EXPECT_EQ(fired, 1);
  EXPECT_EQ(loop.now(), VirtualLoop::kEpoch + 10ms);
}

TEST(VirtualLoop, a_deadline_in_the_past_fires_next_and_time_does_not_go_back) {
  VirtualLoop loop;
  Instant seen{};
  Timer t(loop, [&] { seen = loop.now(); });
  t.arm(loop.now() - 1s);
  loop.run();
  EXPECT_EQ(seen, VirtualLoop::kEpoch);
}

TEST(VirtualLoop, stop_ends_the_run_after_the_action) {
  VirtualLoop loop;
  int fired = 0;
  Timer t(loop, [&] {
    if (++fired == 3) loop.stop();
    t.arm(loop.now() + 1ms);
  });
  t.arm(loop.now());
  EXPECT_FALSE(loop.run());
  EXPECT_EQ(fired, 3);
  EXPECT_TRUE(loop.run_for(2ms));
  EXPECT_EQ(fired, 5);
}

TEST(VirtualLoop, a_flag_from_outside_is_heeded_also_when_time_stands_still) {
  VirtualLoop loop;
  std::atomic<bool> flag{false};
  loop.heed(&flag);
  uint64_t fired = 0;
  Timer t(loop, [&] {
    if (++fired == 5000) flag = true;
    ASSERT_LT(fired, 100'000u) << "nobody heeds the flag";
    t.arm(loop.now());
  });
  t.arm(loop.now());
  EXPECT_FALSE(loop.run_for(1ms));
  EXPECT_EQ(loop.now(), VirtualLoop::kEpoch);
  EXPECT_LE(fired, 5000 + Loop::kHeedEvery);
}

TEST(VirtualLoop, an_action_may_disarm_or_destroy_other_timers) {
  VirtualLoop loop;
  int fired = 0;
  auto doomed = std::make_unique<Timer>(loop, [&] { ++fired; });
  Timer other(loop, [&] { ++fired; });
  Timer killer(loop, [&] {
    doomed.reset();
    other.disarm();
  });
  killer.arm(loop.now() + 1ms);
  doomed->arm(loop.now() + 1ms);
  other.arm(loop.now() + 1ms);
  loop.run();
  EXPECT_EQ(fired, 0);
  EXPECT_EQ(loop.timers_armed(), 0u);
  EXPECT_EQ(other.deadline(), kNever);
}

// The heap against a map ordered by (deadline, order of arming), through random arming and
// disarming.
TEST(VirtualLoop, an_action_sees_the_loop_without_its_own_timer) {
  VirtualLoop loop;
  Timer later(loop, [] {}), last(loop, [] {});
  int seen = 0;
  Timer first(loop, [&] {
    ++seen;
    EXPECT_FALSE(first.is_armed());
    EXPECT_EQ(loop.timers_armed(), 2u);
    EXPECT_EQ(loop.next_deadline(), VirtualLoop::kEpoch + 2ms);
    later.disarm();
    EXPECT_EQ(loop.timers_armed(), 1u);
    EXPECT_EQ(loop.next_deadline(), VirtualLoop::kEpoch + 3ms);
    last.disarm();
    EXPECT_EQ(loop.timers_armed(), 0u);
    EXPECT_EQ(loop.next_deadline(), kNever);
  });
  first.arm(loop.now() + 1ms);
  later.arm(loop.now() + 2ms);
  last.arm(loop.now() + 3ms);
  loop.run();
  EXPECT_EQ(seen, 1);
  EXPECT_EQ(loop.events_handled(), 1u);
}

TEST(VirtualLoop, an_action_that_arms_others_leaves_the_order_right) {
  VirtualLoop loop;
  std::vector<int> fired;
  Timer a(loop, [&] { fired.push_back(1); }), b(loop, [&] { fired.push_back(2); });
  Timer first(loop, [&] {
    fired.push_back(0);
    b.arm(loop.now());           // Behind a, which is due at the same time and was armed before.
    first.arm(loop.now() - 1s);  // In the past: next.
    if (fired.size() > 1) first.disarm();
  });
  first.arm(loop.now() + 1ms);
  a.arm(loop.now() + 1ms);
  loop.run();
  EXPECT_EQ(fired, (std::vector{0, 0, 1, 2}));
}

TEST(VirtualLoop, an_action_may_run_the_loop) {
  VirtualLoop loop;
  std::vector<int> fired;
  Timer inner(loop, [&] { fired.push_back(1); }), after(loop, [&] { fired.push_back(2); });
  Timer outer(loop, [&] {
    inner.arm(loop.now() + 1ms);
    loop.run_until(loop.now() + 1ms);
    fired.push_back(0);
  });
  outer.arm(loop.now());
  after.arm(loop.now() + 5ms);
  loop.run();
  EXPECT_EQ(fired, (std::vector{1, 0, 2}));
}

TEST(VirtualLoop, agrees_with_a_naive_model) {
  const uint64_t seed = 5;
  Random random(seed);
  VirtualLoop loop;
  constexpr size_t kTimers = 300;
  std::map<std::pair<Instant, uint64_t>, size_t> model;
  std::vector<std::map<std::pair<Instant, uint64_t>, size_t>::iterator> place(kTimers, model.end());
  std::vector<std::unique_ptr<Timer>> timers;
  uint64_t order = 0, fired = 0;
  auto forget = [&](size_t i) {
    if (place[i] != model.end()) model.erase(place[i]);
    place[i] = model.end();
  };
  for (size_t i = 0; i < kTimers; ++i) {
    timers.push_back(std::make_unique<Timer>(loop, [&, i] {
      ASSERT_EQ(model.begin()->second, i) << "seed " << seed;
      forget(i);
      ++fired;
    }));
  }
  for (int step = 0; step < 100000; ++step) {
    const size_t i = random.below(kTimers);
    if (random.one_in(4)) {
      timers[i]->disarm();
      forget(i);
    } else {
      const Instant when = loop.now() + Duration(random.below(1000));
      timers[i]->arm(when);
      forget(i);
      place[i] = model.emplace(std::pair(when, order++), i).first;
    }
    if (random.one_in(3)) loop.run_for(Duration(random.below(20)));
    ASSERT_EQ(loop.timers_armed(), model.size());
  }
  EXPECT_GT(fired, 10000u);
}

}  // namespace
}  // namespace wh
