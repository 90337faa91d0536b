#include "pacing/path_capacity.h"

#include <gtest/gtest.h>

#include "pacing/test_support.h"

namespace wh::pacing {
namespace {

// Bursts of ten segments over a bottleneck of `rate`, acknowledged in pairs.
struct Path {
  PathCapacity pcm{PathCapacity::Config{}};
  Instant now = kT0;
  uint64_t sent = 0;
  void burst(Rate rate, int64_t segments = 10) {
    const uint64_t begin = sent;
    sent += static_cast<uint64_t>((kMss * segments).count());
    pcm.on_sent(now, begin, sent, kMss);
    for (int64_t i = 2; i <= segments; i += 2) {
      now += rate.transfer_time(kMss * 2);
      pcm.on_acked(now, begin + static_cast<uint64_t>((kMss * i).count()), kMss);
    }
    now += 250ms;
  }
};

TEST(PathCapacity, is_what_the_bottleneck_spreads_a_burst_to) {
  Path path;
  EXPECT_TRUE(path.pcm.capacity().is_zero());
  path.burst(20_Mbps);
  EXPECT_NEAR(static_cast<double>(path.pcm.capacity().bps()), 20e6, 100);
}

TEST(PathCapacity, needs_a_burst_of_six_segments) {
  for (const int64_t segments : {4, 6}) {
    Path path;
    path.burst(20_Mbps, segments);
    EXPECT_EQ(path.pcm.measurements(), segments == 6 ? 1u : 0u);
  }
}

TEST(PathCapacity, is_not_moved_by_single_wild_measurements) {
  Path path;
  for (int i = 0; i < 9; ++i) path.burst(i % 3 == 1 ? 400_Mbps : 20_Mbps);
  EXPECT_NEAR(static_cast<double>(path.pcm.capacity().bps()), 20e6, 100);
}

TEST(PathCapacity, follows_a_step_after_five_measurements) {
  Path path;
  for (int i = 0; i < 9; ++i) path.burst(20_Mbps);
  for (int i = 0; i < 4; ++i) path.burst(5_Mbps);
  EXPECT_NEAR(static_cast<double>(path.pcm.capacity().bps()), 20e6, 100);
  path.burst(5_Mbps);
  EXPECT_NEAR(static_cast<double>(path.pcm.capacity().bps()), 5e6, 100);
}

// A path has what it has just carried; once could be a repair that let the acknowledgment jump.
TEST(PathCapacity, is_at_least_the_lesser_of_the_last_two_goodputs) {
  Path path;
  path.pcm.on_goodput(90_Mbps);
  path.pcm.on_goodput(90_Mbps);
  EXPECT_TRUE(path.pcm.capacity().is_zero());  // No burst was measured yet.
  for (int i = 0; i < 9; ++i) path.burst(20_Mbps);
  path.pcm.on_goodput(10_Mbps);
  EXPECT_NEAR(static_cast<double>(path.pcm.capacity().bps()), 20e6, 100);
  path.pcm.on_goodput(60_Mbps);
  EXPECT_NEAR(static_cast<double>(path.pcm.capacity().bps()), 20e6, 100);
  path.pcm.on_goodput(50_Mbps);
  EXPECT_EQ(path.pcm.capacity(), 50_Mbps);
  path.pcm.on_goodput(5_Mbps);
  EXPECT_NEAR(static_cast<double>(path.pcm.capacity().bps()), 20e6, 100);
}

TEST(PathCapacity, wants_a_burst_only_when_none_came_by_itself) {
  Path path;
  EXPECT_TRUE(path.pcm.wants_train(kT0));
  path.burst(20_Mbps);
  EXPECT_FALSE(path.pcm.wants_train(kT0 + 500ms - 1ns));
  EXPECT_TRUE(path.pcm.wants_train(kT0 + 500ms));
}

TEST(PathCapacity, holds_its_share_within_a_tenth_and_bounds) {
  PathCapacity pcm{PathCapacity::Config{.share = 25}};
  EXPECT_EQ(pcm.fcc(40_Mbps), 10_Mbps);
  EXPECT_EQ(pcm.fcc(44_Mbps), 10_Mbps);
  EXPECT_EQ(pcm.fcc(36_Mbps), 10_Mbps);
  EXPECT_EQ(pcm.fcc(44'000'004_bps), 11'000'001_bps);
  EXPECT_EQ(pcm.fcc(1_Mbps), 500_kbps);
  EXPECT_EQ(pcm.fcc(100_Gbps), 1_Gbps);
}

}  // namespace
}  // namespace wh::pacing
