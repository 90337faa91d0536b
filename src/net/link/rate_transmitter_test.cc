// The fixed-rate transmitter, to the nanosecond and over hours.
#include "net/link/rate_transmitter.h"

#include <gtest/gtest.h>

#include "net/link/delay_line.h"
#include "net/link/drop_tail.h"
#include "net/link/link_test_support.h"

namespace wh::net {
namespace {

using Times = std::vector<int64_t>;

class RateTransmitterTest : public ::testing::Test {
 protected:
  std::unique_ptr<RateTransmitter> make(Rate rate, QueueLimit limit = {}) {
    return std::make_unique<RateTransmitter>(
        rate, loop, std::make_unique<DropTail>(limit, counters), counters, wire);
  }
  void send(RateTransmitter& t, uint32_t size, uint32_t number = 0) {
    t.accept(raw_packet(pool, size, number));
  }
  void run_to(Duration since_start) { loop.run_until(VirtualLoop::kEpoch + since_start); }

  VirtualLoop loop;
  PacketPool pool;
  LinkCounters counters;
  Recorder end{loop};
  DelayLine wire{{}, loop, Random(0), counters, end};  // Without delay.
};

TEST_F(RateTransmitterTest, sends_back_to_back_in_size_over_rate) {
  auto t = make(40_Mbps);
  for (uint32_t i = 0; i < 3; ++i) send(*t, 1514, i);
  loop.run();
  // 1514 * 8 bits / 40 Mbit/s = 302,800 ns.
  EXPECT_EQ(end.times(), (Times{302'800, 605'600, 908'400}));
  EXPECT_EQ(end.numbers(), (std::vector<uint32_t>{0, 1, 2}));
  EXPECT_EQ(counters.busy_ns, 908'400u);
}

TEST_F(RateTransmitterTest, rounds_up_once_however_long_the_busy_period) {
  auto t = make(Rate::bits_per_second(3));
  // 18 bytes at 3 bit/s take 48 s; at 7 bit/s 20.571428571428... s each.
  send(*t, 18);
  loop.run();
  EXPECT_EQ(end.times(), (Times{48'000'000'000}));
  end.arrivals.clear();
  t = make(Rate::bits_per_second(7));
  const Instant start = loop.now();
  for (int i = 0; i < 7; ++i) send(*t, 18);
  loop.run();
  EXPECT_EQ(end.times(start),
            (Times{20'571'428'572, 41'142'857'143, 61'714'285'715, 82'285'714'286, 102'857'142'858,
                   123'428'571'429, 144'000'000'000}));  // The seventh is whole again.
}

TEST_F(RateTransmitterTest, starts_a_packet_no_earlier_than_it_came) {
  auto t = make(Rate::bits_per_second(7'000'000'000));
  send(*t, 18);  // Until 20.57 ns: the event is at 21 ns.
  Timer second(loop, [&] { send(*t, 18, 1); });
  second.arm(loop.now() + 21ns);
  loop.run();
  // It came at 21 ns, after the exact end of the first: 21 + 20.57, not 41.14.
  EXPECT_EQ(end.times(), (Times{21, 42}));
}

TEST_F(RateTransmitterTest, idle_time_is_not_made_up_for) {
  auto t = make(40_Mbps);
  send(*t, 1514);
  run_to(1ms);
  send(*t, 1514);
  loop.run();
  EXPECT_EQ(end.times(), (Times{302'800, 1'302'800}));
  EXPECT_EQ(counters.busy_ns, 605'600u);
}

TEST_F(RateTransmitterTest, full_link_delivers_exactly_its_rate) {
  for (const uint64_t bps : {1'000'003u, 9'999'991u, 40'000'000u, 123'456'789u, 999'999'937u}) {
    VirtualLoop own;
    Recorder sink(own);
    LinkCounters c;
    DelayLine line({}, own, Random(0), c, sink);
    RateTransmitter t(Rate::bits_per_second(bps), own, std::make_unique<DropTail>(QueueLimit{}, c),
                      c, line);
    int64_t bits = 0;
    for (uint32_t i = 0; i < 5000; ++i) {
      const uint32_t size = 60 + (i * 977) % 1455;
      t.accept(raw_packet(pool, size, i));
      bits += int64_t{size} * 8;
    }
    own.run();
    // After all of them: the total, divided once and rounded up once.
    const Int128 exact = (Int128(bits) * 1'000'000'000 + bps - 1) / bps;
    EXPECT_EQ(sink.times().back(), static_cast<int64_t>(exact)) << bps << " bit/s";
    EXPECT_EQ(c.busy_ns, static_cast<uint64_t>(exact));
  }
}

TEST_F(RateTransmitterTest, waits_only_for_the_queue_in_front) {
  auto t = make(40_Mbps);
  send(*t, 1514);
  send(*t, 1514);
  run_to(100us);
  send(*t, 64);
  loop.run();
  // 0, 302,800 and 605,600 - 100,000 ns of waiting.
  EXPECT_EQ(counters.queue_ns.count(), 3u);
  EXPECT_EQ(counters.queue_ns.min(), 0u);
  EXPECT_EQ(counters.queue_ns.max(), 505'600u);
  EXPECT_DOUBLE_EQ(counters.queue_ns.mean(), (0 + 302'800 + 505'600) / 3.0);
}

TEST_F(RateTransmitterTest, queue_takes_its_limit_and_drops_the_next) {
  auto t = make(1_Mbps, {.bytes = Bytes(3000)});
  send(*t, 1000);                              // On the transmitter, not in the queue.
  for (int i = 0; i < 3; ++i) send(*t, 1000);  // 3000 bytes wait,
  EXPECT_EQ(counters.all_dropped().packets, 0u);
  send(*t, 18);  // and 18 more do not fit.
  EXPECT_EQ(counters.dropped_for(DropReason::QueueFull), (Tally{1, 18}));
  EXPECT_EQ(counters.backlog, (Tally{3, 3000}));
  EXPECT_EQ(counters.peak, (Tally{3, 3000}));
  loop.run();
  EXPECT_EQ(counters.transmitted, (Tally{4, 4000}));
  EXPECT_EQ(counters.backlog, Tally{});
}

TEST_F(RateTransmitterTest, queue_limit_in_packets) {
  auto t = make(1_Mbps, {.packets = 2});
  for (uint32_t i = 0; i < 4; ++i) send(*t, 100 + i, i);
  EXPECT_EQ(counters.dropped_for(DropReason::QueueFull), (Tally{1, 103}));
  loop.run();
  EXPECT_EQ(end.numbers(), (std::vector<uint32_t>{0, 1, 2}));
}

TEST_F(RateTransmitterTest, infinite_rate_sends_as_it_comes) {
  auto t = make(Rate::infinite(), {.packets = 1});
  for (uint32_t i = 0; i < 5; ++i) send(*t, 1514, i);
  loop.run();
  EXPECT_EQ(end.times(), (Times{0, 0, 0, 0, 0}));
  EXPECT_EQ(t->capacity_bytes(), 0);
}

TEST_F(RateTransmitterTest, new_rate_applies_from_the_next_packet_on) {
  auto t = make(1_Mbps);
  send(*t, 1000, 0);  // 8 ms at 1 Mbps.
  send(*t, 1000, 1);
  run_to(4ms);
  EXPECT_DOUBLE_EQ(t->sent_bytes(), 500);
  t->set_rate(4_Mbps);  // 2 ms.
  loop.run();
  EXPECT_EQ(end.times(), (Times{8'000'000, 10'000'000}));
  EXPECT_DOUBLE_EQ(t->capacity_bytes(), 500 + 3000);
}

TEST_F(RateTransmitterTest, infinite_rate_empties_the_queue_and_finite_again_starts_now) {
  auto t = make(1_Mbps);
  for (uint32_t i = 0; i < 3; ++i) send(*t, 1000, i);
  run_to(4ms);
  t->set_rate(Rate::infinite());
  run_to(9ms);
  EXPECT_EQ(end.times(), (Times{8'000'000, 8'000'000, 8'000'000}));
  t->set_rate(8_Mbps);
  send(*t, 1000, 3);
  loop.run();
  EXPECT_EQ(end.times().back(), 10'000'000);
}

TEST_F(RateTransmitterTest, down_finishes_the_packet_and_holds_the_queue) {
  auto t = make(1_Mbps, {.packets = 2});
  for (uint32_t i = 0; i < 3; ++i) send(*t, 1000, i);
  run_to(1ms);
  t->set_up(false);
  run_to(100ms);
  EXPECT_EQ(end.times(), (Times{8'000'000}));
  send(*t, 1000, 3);  // The queue is full.
  EXPECT_EQ(counters.dropped_for(DropReason::QueueFull).packets, 1u);
  t->set_up(true);
  loop.run();
  EXPECT_EQ(end.times(), (Times{8'000'000, 108'000'000, 116'000'000}));
}

TEST_F(RateTransmitterTest, down_and_up_within_one_packet_changes_nothing) {
  auto t = make(1_Mbps);
  send(*t, 1000, 0);
  send(*t, 1000, 1);
  run_to(1ms);
  t->set_up(false);
  run_to(2ms);
  t->set_up(true);
  loop.run();
  EXPECT_EQ(end.times(), (Times{8'000'000, 16'000'000}));
}

using RateTransmitterDeathTest = RateTransmitterTest;
TEST_F(RateTransmitterDeathTest, zero_rate_is_a_bug) {
  EXPECT_DEATH((void)make(Rate()), "is_zero");
  auto t = make(1_Mbps);
  EXPECT_DEATH(t->set_rate(Rate()), "is_zero");
}

}  // namespace
}  // namespace wh::net
