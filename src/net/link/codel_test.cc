// CoDel against drop times computed by hand, and at the edges of its conditions.
#include "net/link/codel.h"

#include <gtest/gtest.h>

#include "net/link/flow_packets.h"
#include "net/link/glance.h"

namespace wh::net {
namespace {

constexpr Instant kCodelStart = VirtualLoop::kEpoch;
using Milliseconds = std::vector<int64_t>;

class CodelTest : public ::testing::Test {
 protected:
  // Full frames that all came at `when`.
  void fill(uint32_t count, Instant when = kCodelStart) {
    for (uint32_t i = 0; i < count; ++i) {
      PacketPtr packet = raw_packet(pool, 1514, i);
      packet->enqueued = when;
      fifo.push(std::move(packet));
    }
  }
  PacketPtr take(Instant now) { return control.dequeue(fifo, config, now, counters); }
  uint64_t drops() const { return counters.dropped_for(DropReason::Codel).packets; }
  // Takes a packet at each millisecond of [from, to] after the start; answers at which of them
  // packets were dropped, once for each.
  Milliseconds drop_times(int64_t from, int64_t to) {
    Milliseconds times;
    for (int64_t ms = from; ms <= to; ++ms) {
      const uint64_t before = drops();
      EXPECT_NE(take(kCodelStart + std::chrono::milliseconds(ms)), nullptr);
      times.insert(times.end(), drops() - before, ms);
    }
    return times;
  }

  PacketPool pool;
  LinkCounters counters;
  PacketFifo fifo;
  CodelConfig config;  // Target 5 ms, interval 100 ms.
  CodelControl control;
};

TEST_F(CodelTest, drops_at_the_control_law_s_times) {
  fill(2000);
  // From 5 ms on packets have waited too long; 100 ms later the first drop. Then 100 ms,
  // 100/sqrt(2), 100/sqrt(3)... after each other, each at the first departure at or after: 205,
  // 275.71, 333.45, 383.45, 428.17, 468.99, 506.79, 542.14, 575.47, 607.10.
  EXPECT_EQ(drop_times(1, 610),
            (Milliseconds{105, 205, 276, 334, 384, 429, 469, 507, 543, 576, 608}));
  EXPECT_TRUE(control.is_dropping());
  EXPECT_EQ(control.count(), 11u);
}

TEST_F(CodelTest, waits_a_whole_interval_at_the_target_before_it_drops) {
  fill(10);
  take(kCodelStart + 5ms - 1ns);  // Below the target: nothing begins.
  take(kCodelStart + 5ms);        // At the target: the interval begins,
  take(kCodelStart + 105ms - 1ns);
  EXPECT_EQ(drops(), 0u);
  take(kCodelStart + 105ms);  // and is over.
  EXPECT_EQ(drops(), 1u);
}

TEST_F(CodelTest, one_short_wait_begins_the_interval_anew) {
  fill(3);
  fill(1, kCodelStart + 50ms);
  fill(20, kCodelStart + 50ms);
  take(kCodelStart + 10ms);
  take(kCodelStart + 20ms);
  take(kCodelStart + 50ms);
  take(kCodelStart + 50ms);  // Waited 0 ms.
  take(kCodelStart + 110ms);
  EXPECT_EQ(drops(), 0u);
  take(kCodelStart + 210ms);
  EXPECT_EQ(drops(), 1u);
}

TEST_F(CodelTest, never_drops_the_last_full_frame) {
  fill(4);
  take(kCodelStart + 10ms);   // Three remain behind it: the interval begins.
  take(kCodelStart + 200ms);  // Dropped, and the next one sent; one is left,
  EXPECT_EQ(drops(), 1u);
  ASSERT_EQ(fifo.held().packets, 1u);
  EXPECT_NE(take(kCodelStart + 10s), nullptr);  // which leaves however long it has waited.
  EXPECT_EQ(drops(), 1u);
  EXPECT_EQ(take(kCodelStart + 11s), nullptr);
}

TEST_F(CodelTest, begins_again_near_the_rate_it_had) {
  fill(2000);
  drop_times(1, 610);
  ASSERT_EQ(control.count(), 11u);
  // A short wait ends the dropping state, and the queue stands again at once.
  while (fifo.pop() != nullptr) {
  }
  fill(1, kCodelStart + 611ms);
  fill(500, kCodelStart + 612ms);
  take(kCodelStart + 612ms);
  EXPECT_FALSE(control.is_dropping());
  // The interval begins with a wait of 5 ms at 617 ms; the first drop is at 717 ms, less than 16
  // intervals after the last, so count is 11 - 1 = 10 at once: the next follows after 100/sqrt(10)
  // = 31.6 ms, 100/sqrt(11) ...
  EXPECT_EQ(drop_times(613, 810), (Milliseconds{717, 749, 779, 808}));
}

TEST_F(CodelTest, begins_slowly_after_a_long_rest) {
  fill(2000);
  drop_times(1, 610);
  while (fifo.pop() != nullptr) {
  }
  fill(1000, kCodelStart + 10s);
  take(kCodelStart + 10s);
  EXPECT_EQ(drop_times(10'001, 10'300), (Milliseconds{10'105, 10'205, 10'276}));
}

TEST_F(CodelTest, catches_up_when_several_drops_are_due) {
  fill(100);
  take(kCodelStart + 10ms);
  take(kCodelStart + 110ms);  // First drop; the next is due at 210 ms.
  take(kCodelStart + 300ms);  // Due by now: 210 and 280.71; then 338.4.
  EXPECT_EQ(drops(), 3u);
}

TEST_F(CodelTest, marks_capable_packets_instead_of_dropping_them) {
  config.ecn = Ecn::On;
  for (uint32_t i = 0; i < 300; ++i) {
    PacketPtr packet = udp_packet(pool, 1000, 1514, i % 2 == 0 ? 2 : 0);  // Every other one ECT(0).
    packet->enqueued = kCodelStart;
    fifo.push(std::move(packet));
  }
  uint64_t marked = 0, sent = 0;
  for (int64_t ms = 5; ms <= 250; ++ms) {
    PacketPtr packet = take(kCodelStart + std::chrono::milliseconds(ms));
    ASSERT_NE(packet, nullptr);
    ++sent;
    const auto ip = Ip4View::parse(packet->head().subspan(14), packet->size() - 14);
    ASSERT_TRUE(ip);  // Its header checksum included.
    marked += ip->ecn() == kEcnCongestionExperienced ? 1u : 0u;
  }
  EXPECT_EQ(marked, counters.marked);
  EXPECT_EQ(counters.marked + drops(), 2u);  // Due at 105 and 205 ms, whichever way.
  EXPECT_EQ(sent + drops() + fifo.held().packets, 300u);
}

TEST_F(CodelTest, queue_is_bounded) {
  Codel codel(config, {.packets = 3}, counters);
  for (uint32_t i = 0; i < 4; ++i) codel.enqueue(raw_packet(pool, 100, i));
  EXPECT_EQ(counters.dropped_for(DropReason::QueueFull), (Tally{1, 100}));
  EXPECT_EQ(codel.held(), (Tally{3, 300}));
}

}  // namespace
}  // namespace wh::net
