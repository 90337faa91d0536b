// Traces: what a file may be, and when packets leave a link that follows one.
#include "net/link/trace.h"

#include <gtest/gtest.h>

#include "core/random.h"
#include "net/link/delay_line.h"
#include "net/link/drop_tail.h"
#include "net/link/link_test_support.h"
#include "net/link/trace_transmitter.h"

namespace wh::net {
namespace {

using Times = std::vector<int64_t>;
using Numbers = std::vector<uint32_t>;
constexpr int64_t kTraceMs = 1'000'000;

std::string trace_error(std::string_view text) {
  const auto trace = Trace::parse(text);
  return trace ? "accepted" : trace.error().text;
}

TEST(Trace, reads_one_number_a_line) {
  const Trace trace = MUST(Trace::parse("0\n0\n3\n5\n"));
  EXPECT_EQ(trace.size(), 4u);
  EXPECT_EQ(trace.at(2), 3ms);
  EXPECT_EQ(trace.period(), 5ms);
  EXPECT_EQ(trace.mean_rate(), Rate::of(Bytes(4 * 1514), 5ms));
  EXPECT_EQ(MUST(Trace::parse("7")).period(), 7ms);  // The last line's end may be missing.
}

TEST(Trace, finds_opportunities_around_a_time) {
  const Trace trace = MUST(Trace::parse("0\n0\n3\n5\n"));
  EXPECT_EQ(trace.first_after(0ns), 2u);
  EXPECT_EQ(trace.first_after(3ms - 1ns), 2u);
  EXPECT_EQ(trace.first_after(3ms), 3u);
  EXPECT_EQ(trace.first_after(5ms), 4u);
  EXPECT_EQ(trace.count_until(-1ns), 0u);
  EXPECT_EQ(trace.count_until(0ns), 2u);
  EXPECT_EQ(trace.count_until(5ms - 1ns), 3u);
  EXPECT_EQ(trace.count_until(5ms), 6u);  // The end, and the two of the next period's beginning.
  EXPECT_EQ(trace.count_until(10ms), 10u);
}

TEST(Trace, refuses_bad_files_with_the_line) {
  EXPECT_EQ(trace_error(""),
            "the trace is empty; accepted: whole milliseconds, not decreasing, one a line");
  EXPECT_EQ(trace_error("0\n0\n"),
            "line 2: the trace ends at 0, so its period is zero; accepted: a last line above 0");
  EXPECT_EQ(trace_error("1\n5\n4\n"),
            "line 3: 4 after 5; accepted: whole milliseconds, not decreasing, one a line");
  EXPECT_NE(trace_error("1\n\n2\n").find("line 2: empty"), std::string::npos);
  EXPECT_NE(trace_error("\n").find("line 1: empty"), std::string::npos);
  EXPECT_EQ(Trace::parse("1\r\n25\r\n").value().size(), 2u);  // Lines as other systems end them.
  EXPECT_NE(trace_error("1\n2.5\n").find("line 2: '2.5' is not a whole number"), std::string::npos);
  EXPECT_NE(trace_error(" 1\n").find("line 1: "), std::string::npos);
  EXPECT_NE(trace_error("-1\n").find("line 1: "), std::string::npos);
  EXPECT_EQ(trace_error("1000000000\n"), "accepted");
  EXPECT_NE(trace_error("1000000001\n").find("too large"), std::string::npos);
  EXPECT_NE(trace_error("99999999999999999999\n").find("too large"), std::string::npos);
}

class TraceTransmitterTest : public ::testing::Test {
 protected:
  std::unique_ptr<TraceTransmitter> make(std::string_view text, QueueLimit limit = {}) {
    return std::make_unique<TraceTransmitter>(
        std::make_shared<const Trace>(MUST(Trace::parse(text))), loop,
        std::make_unique<DropTail>(limit, counters), counters, wire);
  }
  void send(TraceTransmitter& t, uint32_t size, uint32_t number = 0) {
    t.accept(raw_packet(pool, size, number));
  }
  void run_to(Duration since_start) { loop.run_until(VirtualLoop::kEpoch + since_start); }

  VirtualLoop loop;
  PacketPool pool;
  LinkCounters counters;
  Recorder end{loop};
  DelayLine wire{{}, loop, Random(0), counters, end};  // Without delay.
};

TEST_F(TraceTransmitterTest, full_frame_takes_one_opportunity) {
  auto t = make("2\n3\n3\n7\n");
  for (uint32_t i = 0; i < 5; ++i) send(*t, 1514, i);
  loop.run();
  // 2, 3, 3, 7, and 2 ms into the next period, which begins at 7.
  EXPECT_EQ(end.times(),
            (Times{2 * kTraceMs, 3 * kTraceMs, 3 * kTraceMs, 7 * kTraceMs, 9 * kTraceMs}));
  EXPECT_EQ(loop.timers_armed(), 0u);
}

TEST_F(TraceTransmitterTest, small_packets_share_an_opportunity_and_big_ones_take_several) {
  auto t = make("1\n2\n3\n4\n");
  send(*t, 500, 0);
  send(*t, 500, 1);
  send(*t, 600, 2);   // 514 bytes at 1 ms, the other 86 at 2 ms;
  send(*t, 3000, 3);  // 1428 at 2 ms, 1514 at 3 ms, 58 at 4 ms.
  loop.run();
  EXPECT_EQ(end.times(), (Times{kTraceMs, kTraceMs, 2 * kTraceMs, 4 * kTraceMs}));
}

TEST_F(TraceTransmitterTest, rest_of_an_opportunity_is_lost_when_nothing_waits) {
  auto t = make("1\n2\n3\n");
  send(*t, 100, 0);
  run_to(1ms);
  send(*t, 1514, 1);
  loop.run();
  EXPECT_EQ(end.times(), (Times{kTraceMs, 2 * kTraceMs}));
}

TEST_F(TraceTransmitterTest, opportunities_that_find_nothing_are_lost) {
  auto t = make("1\n1\n1\n5\n");
  run_to(2ms);
  for (uint32_t i = 0; i < 2; ++i) send(*t, 1514, i);
  loop.run();
  EXPECT_EQ(end.times(), (Times{5 * kTraceMs, 6 * kTraceMs}));
}

TEST_F(TraceTransmitterTest, packet_at_the_instant_of_an_opportunity_waits_for_the_next) {
  auto t = make("1\n2\n");
  send(*t, 1000, 0);
  // Two packets at 1 ms: whether the loop runs the sender or the link first, the packet waits.
  Timer before(loop, [&] { send(*t, 100, 1); });
  before.arm(VirtualLoop::kEpoch + 1ms);
  run_to(1ms);
  send(*t, 100, 2);
  EXPECT_EQ(end.numbers(), (Numbers{0}));
  loop.run();
  EXPECT_EQ(end.times(), (Times{kTraceMs, 2 * kTraceMs, 2 * kTraceMs}));
}

TEST_F(TraceTransmitterTest, packet_before_an_opportunity_uses_it) {
  auto t = make("1\n2\n");
  run_to(1ms - 1ns);
  send(*t, 100, 0);
  loop.run();
  EXPECT_EQ(end.times(), (Times{kTraceMs}));
}

TEST_F(TraceTransmitterTest, idle_for_long_costs_nothing_and_keeps_the_phase) {
  auto t = make("0\n400\n1000\n");
  run_to(std::chrono::hours(24 * 365) + 500ms);
  const Instant start = loop.now();
  const auto events = loop.events_handled();
  send(*t, 1514, 0);
  send(*t, 1514, 1);
  send(*t, 1514, 2);
  loop.run();
  // At 1000 two at once: the end of one period and the beginning of the next.
  EXPECT_EQ(end.times(start), (Times{500 * kTraceMs, 500 * kTraceMs, 900 * kTraceMs}));
  EXPECT_LE(loop.events_handled() - events, 4u);  // Two opportunities, two deliveries.
}

TEST_F(TraceTransmitterTest, full_link_uses_every_opportunity) {
  std::string text;
  Random random(11);
  uint64_t ms = 0;
  for (int i = 0; i < 300; ++i) text += std::to_string(ms += random.below(4)) + "\n";
  const Trace trace = MUST(Trace::parse(text));
  auto t = make(text);
  for (uint32_t i = 0; i < 2000; ++i) send(*t, 60 + i % 1455, i);
  run_to(trace.period() * 2);
  EXPECT_GT(t->queue().held().packets, 0u);
  // Every byte of every opportunity but those at time 0, at which nothing waited yet.
  const uint64_t used = trace.count_until(trace.period() * 2) - trace.count_until(0ns);
  const uint64_t carried = counters.transmitted.bytes;
  EXPECT_LE(carried, used * 1514);
  EXPECT_GT(carried + 1514, used * 1514);
  EXPECT_EQ(t->capacity_bytes(), static_cast<double>(trace.count_until(trace.period() * 2)) * 1514);
}

TEST_F(TraceTransmitterTest, down_lets_opportunities_pass_and_keeps_what_was_sent) {
  auto t = make("1\n2\n3\n4\n5\n6\n");
  send(*t, 2000, 0);  // 1514 at 1 ms; the rest was due at 2 ms.
  send(*t, 1514, 1);
  run_to(1500us);
  t->set_up(false);
  run_to(4500us);
  EXPECT_TRUE(end.arrivals.empty());
  EXPECT_EQ(t->in_service(), (Tally{1, 2000}));
  t->set_up(true);
  loop.run();
  EXPECT_EQ(end.times(), (Times{5 * kTraceMs, 6 * kTraceMs}));
}

TEST_F(TraceTransmitterTest, queue_is_bounded) {
  auto t = make("1000\n", {.packets = 2});
  for (uint32_t i = 0; i < 3; ++i) send(*t, 100, i);
  EXPECT_EQ(counters.dropped_for(DropReason::QueueFull), (Tally{1, 100}));
}

}  // namespace
}  // namespace wh::net
