// Loss, loss in bursts, duplication and reordering: their rates, their boundaries, what they count.
#include <gtest/gtest.h>

#include <cmath>

#include "net/link/duplicate.h"
#include "net/link/gilbert_elliott.h"
#include "net/link/link_test_support.h"
#include "net/link/loss.h"
#include "net/link/reorder.h"

namespace wh::net {
namespace {

using Numbers = std::vector<uint32_t>;
constexpr uint64_t kImpairmentSeed = 20240917;

class ImpairmentTest : public ::testing::Test {
 protected:
  void send(PacketSink& stage, uint32_t count, uint32_t from = 0) {
    for (uint32_t i = 0; i < count; ++i) stage.accept(raw_packet(pool, 100, from + i));
  }
  VirtualLoop loop;
  PacketPool pool{5000};
  LinkCounters counters;
  Recorder end{loop};
};

TEST_F(ImpairmentTest, loss_of_none_and_all) {
  Loss none({}, Random(kImpairmentSeed), counters, end);
  send(none, 100);
  EXPECT_EQ(end.arrivals.size(), 100u);
  Loss all(Probability::percent(100), Random(kImpairmentSeed), counters, end);
  send(all, 100);
  EXPECT_EQ(end.arrivals.size(), 100u);
  EXPECT_EQ(counters.dropped_for(DropReason::Loss), (Tally{100, 10'000}));
}

TEST_F(ImpairmentTest, loss_has_its_rate) {
  SCOPED_TRACE(fmt::format("seed {}", kImpairmentSeed));
  Loss loss(Probability::percent(2), Random(kImpairmentSeed), counters, end);
  constexpr uint32_t kPackets = 200'000;
  send(loss, kPackets);
  // Five standard deviations of the binomial: 5 * sqrt(n p (1 - p)) = 313.
  EXPECT_NEAR(static_cast<double>(counters.all_dropped().packets), 4000, 313);
}

TEST_F(ImpairmentTest, bursts_have_their_rate_and_length) {
  SCOPED_TRACE(fmt::format("seed {}", kImpairmentSeed));
  const GilbertElliottConfig config{Probability::percent(1), Probability::percent(25)};
  GilbertElliott ge(config, Random(kImpairmentSeed), counters, end);
  constexpr uint32_t kPackets = 500'000;
  send(ge, kPackets);
  // Stationary: p / (p + r) = 1/26. A burst is 1/r = 4 packets long on average.
  const double lost = static_cast<double>(counters.dropped_for(DropReason::GilbertElliott).packets);
  EXPECT_NEAR(lost / kPackets, 1.0 / 26, 0.0025);
  double bursts = 0;
  uint32_t expected = 0;
  for (const auto& a : end.arrivals) {
    if (a.number != expected) ++bursts;
    expected = a.number + 1;
  }
  EXPECT_NEAR(lost / bursts, 4.0, 0.2);
}

TEST_F(ImpairmentTest, burst_channel_loses_by_state) {
  SCOPED_TRACE(fmt::format("seed {}", kImpairmentSeed));
  const GilbertElliottConfig config{Probability::percent(10), Probability::percent(10),
                                    Probability::percent(50), Probability::percent(2)};
  GilbertElliott ge(config, Random(kImpairmentSeed), counters, end);
  constexpr uint32_t kPackets = 300'000;
  send(ge, kPackets);
  const double lost = static_cast<double>(counters.all_dropped().packets);
  EXPECT_NEAR(lost / kPackets, 0.5 * 0.5 + 0.5 * 0.02, 0.006);
}

TEST_F(ImpairmentTest, channel_that_turns_bad_for_good_takes_its_step_first) {
  GilbertElliott ge({Probability::percent(100), Probability{}}, Random(kImpairmentSeed), counters,
                    end);
  send(ge, 3);
  EXPECT_TRUE(end.arrivals.empty());
  EXPECT_TRUE(ge.is_bad());
}

TEST_F(ImpairmentTest, duplicate_follows_its_original_and_is_its_equal) {
  Duplicate twice(Probability::percent(100), pool, Random(kImpairmentSeed), counters, end);
  send(twice, 2);
  EXPECT_EQ(end.numbers(), (Numbers{0, 0, 1, 1}));
  EXPECT_EQ(counters.duplicated, (Tally{2, 200}));
}

TEST_F(ImpairmentTest, packet_passes_alone_when_the_pool_has_no_copy) {
  PacketPool small(64);
  Duplicate twice(Probability::percent(100), small, Random(kImpairmentSeed), counters, end);
  end.keep_packets();
  for (uint32_t i = 0; i < 64; ++i) {
    if (small.in_use() == 64) break;
    twice.accept(raw_packet(small, 100, i));
  }
  EXPECT_EQ(small.in_use(), 64u);
  EXPECT_EQ(counters.duplicate_failed, 0u);
  twice.accept(std::move(end.kept.back()));
  end.kept.resize(63);
  // One is free now, taken by the next packet itself: nothing is left for its copy.
  const auto before = counters.duplicate_failed;
  twice.accept(raw_packet(small, 100, 99));
  EXPECT_EQ(counters.duplicate_failed, before + 1);
  EXPECT_EQ(end.numbers().back(), 99u);
  end.kept.clear();
}

TEST_F(ImpairmentTest, held_packet_goes_when_its_time_is_over) {
  Reorder late({Probability::percent(100), 2, 10ms}, loop, Random(kImpairmentSeed), counters, end);
  late.accept(raw_packet(pool, 100, 0));
  EXPECT_EQ(late.held(), (Tally{1, 100}));
  EXPECT_TRUE(end.arrivals.empty());
  EXPECT_EQ(counters.reordered, 1u);
  loop.run_for(10ms - 1ns);
  EXPECT_TRUE(end.arrivals.empty());
  loop.run_for(1ns);
  EXPECT_EQ(end.numbers(), (Numbers{0}));
  EXPECT_EQ(loop.timers_armed(), 0u);
}

TEST_F(ImpairmentTest, reorder_displaces_by_the_gap) {
  SCOPED_TRACE(fmt::format("seed {}", kImpairmentSeed));
  Reorder late({Probability::percent(5), 3, 1s}, loop, Random(kImpairmentSeed), counters, end);
  constexpr uint32_t kPackets = 20'000;
  send(late, kPackets);
  loop.run();
  ASSERT_EQ(end.arrivals.size(), kPackets);
  EXPECT_NEAR(static_cast<double>(counters.reordered), 1000, 155);
  // Between a packet that came late and its place, exactly three passed it.
  uint32_t displaced = 0;
  for (uint32_t at = 0; at < kPackets; ++at) {
    uint32_t passed_by = 0;
    for (uint32_t i = at > 12 ? at - 12 : 0; i < at; ++i) {
      if (end.arrivals[i].number > end.arrivals[at].number) ++passed_by;
    }
    if (passed_by == 0) continue;
    ++displaced;
    if (at + 10 < kPackets) {
      EXPECT_GE(passed_by, 3u);
    }
  }
  EXPECT_EQ(displaced, counters.reordered);
}

TEST_F(ImpairmentTest, reorder_by_time_alone) {
  Reorder late({Probability::percent(50), 0, 5ms}, loop, Random(3), counters, end);
  send(late, 50);
  const size_t at_once = end.arrivals.size();
  EXPECT_EQ(at_once + counters.reordered, 50u);
  loop.run();
  ASSERT_EQ(end.arrivals.size(), 50u);
  for (size_t i = at_once; i < 50; ++i) {
    EXPECT_EQ(end.arrivals[i].when, VirtualLoop::kEpoch + 5ms);
  }
}

TEST_F(ImpairmentTest, reorder_holds_up_to_its_bound_and_lets_the_rest_pass) {
  Reorder late({Probability::percent(100), 0, 1s}, loop, Random(kImpairmentSeed), counters, end);
  send(late, Reorder::kMaxHeld);
  EXPECT_EQ(late.held().packets, Reorder::kMaxHeld);
  EXPECT_EQ(counters.reorder_failed, 0u);
  send(late, 1, 5000);
  EXPECT_EQ(counters.reorder_failed, 1u);
  EXPECT_EQ(end.numbers(), (Numbers{5000}));
}

}  // namespace
}  // namespace wh::net
