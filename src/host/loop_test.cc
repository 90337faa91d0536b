// What a component may expect of a loop, tried on both: the virtual one and the real one.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/random.h"
#include "core/virtual_loop.h"
#include "host/real_loop.h"

namespace wh::host {
namespace {

template <class L>
std::unique_ptr<Loop> make_loop() {
  if constexpr (std::is_same_v<L, RealLoop>) {
    return MUST(RealLoop::make());  // A test process has descriptors left.
  } else {
    return std::make_unique<VirtualLoop>();
  }
}

template <class L>
class LoopTest : public testing::Test {
 protected:
  std::unique_ptr<Loop> loop_ = make_loop<L>();
};

struct LoopNames {
  template <class L>
  static std::string GetName(int) {
    return std::is_same_v<L, RealLoop> ? "Real" : "Virtual";
  }
};
using BothLoops = testing::Types<VirtualLoop, RealLoop>;
TYPED_TEST_SUITE(LoopTest, BothLoops, LoopNames);

TYPED_TEST(LoopTest, starts_well_after_zero) {
  EXPECT_GE(this->loop_->now(), Instant(1000s));
  EXPECT_GE(this->loop_->clock(), this->loop_->now());
}

TYPED_TEST(LoopTest, run_returns_when_nothing_can_happen) {
  EXPECT_TRUE(this->loop_->run());
  EXPECT_EQ(this->loop_->next_deadline(), kNever);
}

TYPED_TEST(LoopTest, fires_timers_by_deadline_and_never_early) {
  Loop& loop = *this->loop_;
  const Instant start = loop.now();
  std::string order;
  std::vector<Duration> fired_at;
  auto note = [&](char c) {
    order += c;
    fired_at.push_back(loop.now() - start);
  };
  Timer a(loop, [&] { note('a'); }), b(loop, [&] { note('b'); }), c(loop, [&] { note('c'); });
  a.arm(start + 3ms);
  b.arm(start + 1ms);
  c.arm(start + 2ms);
  EXPECT_TRUE(loop.run());
  EXPECT_EQ(order, "bca");
  ASSERT_EQ(fired_at.size(), 3u);
  EXPECT_GE(fired_at[0], 1ms);
  EXPECT_GE(fired_at[1], 2ms);
  EXPECT_GE(fired_at[2], 3ms);
}

TYPED_TEST(LoopTest, fires_equal_deadlines_in_order_of_arming) {
  Loop& loop = *this->loop_;
  const Instant due = loop.now() + 1ms;
  std::string order;
  Timer a(loop, [&] { order += 'a'; }), b(loop, [&] { order += 'b'; }),
      c(loop, [&] { order += 'c'; });
  c.arm(due);
  a.arm(due);
  b.arm(due);
  c.arm(due);  // Armed afresh: last again.
  loop.run();
  EXPECT_EQ(order, "abc");
}

TYPED_TEST(LoopTest, disarmed_or_destroyed_timers_do_not_fire) {
  Loop& loop = *this->loop_;
  std::string fired;
  Timer kept(loop, [&] { fired += 'k'; });
  Timer disarmed(loop, [&] { fired += 'd'; });
  {
    Timer destroyed(loop, [&] { fired += 'x'; });
    destroyed.arm(loop.now() + 1ms);
    disarmed.arm(loop.now() + 1ms);
    kept.arm(loop.now() + 1ms);
  }
  disarmed.disarm();
  loop.run();
  EXPECT_EQ(fired, "k");
}

TYPED_TEST(LoopTest, timer_armed_for_the_past_fires_next_and_time_does_not_go_back) {
  Loop& loop = *this->loop_;
  Instant before{}, inside{};
  Timer late(loop, [&] { inside = loop.now(); });
  Timer first(loop, [&] {
    before = loop.now();
    late.arm(loop.now() - 5s);
  });
  first.arm(loop.now() + 1ms);
  loop.run();
  EXPECT_GE(inside, before);
}

TYPED_TEST(LoopTest, now_stands_still_while_an_action_runs) {
  Loop& loop = *this->loop_;
  Timer t(loop, [&] {
    const Instant begin = loop.now();
    const Instant read = loop.clock();
    Instant last = read;
    for (int i = 0; i < 10000; ++i) {
      EXPECT_GE(loop.clock(), last);
      last = loop.clock();
    }
    EXPECT_EQ(loop.now(), begin);
  });
  t.arm(loop.now());
  loop.run();
}

TYPED_TEST(LoopTest, run_until_fires_what_is_due_and_leaves_what_is_not) {
  Loop& loop = *this->loop_;
  const Instant deadline = loop.now() + 5ms;
  std::string fired;
  Timer early(loop, [&] { fired += 'e'; }), exact(loop, [&] { fired += 'x'; }),
      after(loop, [&] { fired += 'a'; });
  early.arm(deadline - 1ns);
  exact.arm(deadline);
  after.arm(deadline + 1ns);
  EXPECT_TRUE(loop.run_until(deadline));
  EXPECT_EQ(fired, "ex");
  EXPECT_GE(loop.now(), deadline);
  EXPECT_TRUE(after.is_armed());
  EXPECT_TRUE(loop.run());
  EXPECT_EQ(fired, "exa");
}

TYPED_TEST(LoopTest, run_for_takes_its_time_when_nothing_happens) {
  const Instant start = this->loop_->now();
  EXPECT_TRUE(this->loop_->run_for(3ms));
  EXPECT_GE(this->loop_->now(), start + 3ms);
}

TYPED_TEST(LoopTest, stop_ends_the_run_after_the_action) {
  Loop& loop = *this->loop_;
  int fired = 0;
  Timer stopper(loop, [&] {
    loop.stop();
    ++fired;
  });
  Timer later(loop, [&] { ++fired; });
  stopper.arm(loop.now() + 1ms);
  later.arm(loop.now() + 1ms);
  EXPECT_FALSE(loop.run());
  EXPECT_EQ(fired, 1);
  EXPECT_TRUE(loop.run());
  EXPECT_EQ(fired, 2);
}

TYPED_TEST(LoopTest, periodic_timer_keeps_its_beat) {
  Loop& loop = *this->loop_;
  const Instant start = loop.now();
  int64_t ticks = 0;
  Timer tick(loop, [&] {
    EXPECT_GE(loop.now(), start + ++ticks * 200us);
    if (ticks < 50) tick.arm(start + (ticks + 1) * 200us);
  });
  tick.arm(start + 200us);
  loop.run();
  EXPECT_EQ(ticks, 50);
}

TYPED_TEST(LoopTest, random_arming_and_disarming_fires_exactly_what_is_left) {
  const uint64_t seed = 20260801;
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random random(seed);
  Loop& loop = *this->loop_;
  constexpr size_t kTimers = 200;
  std::vector<std::unique_ptr<Timer>> timers;
  std::vector<int> fired(kTimers), expected(kTimers);
  for (size_t i = 0; i < kTimers; ++i) {
    timers.push_back(std::make_unique<Timer>(loop, [&fired, i] { ++fired[i]; }));
  }
  for (int round = 0; round < 2000; ++round) {
    const size_t i = random.below(kTimers);
    if (random.one_in(3)) {
      timers[i]->disarm();
      expected[i] = 0;
    } else {
      timers[i]->arm(loop.now() + Duration(static_cast<int64_t>(random.below(5'000'000))));
      expected[i] = 1;
    }
  }
  loop.run();
  EXPECT_EQ(fired, expected);
}

}  // namespace
}  // namespace wh::host
