// Propagation: with and without jitter, in order and out of it.
#include "net/link/delay_line.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "net/link/link_test_support.h"
#include "net/link/scatter_line.h"

namespace wh::net {
namespace {

using Times = std::vector<int64_t>;

class DelayLineTest : public ::testing::Test {
 protected:
  VirtualLoop loop;
  PacketPool pool;
  LinkCounters counters;
  Recorder end{loop};
};

TEST_F(DelayLineTest, delivers_each_packet_exactly_the_delay_later) {
  DelayLine line({.delay = 10ms}, loop, Random(1), counters, end);
  for (uint32_t i = 0; i < 3; ++i) {
    line.accept(raw_packet(pool, 100, i));
    loop.run_for(1ns);
  }
  loop.run_until(VirtualLoop::kEpoch + 10ms - 1ns);
  EXPECT_TRUE(end.arrivals.empty());
  EXPECT_EQ(line.held(), (Tally{3, 300}));
  loop.run();
  EXPECT_EQ(end.times(), (Times{10'000'000, 10'000'001, 10'000'002}));
  EXPECT_EQ(counters.delivered, (Tally{3, 300}));
  EXPECT_EQ(loop.timers_armed(), 0u);
}

TEST_F(DelayLineTest, what_is_due_together_arrives_as_one_frame) {
  DelayLine line({.delay = 1ms}, loop, Random(1), counters, end);
  for (uint32_t i = 0; i < Frame::kCapacity + 1; ++i) line.accept(raw_packet(pool, 60, i));
  loop.run();
  ASSERT_EQ(end.arrivals.size(), Frame::kCapacity + 1);
  EXPECT_EQ(end.arrivals[Frame::kCapacity - 1].frame, 0u);
  EXPECT_EQ(end.arrivals[Frame::kCapacity].frame, 1u);
  EXPECT_EQ(end.times().back(), 1'000'000);
}

TEST_F(DelayLineTest, without_delay_the_receiver_runs_after_the_sender) {
  DelayLine line({}, loop, Random(1), counters, end);
  line.accept(raw_packet(pool, 60));
  EXPECT_TRUE(end.arrivals.empty());
  loop.run();
  EXPECT_EQ(end.times(), (Times{0}));
}

TEST_F(DelayLineTest, drops_what_exceeds_the_limit) {
  DelayLine line({.delay = 1ms, .limit = 2}, loop, Random(1), counters, end);
  for (uint32_t i = 0; i < 3; ++i) line.accept(raw_packet(pool, 60, i));
  EXPECT_EQ(counters.dropped_for(DropReason::WireFull), (Tally{1, 60}));
  loop.run();
  EXPECT_EQ(end.numbers(), (std::vector<uint32_t>{0, 1}));
}

TEST_F(DelayLineTest, jitter_stays_in_its_range_and_keeps_order) {
  DelayLine line({.delay = 10ms, .jitter = 2ms}, loop, Random(7), counters, end);
  std::vector<Instant> sent;
  for (uint32_t i = 0; i < 1000; ++i) {
    sent.push_back(loop.now());
    line.accept(raw_packet(pool, 60, i));
    loop.run_for(100us);
  }
  loop.run();
  ASSERT_EQ(end.arrivals.size(), 1000u);
  Duration least = 1h, most = 0h;
  for (uint32_t i = 0; i < 1000; ++i) {
    ASSERT_EQ(end.arrivals[i].number, i);
    const Duration took = end.arrivals[i].when - sent[i];
    least = std::min(least, took), most = std::max(most, took);
  }
  EXPECT_GE(least, 10ms);
  EXPECT_LE(most, 12ms);
  EXPECT_LT(least, 10500us);
  EXPECT_GT(most, 11900us);
}

TEST_F(DelayLineTest, scattered_packets_overtake_and_have_the_mean_delay) {
  ScatterLine line({.delay = 10ms, .jitter = 2ms}, loop, Random(7), counters, end);
  std::vector<Instant> sent;
  for (uint32_t i = 0; i < 2000; ++i) {
    sent.push_back(loop.now());
    line.accept(raw_packet(pool, 60, i));
    loop.run_for(100us);
  }
  loop.run();
  ASSERT_EQ(end.arrivals.size(), 2000u);
  EXPECT_EQ(line.held(), Tally{});
  Duration sum{};
  for (const auto& a : end.arrivals) {
    const Duration took = a.when - sent[a.number];
    ASSERT_TRUE(took >= 10ms && took <= 12ms);
    sum += took;
  }
  EXPECT_NEAR(to_ms(sum / 2000), 11.0, 0.05);
  const auto numbers = end.numbers();
  EXPECT_FALSE(std::is_sorted(numbers.begin(), numbers.end()));
}

TEST_F(DelayLineTest, scatter_drops_what_exceeds_the_limit_and_frees_what_is_left) {
  auto line = std::make_unique<ScatterLine>(DelayConfig{.delay = 1ms, .jitter = 1us, .limit = 2},
                                            loop, Random(1), counters, end);
  for (uint32_t i = 0; i < 3; ++i) line->accept(raw_packet(pool, 60, i));
  EXPECT_EQ(counters.dropped_for(DropReason::WireFull).packets, 1u);
  EXPECT_EQ(pool.in_use(), 2u);
  line.reset();
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST_F(DelayLineTest, sender_that_answers_at_once_does_not_recurse) {
  // A receiver that sends into the same line again while it is being handed a frame.
  struct Echo final : FrameSink {
    void accept(Frame&& frame) override {
      ++depth;
      EXPECT_EQ(depth, 1);
      if (++rounds < 5) line->accept(frame.take(0));
      --depth;
    }
    DelayLine* line = nullptr;
    int depth = 0, rounds = 0;
  } echo;
  DelayLine line({}, loop, Random(1), counters, echo);
  echo.line = &line;
  line.accept(raw_packet(pool, 60));
  loop.run();
  EXPECT_EQ(echo.rounds, 5);
}

}  // namespace
}  // namespace wh::net
