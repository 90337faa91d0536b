// Waking, sleeping and self-tuning: when a wheel runs.
#include <gtest/gtest.h>

#include "pacing/hpts.h"
#include "pacing/hpts_recorder.h"
#include "pacing/late_loop.h"

namespace wh::pacing {
namespace {

class HptsSleep : public ::testing::Test {
 protected:
  Duration sleep() const { return hpts.wakes_at() - loop.now(); }
  const HptsCounters& counters() const { return books.counters; }
  // Has the callout fire, at the end of its sleep, `span` slots after the first client's slot.
  // REQUIRES: inserts do not shorten the sleep, or it ends at this client's slot.
  Duration mysleep_after_run_that_spans(int64_t span) {
    const Instant fire = std::max(hpts.wakes_at(), loop.now() + HptsSlots(span + 1).duration());
    const Instant due = fire - HptsSlots(span).duration();
    hpts.insert(probe, due - loop.now());
    const uint64_t runs = counters().timeout_wakeup;
    loop.stall(fire - loop.now());
    EXPECT_EQ(counters().timeout_wakeup, runs + 1);
    EXPECT_FALSE(probe.in_hpts());
    return hpts.mysleep();
  }
  std::vector<int64_t> mysleep_us(std::initializer_list<int64_t> spans) {
    std::vector<int64_t> us;
    for (const int64_t span : spans) us.push_back(mysleep_after_run_that_spans(span) / 1us);
    return us;
  }
  using Us = std::vector<int64_t>;

  LateLoop loop;
  HptsBooks books;
  Hpts hpts{loop, books};
  Recorder probe{loop};
};

TEST_F(HptsSleep, E15_short_runs_double_the_sleep_up_to_dyn_maxsleep) {
  Crowd crowd(loop, hpts, 149);
  std::vector<int64_t> slept, tuned;
  // Always due 20 slots before the coming sleep ends.
  probe.then = [&](Recorder& self) {
    const Duration next = std::min<Duration>(2 * hpts.mysleep(), 5ms);
    hpts.insert(self, next - HptsSlots(20).duration());
  };
  hpts.insert(probe, 100us);
  for (int i = 0; i < 6; ++i) {
    loop.run_until(hpts.wakes_at());
    tuned.push_back(hpts.mysleep() / 1us);
    slept.push_back(sleep() / 1us);
    EXPECT_TRUE(hpts.is_on_min_sleep());
  }
  EXPECT_EQ(tuned, (Us{500, 1000, 2000, 4000, 5000, 5000}));
  EXPECT_EQ(slept, tuned);
}

TEST_F(HptsSleep, E16_long_runs_halve_the_sleep_down_to_dyn_minsleep) {
  Crowd crowd(loop, hpts, 150);
  ASSERT_EQ(mysleep_us({0, 0, 0, 0, 0}), (Us{500, 1000, 2000, 4000, 5000}));
  EXPECT_EQ(mysleep_us({1200, 1200, 1200, 1200, 1200, 1200}), (Us{2500, 1250, 625, 312, 250, 250}));
}

TEST_F(HptsSleep, E17_run_of_500_slots_leaves_the_sleep) {
  Crowd crowd(loop, hpts, 150);
  EXPECT_EQ(mysleep_us({0, 0, 500, 500}), (Us{500, 1000, 1000, 1000}));
}

TEST_F(HptsSleep, E18_run_of_exactly_100_or_1000_slots_leaves_the_sleep) {
  Crowd crowd(loop, hpts, 150);
  EXPECT_EQ(mysleep_us({0, 0, 100, 1000, 99}), (Us{500, 1000, 1000, 1000, 2000}));
  EXPECT_EQ(mysleep_us({1000, 1001}), (Us{2000, 1000}));
}

TEST_F(HptsSleep, tuning_follows_its_tunables) {
  Crowd crowd(loop, hpts, 150);
  books.tunables.more_sleep = 5;
  books.tunables.less_sleep = 10;
  books.tunables.dyn_maxsleep = 800;
  books.tunables.dyn_minsleep = 300;
  EXPECT_EQ(mysleep_us({4, 5, 4, 10, 11, 11}), (Us{500, 500, 800, 800, 400, 300}));
}

TEST_F(HptsSleep, below_cnt_thresh_nothing_is_tuned) {
  Crowd crowd(loop, hpts, 98);
  EXPECT_EQ(mysleep_us({0, 0, 1200, 0}), (Us{250, 250, 250, 250}));
}

TEST_F(HptsSleep, at_cnt_thresh_tuning_begins) {
  Crowd crowd(loop, hpts, 99);
  probe.then = [&](Recorder& self) { hpts.insert(self, 500ms); };
  hpts.insert(probe, 100us);
  loop.run_for(100us);
  EXPECT_EQ(hpts.queued(), 100u);
  EXPECT_EQ(hpts.mysleep(), 500us);
  EXPECT_EQ(sleep(), 5ms);
}

TEST_F(HptsSleep, run_set_off_by_an_insert_tunes_nothing) {
  books.tunables.no_wake_over_thresh = 0;
  Crowd crowd(loop, hpts, 150);
  loop.run_for(1ms);
  hpts.insert(probe, 0us);
  loop.run_for(0us);
  EXPECT_EQ(probe.calls, 1);
  EXPECT_EQ(counters().direct_awakening, 1u);
  EXPECT_EQ(hpts.mysleep(), 250us);
}

TEST_F(HptsSleep, E19_near_slot_below_cnt_thresh_sleeps_min_sleep_and_inserts_do_not_wake) {
  Crowd crowd(loop, hpts, 98);
  probe.then = [&](Recorder& self) { hpts.insert(self, 80us); };
  hpts.insert(probe, 100us);
  loop.run_for(100us);
  ASSERT_EQ(hpts.queued(), 99u);
  EXPECT_EQ(sleep(), 250us);
  EXPECT_TRUE(hpts.is_on_min_sleep());
  const Instant wake = hpts.wakes_at();
  Hpts::remove(crowd[0]);
  hpts.insert(crowd[0], 10us);
  Hpts::remove(crowd[1]);
  hpts.insert(crowd[1], 0us);
  EXPECT_EQ(hpts.wakes_at(), wake);
  loop.run_for(250us);
  EXPECT_EQ(crowd[0].delayed_by, 240us);
  EXPECT_EQ(crowd[1].calls, 1);
}

TEST_F(HptsSleep, E20_far_slot_below_cnt_thresh_sleeps_to_it_and_nearer_inserts_shorten) {
  Crowd crowd(loop, hpts, 98);
  probe.then = [&](Recorder& self) { hpts.insert(self, 900us); };
  hpts.insert(probe, 100us);
  loop.run_for(100us);
  EXPECT_EQ(sleep(), 900us);
  EXPECT_FALSE(hpts.is_on_min_sleep());
  loop.run_for(100us);
  Hpts::remove(crowd[0]);
  hpts.insert(crowd[0], 300us);
  EXPECT_EQ(sleep(), 300us);
}

TEST_F(HptsSleep, sleeps_to_a_slot_exactly_min_sleep_away) {
  probe.then = [&](Recorder& self) { hpts.insert(self, 250us); };
  hpts.insert(probe, 100us);
  loop.run_for(100us);
  EXPECT_EQ(sleep(), 250us);
  EXPECT_FALSE(hpts.is_on_min_sleep());
}

TEST_F(HptsSleep, E20b_insert_of_zero_at_cnt_thresh_is_left_to_a_soft_run) {
  Crowd crowd(loop, hpts, 99);
  loop.run_for(1ms);
  ASSERT_FALSE(hpts.is_on_min_sleep());
  hpts.insert(probe, HptsSlots(0));
  EXPECT_EQ(sleep(), 5ms) << "no wake: the callout stands by should no soft run come";
  EXPECT_EQ(probe.calls, 0);
  hpts.softclock();
  EXPECT_EQ(probe.calls, 1);
  EXPECT_EQ(counters().direct_call, 1u);
}

TEST_F(HptsSleep, insert_of_zero_at_cnt_thresh_waits_for_the_callout_when_no_soft_run_comes) {
  Crowd crowd(loop, hpts, 99);
  loop.run_for(1ms);
  hpts.insert(probe, HptsSlots(0));
  loop.run_for(100ms);
  EXPECT_EQ(probe.calls, 1);
  EXPECT_EQ(probe.called_at, LateLoop::kEpoch + 6ms);
}

// A soft run that leaves cnt_thresh or more waiting makes inserts rely on the next one, on a wheel
// whose callout slept for half a second before the crowd came.
TEST_F(HptsSleep, soft_run_bounds_the_sleep_from_before_the_crowd) {
  for (const size_t entries : {99u, 100u, 101u, 150u}) {
    SCOPED_TRACE(entries);
    HptsBooks own_books;
    Hpts wheel(loop, own_books);
    Crowd crowd(loop, wheel, entries - 1);
    Recorder first(loop), next(loop);
    wheel.insert(first, 0us);
    loop.run_for(10us);
    wheel.softclock();
    EXPECT_EQ(first.calls, 1);
    EXPECT_EQ(wheel.queued(), entries - 1);
    wheel.insert(next, 8ms);
    loop.run_for(100ms);
    EXPECT_EQ(next.calls, 1) << "not within 92 ms of its time";
    EXPECT_LE(next.delayed_by, entries <= 100 ? 0ms : 5ms);
  }
}

TEST_F(HptsSleep, E20b_insert_of_zero_at_cnt_thresh_wakes_when_that_is_allowed) {
  books.tunables.no_wake_over_thresh = 0;
  Crowd crowd(loop, hpts, 99);
  loop.run_for(1ms);
  hpts.insert(probe, HptsSlots(0));
  EXPECT_EQ(hpts.wakes_at(), loop.now());
  loop.run_for(0us);
  EXPECT_EQ(probe.calls, 1);
}

TEST_F(HptsSleep, insert_of_zero_below_cnt_thresh_wakes) {
  Crowd crowd(loop, hpts, 98);
  loop.run_for(1ms);
  hpts.insert(probe, HptsSlots(0));
  EXPECT_EQ(hpts.wakes_at(), loop.now());
}

TEST_F(HptsSleep, E20e_empty_wheel_wakes_every_half_second) {
  EXPECT_EQ(sleep(), 512ms);
  loop.run_for(511999us);
  EXPECT_EQ(counters().timeout_wakeup, 0u);
  loop.run_for(1us);
  EXPECT_EQ(counters().timeout_wakeup, 1u);
  EXPECT_EQ(counters().no_tcbsfound, 1u);
  EXPECT_EQ(sleep(), 512ms);
  loop.run_for(512ms * 10);
  EXPECT_EQ(counters().timeout_wakeup, 11u);
}

TEST_F(HptsSleep, max_sleep_bounds_the_sleep_to_a_far_slot) {
  hpts.insert(probe, 900ms);
  EXPECT_EQ(sleep(), 512ms);
  books.tunables.max_sleep = 100;
  loop.run_for(512ms);
  EXPECT_EQ(sleep(), 1ms);
}

TEST_F(HptsSleep, soft_clock_is_silent_below_cnt_thresh) {
  Crowd crowd(loop, hpts, 98);
  hpts.insert(probe, 100us);
  loop.spend(200us);
  hpts.softclock();
  EXPECT_EQ(probe.calls, 0);
  EXPECT_EQ(counters().direct_call, 0u);
}

TEST_F(HptsSleep, soft_clock_serves_what_the_callout_would_serve_later) {
  Crowd crowd(loop, hpts, 150);
  mysleep_us({0, 0, 0, 0, 0});
  ASSERT_EQ(sleep(), 5ms);
  hpts.insert(probe, 1ms);
  EXPECT_EQ(sleep(), 5ms) << "over the threshold an insert does not shorten the sleep";
  loop.run_for(1ms);
  EXPECT_EQ(probe.calls, 5) << "the callout alone would come at 5 ms";
  hpts.softclock();
  EXPECT_EQ(probe.calls, 6);
  EXPECT_EQ(probe.delayed_by, 0us);
}

TEST_F(HptsSleep, soft_run_that_comes_late_halves_the_sleep_and_arms_the_callout) {
  Crowd crowd(loop, hpts, 150);
  mysleep_us({0, 0, 0, 0, 0});
  const Instant wake = hpts.wakes_at();
  hpts.insert(probe, 10us);
  Recorder near(loop);
  hpts.insert(near, 12ms);
  loop.spend(10us + HptsSlots(1001).duration());
  hpts.softclock();
  EXPECT_EQ(probe.delayed_by, HptsSlots(1001).duration());
  EXPECT_EQ(hpts.mysleep(), 2500us);
  EXPECT_NE(hpts.wakes_at(), wake);
  EXPECT_EQ(hpts.wakes_at() - loop.clock(), 2500us) << "the next slot is nearer than that";
}

TEST_F(HptsSleep, soft_run_that_comes_early_doubles_the_sleep_and_leaves_the_callout) {
  Crowd crowd(loop, hpts, 150);
  ASSERT_EQ(mysleep_us({0}), (Us{500}));
  const Instant wake = hpts.wakes_at();
  hpts.insert(probe, 10us);
  loop.run_for(10us);
  hpts.softclock();
  EXPECT_EQ(hpts.mysleep(), 1000us);
  EXPECT_EQ(hpts.wakes_at(), wake);
  EXPECT_TRUE(hpts.is_on_min_sleep());
}

TEST_F(HptsSleep, soft_run_in_between_tunes_nothing) {
  Crowd crowd(loop, hpts, 150);
  ASSERT_EQ(mysleep_us({0}), (Us{500}));
  const Instant wake = hpts.wakes_at();
  hpts.insert(probe, 10us);
  loop.spend(10us + HptsSlots(100).duration());
  hpts.softclock();
  EXPECT_EQ(hpts.mysleep(), 500us);
  EXPECT_EQ(hpts.wakes_at(), wake);
}

TEST_F(HptsSleep, soft_clock_within_a_run_does_nothing) {
  Crowd crowd(loop, hpts, 150);
  probe.then = [&](Recorder&) {
    loop.spend(1ms);
    hpts.softclock();
  };
  hpts.insert(probe, 10us);
  Recorder other(loop);
  hpts.insert(other, 10us);
  loop.run_for(10us);
  EXPECT_EQ(probe.calls, 1);
  EXPECT_EQ(other.calls, 1);
  EXPECT_EQ(counters().soft_noop, 1u);
}

// A client that runs the loop from within its call lets the callout come during the run.
TEST_F(HptsSleep, callout_that_meets_a_run_goes_back_to_sleep) {
  Crowd crowd(loop, hpts, 150);
  mysleep_us({0});
  const Instant wake = hpts.wakes_at();
  probe.then = [&](Recorder&) { loop.run_until(wake); };
  hpts.insert(probe, 10us);
  loop.run_for(10us);
  hpts.softclock();  // A soft run leaves the callout armed, and the client lets it fire.
  EXPECT_EQ(counters().back_tosleep, 1u);
  EXPECT_EQ(hpts.mysleep(), 2000us) << "doubled by the collision, then by the short soft run";
  EXPECT_EQ(hpts.wakes_at(), wake + 1000us);
  EXPECT_TRUE(hpts.is_on_min_sleep());
}

TEST_F(HptsSleep, callout_that_meets_a_run_below_cnt_thresh_sleeps_min_sleep) {
  Crowd crowd(loop, hpts, 150);
  mysleep_us({0, 0});
  const Instant wake = hpts.wakes_at();
  probe.then = [&](Recorder&) {
    books.tunables.cnt_thresh = 1000;
    loop.run_until(wake);
    EXPECT_EQ(hpts.wakes_at(), wake + 250us);
    EXPECT_FALSE(hpts.is_on_min_sleep());
  };
  hpts.insert(probe, 10us);
  loop.run_for(10us);
  hpts.softclock();
  EXPECT_EQ(counters().back_tosleep, 1u);
  EXPECT_EQ(hpts.mysleep(), 1000us);
}

TEST_F(HptsSleep, wake_by_an_insert_that_meets_a_run_sleeps_mysleep) {
  books.tunables.no_wake_over_thresh = 0;
  Crowd crowd(loop, hpts, 150);
  loop.run_for(1ms);
  probe.then = [&](Recorder&) {
    loop.run_for(0us);
    EXPECT_EQ(counters().back_tosleep, 1u);
    EXPECT_EQ(hpts.wakes_at(), loop.now() + 250us);
  };
  hpts.insert(probe, 0us);
  hpts.softclock();  // Before the wake that the insert asked for.
  EXPECT_EQ(probe.calls, 1);
}

TEST_F(HptsSleep, overdue_callout_is_pulled_forward_by_an_insert) {
  Recorder a(loop);
  hpts.insert(probe, 300us);
  loop.spend(400us);  // The loop is kept from the callout, due at 300 us.
  hpts.insert(a, 5ms);
  EXPECT_EQ(hpts.wakes_at(), loop.clock());
  loop.stall(0us);
  EXPECT_EQ(probe.calls, 1);
  EXPECT_EQ(counters().direct_awakening, 1u);
}

TEST_F(HptsSleep, precise_wheel_sleeps_until_the_next_is_due_and_not_at_all_when_empty) {
  books.tunables.precise = 1;
  Crowd crowd(loop, hpts, 150);
  for (const Duration delay : {1ns, 10'000ns, 20'001ns, 80'000ns, 989'999ns, 30'000'000ns}) {
    hpts.insert(probe, delay);
    EXPECT_EQ(sleep(), delay);
    loop.run_for(delay);
    EXPECT_FALSE(probe.in_hpts());
    EXPECT_EQ(probe.delayed_by, 0us);
  }
  loop.run_for(1s);
  EXPECT_EQ(hpts.wakes_at(), kNever);
  loop.run_for(3600s);
  const Instant start = loop.now();
  hpts.insert(probe, 0us);
  loop.run_for(0us);
  EXPECT_EQ(probe.called_at, start);
  loop.run_for(3600s);
  hpts.insert(probe, 700us);
  loop.run_for(1ms);
  EXPECT_EQ(probe.called_at, start + 3600s + 700us);
  EXPECT_EQ(counters().wheel_wrap, 0u);
}

TEST_F(HptsSleep, min_sleep_sets_the_least_delay) {
  EXPECT_EQ(get_hpts_min_sleep_time(hpts), 260us);
  books.tunables.min_sleep = 50;
  EXPECT_EQ(get_hpts_min_sleep_time(hpts), 60us);
  probe.then = [&](Recorder& self) { hpts.insert(self, 20us); };
  hpts.insert(probe, 100us);
  loop.run_for(100us);
  EXPECT_EQ(sleep(), 50us);
}

}  // namespace
}  // namespace wh::pacing
