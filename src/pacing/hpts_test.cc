// Placing and serving: whom a run calls, when, and in what order.
#include "pacing/hpts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "core/random.h"
#include "pacing/hpts_recorder.h"
#include "pacing/late_loop.h"

namespace wh::pacing {
namespace {

class HptsTest : public ::testing::Test {
 protected:
  Recorder client(std::string name = "") { return Recorder(loop, std::move(name), &log); }
  const HptsCounters& counters() const { return books.counters; }
  // Serves everything up to now and leaves the wheel in the tick of its last run.
  void settle() {
    Recorder last(loop);
    hpts.insert(last, 1ms);
    loop.run_for(1ms);
    ASSERT_EQ(last.calls, 1);
  }

  LateLoop loop;
  HptsBooks books;
  Hpts hpts{loop, books};
  Recorder::Log log;
};

TEST_F(HptsTest, E2_insert_on_sleeping_wheel_shortens_the_sleep) {
  loop.run_for(1ms);
  ASSERT_FALSE(hpts.is_on_min_sleep());
  Recorder a(loop);
  const Instant start = loop.now();
  hpts.insert(a, 500us);
  EXPECT_EQ(hpts.wakes_at(), start + 500us);
  loop.run_for(499us + 999ns);
  EXPECT_EQ(a.calls, 0);
  loop.run_for(10us);
  EXPECT_EQ(a.calls, 1);
  EXPECT_EQ(a.called_at, start + 500us);
  EXPECT_EQ(a.delayed_by, 0us);
}

TEST_F(HptsTest, E3_insert_of_zero_wakes_a_sleeping_wheel_at_once) {
  Recorder later(loop), a(loop);
  hpts.insert(later, 400ms);
  loop.run_for(1ms);
  hpts.insert(a, 0us);
  EXPECT_EQ(a.hpts_slot(), (hpts.prev_slot() + 1) % kHptsWheelSlots);
  EXPECT_EQ(hpts.wakes_at(), loop.now());
  loop.run_for(0us);
  EXPECT_EQ(a.calls, 1);
  EXPECT_EQ(a.delayed_by, 0us);
  EXPECT_EQ(counters().direct_awakening, 1u);
  // In the tick in which the wheel has just run, the call comes at the next one.
  hpts.insert(a, HptsSlots(0));
  loop.run_for(9us + 999ns);
  EXPECT_EQ(a.calls, 1);
  loop.run_for(1ns);
  EXPECT_EQ(a.calls, 2);
}

TEST_F(HptsTest, E4_insert_behind_the_wake_up_leaves_it) {
  Recorder a(loop), b(loop);
  hpts.insert(a, 500us);
  const Instant wake = hpts.wakes_at();
  hpts.insert(b, 5ms);
  EXPECT_EQ(hpts.wakes_at(), wake);
}

TEST_F(HptsTest, E5_insert_beyond_the_wheel_is_parked_and_called_once_in_time) {
  Recorder a(loop);
  const Instant start = loop.now();
  hpts.insert(a, HptsSlots(200'000));
  EXPECT_EQ(a.hpts_slot(), (hpts.prev_slot() + 102'399) % kHptsWheelSlots);
  EXPECT_EQ(hpts.remaining(a).count(), 97'601);
  EXPECT_EQ(counters().long_timers, 1u);
  loop.run_for(1999990us);
  EXPECT_EQ(a.calls, 0);
  EXPECT_EQ(counters().moves, 1u);
  loop.run_for(10s);
  EXPECT_EQ(a.calls, 1);
  EXPECT_EQ(a.called_at, start + 2s);
}

TEST_F(HptsTest, E6_longest_direct_placement_is_a_wheel_less_one_slot) {
  settle();
  Recorder a(loop), b(loop);
  hpts.insert(a, 1023990us);
  EXPECT_EQ(hpts.remaining(a).count(), 0);
  hpts.insert(b, 1024ms);
  EXPECT_EQ(hpts.remaining(b).count(), 1);
  EXPECT_EQ(a.hpts_slot(), b.hpts_slot());
  const Instant start = loop.now();
  loop.run_for(2s);
  EXPECT_EQ(a.called_at, start + 1023990us);
  // The wheel ran for a 10 us before, and does not sleep less than min_sleep.
  EXPECT_EQ(b.called_at, start + 1023990us + 250us);
  EXPECT_EQ(b.delayed_by, 240us);
}

TEST_F(HptsTest, E7_serves_first_in_first_out_within_a_slot) {
  Recorder a = client("a"), b = client("b"), c = client("c");
  hpts.insert(b, 300us);
  hpts.insert(a, 300us);
  hpts.insert(c, 299us);
  loop.run_for(1ms);
  EXPECT_EQ(log, (Recorder::Log{"b", "a", "c"}));
}

TEST_F(HptsTest, E8_removed_client_is_not_called_and_second_remove_does_nothing) {
  Recorder a(loop);
  Hpts::remove(a);
  EXPECT_EQ(counters().removes, 0u);
  hpts.insert(a, 500us);
  EXPECT_TRUE(tcp_in_hpts(a));
  EXPECT_EQ(hpts.queued(), 1u);
  tcp_hpts_remove(a);
  tcp_hpts_remove(a);
  EXPECT_FALSE(tcp_in_hpts(a));
  EXPECT_EQ(hpts.queued(), 0u);
  EXPECT_EQ(counters().removes, 1u);
  loop.run_for(3s);
  EXPECT_EQ(a.calls, 0);
}

TEST_F(HptsTest, E9_client_removed_while_its_slot_is_served_is_not_called) {
  Recorder x = client("x"), y = client("y"), z = client("z");
  for (Recorder* r : {&x, &y, &z}) hpts.insert(*r, 500us);
  x.then = [&](Recorder&) { Hpts::remove(y); };
  loop.run_for(1ms);
  EXPECT_EQ(log, (Recorder::Log{"x", "z"}));
  EXPECT_FALSE(y.in_hpts());
  EXPECT_EQ(hpts.queued(), 0u);
  hpts.insert(y, 500us);
  loop.run_for(1ms);
  EXPECT_EQ(y.calls, 1);
}

TEST_F(HptsTest, E9_client_moved_while_its_slot_is_served_is_called_at_its_new_time) {
  Recorder x = client("x"), y = client("y");
  hpts.insert(x, 500us);
  hpts.insert(y, 500us);
  x.then = [&](Recorder&) {
    Hpts::remove(y);
    hpts.insert(y, 700us);
  };
  const Instant start = loop.now();
  loop.run_for(2ms);
  EXPECT_EQ(log, (Recorder::Log{"x", "y"}));
  EXPECT_EQ(y.called_at, start + 1200us);
}

TEST_F(HptsTest, E10_client_that_inserts_itself_with_zero_is_served_in_a_later_pass) {
  Recorder x(loop), y(loop);
  x.then = [&](Recorder& self) { hpts.insert(self, 0us); };
  hpts.insert(x, 100us);
  hpts.insert(y, 100us);
  loop.run_for(100us);
  EXPECT_EQ(x.calls, 1);
  EXPECT_EQ(y.calls, 1);
  EXPECT_EQ(x.hpts_slot(), (hpts.prev_slot() + 1) % kHptsWheelSlots);
  loop.run_for(250us);  // The next slot is nearer than min_sleep.
  EXPECT_EQ(x.calls, 2);
  x.then = [&](Recorder& self) {
    loop.spend(15us);
    if (self.calls < 5) hpts.insert(self, 0us);
  };
  loop.run_for(250us);
  EXPECT_EQ(x.calls, 5) << "time moved on in each pass, so the run loops";
}

TEST_F(HptsTest, E11_late_run_calls_all_due_in_slot_order_with_decreasing_delays) {
  std::vector<std::unique_ptr<Recorder>> clients;
  for (int i = 0; i < 10; ++i) {
    clients.push_back(std::make_unique<Recorder>(loop, std::to_string(i), &log));
    hpts.insert(*clients.back(), (i + 1) * Duration(300us));
  }
  loop.stall(3ms);
  EXPECT_EQ(log, (Recorder::Log{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}));
  for (int i = 0; i < 10; ++i) EXPECT_EQ(clients[size_t(i)]->delayed_by, (9 - i) * Duration(300us));
}

TEST_F(HptsTest, E12_run_that_comes_more_than_a_wheel_late_calls_all_once_in_order) {
  Recorder a = client("a"), b = client("b"), c = client("c");
  hpts.insert(b, 1s);
  hpts.insert(a, 200ms);
  hpts.insert(c, 1400ms);
  loop.stall(1500ms);
  EXPECT_EQ(log, (Recorder::Log{"a", "b", "c"}));
  EXPECT_EQ(counters().wheel_wrap, 1u);
  EXPECT_EQ(a.delayed_by, 1300ms);
  EXPECT_EQ(c.delayed_by, 100ms);
  loop.run_for(3s);
  EXPECT_EQ(log.size(), 3u);
}

TEST_F(HptsTest, wraps_only_when_more_than_the_whole_wheel_has_passed) {
  settle();
  Recorder a(loop), b(loop);
  hpts.insert(a, 1ms);
  loop.stall(1023990us);  // 102,399 slots.
  EXPECT_EQ(counters().wheel_wrap, 0u);
  hpts.insert(b, 1ms);
  loop.stall(1024ms);
  EXPECT_EQ(counters().wheel_wrap, 1u);
  EXPECT_EQ(a.calls + b.calls, 2);
}

TEST_F(HptsTest, E13_run_that_never_catches_up_stops_after_twelve_passes) {
  Recorder a(loop);
  a.then = [&](Recorder& self) {
    loop.spend(15us);
    hpts.insert(self, HptsSlots(1));
    loop.spend(15us);
  };
  hpts.insert(a, 100us);
  loop.run_for(100us);
  EXPECT_EQ(a.calls, 12);
  EXPECT_EQ(counters().hopeless, 1u);
  EXPECT_EQ(counters().loops, 11u);
}

TEST_F(HptsTest, E14_soft_run_that_falls_behind_makes_one_pass) {
  books.tunables.cnt_thresh = 1;
  Recorder a(loop);
  a.then = [&](Recorder& self) {
    loop.spend(15us);
    hpts.insert(self, HptsSlots(1));
    loop.spend(15us);
  };
  hpts.insert(a, 100us);
  loop.spend(100us);
  hpts.softclock();
  EXPECT_EQ(a.calls, 1);
  EXPECT_EQ(counters().hopeless, 0u);
  EXPECT_EQ(counters().loops, 0u);
  EXPECT_EQ(counters().direct_call, 1u);
}

TEST_F(HptsTest, loop_max_bounds_the_passes) {
  books.tunables.loop_max = 0;
  Recorder a(loop);
  a.then = [&](Recorder& self) {
    hpts.insert(self, HptsSlots(1));
    loop.spend(15us);
  };
  hpts.insert(a, 100us);
  loop.run_for(100us);
  EXPECT_EQ(a.calls, 2);
  EXPECT_EQ(counters().hopeless, 1u);
}

TEST_F(HptsTest, run_that_wraps_twice_stops_looping) {
  Recorder a(loop), b(loop);
  a.then = [&](Recorder& self) {
    hpts.insert(self, HptsSlots(1));
    loop.spend(1100ms);
  };
  hpts.insert(a, 100us);
  hpts.insert(b, 10s);
  loop.run_for(100us);
  EXPECT_EQ(a.calls, 3) << "one pass in time, two that wrapped";
  EXPECT_EQ(counters().wheel_wrap, 2u);
}

TEST_F(HptsTest, insert_made_when_the_clock_is_a_wheel_ahead_of_the_run_is_counted) {
  Recorder a(loop), b(loop);
  a.then = [&](Recorder&) {
    loop.spend(1500ms);
    hpts.insert(b, 50us);
  };
  hpts.insert(a, 100us);
  const Instant start = loop.now();
  loop.run_for(2s);
  EXPECT_EQ(counters().comb_wheel_wrap, 1u);
  EXPECT_EQ(b.calls, 1);
  EXPECT_GE(b.called_at, start + 100us + 1500ms + 50us);
  EXPECT_LE(b.called_at, start + 100us + 1500ms + 50us + 260us);
}

TEST_F(HptsTest, never_calls_early_whatever_the_phase_within_a_slot) {
  books.tunables.min_sleep = 10;
  for (int phase = 0; phase < 30; ++phase) {
    loop.run_for(Duration(1us) * 7 + 333ns);
    for (const Duration delay : {1ns, 999ns, 10'000ns, 10'001ns, 123'456ns}) {
      Recorder a(loop);
      const Instant asked = loop.now();
      hpts.insert(a, delay);
      loop.run_for(delay + 2 * kHptsSlot);
      ASSERT_EQ(a.calls, 1);
      EXPECT_GE(a.called_at - asked, delay);
      EXPECT_LT(a.called_at - asked, delay + 2 * kHptsSlot);
    }
  }
}

TEST_F(HptsTest, counts_slots_from_the_current_one) {
  books.tunables.precise = 1;
  loop.run_for(7us);
  Recorder a(loop);
  const Instant asked = loop.now();
  tcp_hpts_insert(hpts, a, HptsSlots(3));
  loop.run_for(1ms);
  EXPECT_EQ(a.called_at - asked, 23us) << "the edge of the third slot from the current one";
}

TEST_F(HptsTest, wraps_around_the_end_of_the_wheel) {
  // Start so that the current slot is the wheel's last but two.
  LateLoop other(Instant(kHptsSlot * (int64_t{kHptsWheelSlots} * 1000 - 3)));
  Hpts wheel(other, books);
  EXPECT_EQ(wheel.prev_slot(), kHptsWheelSlots - 3);
  Recorder a(other, "a", &log), b(other, "b", &log), c(other, "c", &log);
  wheel.insert(c, HptsSlots(4));
  wheel.insert(b, HptsSlots(3));
  wheel.insert(a, HptsSlots(2));
  EXPECT_EQ(a.hpts_slot(), kHptsWheelSlots - 1);
  EXPECT_EQ(b.hpts_slot(), 0u);
  other.stall(1ms);
  EXPECT_EQ(log, (Recorder::Log{"a", "b", "c"}));
}

TEST_F(HptsTest, runs_across_the_wrap_of_32_bit_microseconds_and_ticks) {
  for (const Duration edge : {Duration(1us) * (int64_t{1} << 32), kHptsSlot * (int64_t{1} << 32)}) {
    LateLoop other(Instant(edge - 500us));
    Hpts wheel(other, books);
    Recorder a(other);
    wheel.insert(a, 1ms);
    other.run_for(10ms);
    EXPECT_EQ(a.calls, 1);
    EXPECT_GE(a.called_at, Instant(edge + 500us));
    EXPECT_LT(a.called_at, Instant(edge + 500us) + kHptsSlot);
  }
}

TEST_F(HptsTest, destroyed_client_leaves_the_wheel) {
  auto a = std::make_unique<Recorder>(loop);
  auto b = std::make_unique<Recorder>(loop);
  auto c = std::make_unique<Recorder>(loop);
  hpts.insert(*a, 100us);
  hpts.insert(*b, 100us);
  hpts.insert(*c, 2s);
  a->then = [&](Recorder&) {
    b.reset();
    a.reset();  // Its own end, from within its call.
  };
  loop.run_for(1ms);
  EXPECT_EQ(hpts.queued(), 1u);
  c.reset();
  EXPECT_EQ(hpts.queued(), 0u);
  loop.run_for(3s);
}

TEST_F(HptsTest, destroyed_wheel_lets_its_clients_go) {
  Recorder a(loop), b(loop);
  {
    Hpts wheel(loop, books);
    wheel.insert(a, 100us);
    wheel.insert(b, 3s);
  }
  EXPECT_FALSE(a.in_hpts());
  EXPECT_FALSE(b.in_hpts());
  hpts.insert(a, 100us);
  loop.run_for(1ms);
  EXPECT_EQ(a.calls, 1);
}

TEST_F(HptsTest, takes_delays_without_limit) {
  Recorder a(loop), b(loop);
  hpts.insert(a, Duration::max());
  hpts.insert(b, HptsSlots(std::numeric_limits<int64_t>::max()));
  loop.run_for(10s);
  EXPECT_EQ(a.calls + b.calls, 0);
  EXPECT_EQ(hpts.queued(), 2u);
  EXPECT_GE(counters().moves, 16u);
  hpts.remove(a);
  hpts.insert(a, Duration::min());
  loop.run_for(1ms);
  EXPECT_EQ(a.calls, 1);
}

TEST_F(HptsTest, dies_when_a_client_is_inserted_twice) {
  Recorder a(loop);
  hpts.insert(a, 1ms);
  EXPECT_DEATH(hpts.insert(a, 1ms), "in_hpts");
}

TEST_F(HptsTest, memory_of_a_wheel_is_at_most_2_MiB_and_of_a_client_one_cache_line) {
  EXPECT_LE(sizeof(Hpts) + kHptsWheelSlots * sizeof(HptsClient*), size_t{2} << 20);
  EXPECT_EQ(sizeof(HptsClient), 64u);
  EXPECT_EQ(alignof(HptsClient), 64u);
}

// Packets queued by LRO: input is called, and output only when input has not considered it.
class Receiver final : public HptsClient {
 public:
  OutputConsidered does = OutputConsidered::No;
  bool from_hpts = false;
  std::string log;

 private:
  void hpts_output(Duration) override {
    from_hpts = take_hpts_calls();
    log += "output ";
  }
  OutputConsidered hpts_do_queued_segments(Duration) override {
    log += "input ";
    set_queued_segments(false);
    return does;
  }
};

TEST_F(HptsTest, considers_output_exactly_once_when_segments_are_queued) {
  Receiver a;
  const auto fire = [&] {
    a.log.clear();
    hpts.insert(a, 1ms);
    loop.run_for(1ms);
    return a.log;
  };
  EXPECT_EQ(fire(), "output ");
  a.set_queued_segments(true);
  EXPECT_EQ(fire(), "input output ");
  EXPECT_EQ(fire(), "output ");
  a.set_queued_segments(true);
  a.does = HptsClient::OutputConsidered::Yes;
  EXPECT_EQ(fire(), "input ");
}

TEST_F(HptsTest, marks_calls_as_its_own_once) {
  Receiver a;
  EXPECT_FALSE(a.take_hpts_calls());
  hpts.insert(a, 1ms);
  EXPECT_FALSE(a.take_hpts_calls()) << "waiting is not being called";
  loop.run_for(1ms);
  EXPECT_TRUE(a.from_hpts);
  EXPECT_FALSE(a.take_hpts_calls());
}

// Against a list that needs no cleverness: whatever is inserted, removed and moved, in any order
// and slot, is called once, in the order of its last insert within a slot.
TEST_F(HptsTest, any_order_of_inserts_and_removes_leaves_first_in_first_out) {
  Random random(7);
  std::vector<std::unique_ptr<Recorder>> clients;
  for (int i = 0; i < 60; ++i) {
    clients.push_back(std::make_unique<Recorder>(loop, std::to_string(i), &log));
  }
  for (int round = 0; round < 200; ++round) {
    std::vector<std::pair<int64_t, std::string>> expected;  // Slot, name; oldest insert first.
    for (int step = 0; step < 300; ++step) {
      const auto i = random.below(clients.size());
      const std::string name = std::to_string(i);
      std::erase_if(expected, [&](const auto& e) { return e.second == name; });
      Hpts::remove(*clients[i]);
      if (random.chance(0.3)) continue;
      const auto slot = static_cast<int64_t>(random.between(100, 103));
      hpts.insert(*clients[i], HptsSlots(slot));
      expected.emplace_back(slot, name);
    }
    std::stable_sort(expected.begin(), expected.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    log.clear();
    ASSERT_EQ(hpts.queued(), expected.size());
    loop.run_for(10ms);
    ASSERT_EQ(log.size(), expected.size());
    for (size_t i = 0; i < log.size(); ++i) ASSERT_EQ(log[i], expected[i].second) << round;
  }
}

}  // namespace
}  // namespace wh::pacing
