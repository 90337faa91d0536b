// The slotted link: everything waits for its slot and leaves at once.
#include "net/link/slot_transmitter.h"

#include <gtest/gtest.h>

#include "net/link/delay_line.h"
#include "net/link/drop_tail.h"
#include "net/link/link.h"
#include "net/link/link_test_support.h"

namespace wh::net {
namespace {

using Times = std::vector<int64_t>;
using Numbers = std::vector<uint32_t>;
constexpr int64_t kMs = 1'000'000;

class SlotTransmitterTest : public ::testing::Test {
 protected:
  std::unique_ptr<SlotTransmitter> make(Duration period, Rate rate = Rate::infinite(),
                                        QueueLimit limit = {}) {
    return std::make_unique<SlotTransmitter>(
        period, rate, loop, std::make_unique<DropTail>(limit, counters), counters, wire);
  }
  void send(SlotTransmitter& t, uint32_t size, uint32_t number = 0) {
    t.accept(raw_packet(pool, size, number));
  }
  void run_to(Duration since_start) { loop.run_until(VirtualLoop::kEpoch + since_start); }

  VirtualLoop loop;
  PacketPool pool;
  LinkCounters counters;
  Recorder end{loop};
  DelayLine wire{{}, loop, Random(0), counters, end};  // Without delay.
};

TEST_F(SlotTransmitterTest, holds_everything_until_its_slot) {
  auto t = make(5ms);
  send(*t, 100, 0);
  run_to(2ms);
  send(*t, 100, 1);
  run_to(5ms - 1ns);
  EXPECT_TRUE(end.arrivals.empty());
  send(*t, 100, 2);
  run_to(6ms);
  EXPECT_EQ(end.times(), (Times{5 * kMs, 5 * kMs, 5 * kMs}));
  send(*t, 100, 3);
  loop.run();
  EXPECT_EQ(end.times().back(), 10 * kMs);
  EXPECT_EQ(loop.timers_armed(), 0u);
}

TEST_F(SlotTransmitterTest, packet_at_the_instant_of_a_slot_waits_for_the_next) {
  auto t = make(5ms);
  Timer sender(loop, [&] { send(*t, 100, 1); });
  sender.arm(VirtualLoop::kEpoch + 5ms);  // Armed before the slot's own timer.
  send(*t, 100, 0);
  run_to(5ms);
  send(*t, 100, 2);
  loop.run();
  EXPECT_EQ(end.numbers(), (Numbers{0, 1, 2}));
  EXPECT_EQ(end.times(), (Times{5 * kMs, 10 * kMs, 10 * kMs}));
}

TEST_F(SlotTransmitterTest, far_end_receives_one_frame) {
  Link link(MUST(parse_link_config("slot=5ms,delay=20ms")), {"a"}, {"b"}, loop, pool, Random(1));
  link.b().attach(&end);
  for (uint32_t i = 0; i < 10; ++i) {
    link.a().transmit(frame_of(raw_packet(pool, 66, i)));
    loop.run_for(100us);
  }
  loop.run();
  ASSERT_EQ(end.arrivals.size(), 10u);
  for (const auto& a : end.arrivals) {
    EXPECT_EQ(a.when, VirtualLoop::kEpoch + 25ms);
    EXPECT_EQ(a.frame, 0u);
  }
}

TEST_F(SlotTransmitterTest, finite_rate_grants_its_bytes_at_each_slot) {
  auto t = make(10ms, 1_Mbps);  // 1250 bytes a slot.
  for (uint32_t i = 0; i < 4; ++i) send(*t, 1000, i);
  loop.run();
  // 10 ms: 1250, two packets leave 750 ahead. 20 ms: 500 left, one. 30 ms: 750 left, one.
  EXPECT_EQ(end.times(), (Times{10 * kMs, 10 * kMs, 20 * kMs, 30 * kMs}));
}

TEST_F(SlotTransmitterTest, full_link_delivers_its_rate) {
  auto t = make(7ms, Rate::bits_per_second(3'333'333));
  for (uint32_t i = 0; i < 3000; ++i) send(*t, 60 + (i * 31) % 1455, i);
  run_to(5s);
  ASSERT_GT(t->queue().held().packets, 0u);
  EXPECT_NEAR(static_cast<double>(counters.transmitted.bytes), t->capacity_bytes(), 1514);
}

// A loop that looks at its timers every 2.5 ms, as one of a processor that is busy elsewhere.
class SluggishLoop final : public Loop {
 public:
  SluggishLoop() : Loop(VirtualLoop::kEpoch) {}
  bool run_until(Instant deadline) override {
    while (now() < deadline) {
      set_now(now() + 2'500us);
      while (next_deadline() <= now()) fire_next();
    }
    return true;
  }
};

TEST_F(SlotTransmitterTest, full_link_delivers_its_rate_though_the_loop_is_late) {
  SluggishLoop late;
  Recorder far_end{late};
  DelayLine line{{}, late, Random(0), counters, far_end};
  SlotTransmitter t(1ms, 10_Mbps, late, std::make_unique<DropTail>(QueueLimit{}, counters),
                    counters, line);
  for (uint32_t i = 0; i < 3000; ++i) t.accept(raw_packet(pool, 60 + (i * 31) % 1455, i));
  late.run_until(VirtualLoop::kEpoch + 1s);
  ASSERT_GT(t.queue().held().packets, 0u);
  EXPECT_NEAR(static_cast<double>(counters.transmitted.bytes), t.capacity_bytes(), 1514);
}

TEST_F(SlotTransmitterTest, grants_that_found_nothing_are_lost_but_pay_off_debt) {
  auto t = make(10ms, 1_Mbps);
  run_to(95ms);
  for (uint32_t i = 0; i < 3; ++i) send(*t, 1500, i);
  run_to(100ms);
  EXPECT_EQ(end.arrivals.size(), 1u);  // 1250 granted, 250 in debt; not nine slots' worth.
  run_to(110ms);
  EXPECT_EQ(end.arrivals.size(), 2u);  // 1000 left, 500 in debt.
  run_to(200ms);
  EXPECT_EQ(end.times().back(), 120 * kMs);
  send(*t, 1250, 3);
  send(*t, 100, 4);
  loop.run();
  EXPECT_EQ(end.times()[3], 210 * kMs);
  EXPECT_EQ(end.times()[4], 220 * kMs);
}

TEST_F(SlotTransmitterTest, queue_is_bounded_and_down_keeps_it) {
  auto t = make(5ms, Rate::infinite(), {.packets = 2});
  for (uint32_t i = 0; i < 3; ++i) send(*t, 100, i);
  EXPECT_EQ(counters.dropped_for(DropReason::QueueFull), (Tally{1, 100}));
  t->set_up(false);
  run_to(12ms);
  EXPECT_TRUE(end.arrivals.empty());
  t->set_up(true);
  loop.run();
  EXPECT_EQ(end.times(), (Times{15 * kMs, 15 * kMs}));
}

}  // namespace
}  // namespace wh::net
