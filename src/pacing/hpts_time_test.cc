#include "pacing/hpts_time.h"

#include <gtest/gtest.h>

#include "core/virtual_loop.h"

namespace wh::pacing {
namespace {

TEST(HptsTime, E1_converts_microseconds_to_slots_rounding_up) {
  constexpr std::pair<int64_t, int64_t> kCases[] = {
      {0, 0}, {1, 1}, {9, 1}, {10, 1}, {11, 2}, {100, 10}, {550, 55}, {551, 56}, {1009, 101}};
  for (const auto& [us, slots] : kCases) {
    EXPECT_EQ(hpts_usec_to_slots(us * Duration(1us)).count(), slots) << us;
  }
}

TEST(HptsTime, converts_milliseconds_to_one_slot_more) {
  EXPECT_EQ(hpts_msec_to_slots(0ms).count(), 1);
  EXPECT_EQ(hpts_msec_to_slots(1ms).count(), 101);
  EXPECT_EQ(HptsSlots(51'200).duration(), 512ms);
}

TEST(HptsTime, takes_times_apart_under_the_articles_names) {
  constexpr Duration kTime = 12s + 345'678us + 900ns;
  EXPECT_EQ(tcp_tv_to_hptstick(kTime), 1'234'567u);
  EXPECT_EQ(tcp_tv_to_usectick(kTime), 12'345'678u);
  EXPECT_EQ(tcp_tv_to_lusectick(kTime), 12'345'678u);
  EXPECT_EQ(tcp_tv_to_msectick(kTime), 12'345u);
}

TEST(HptsTime, wraps_where_32_bits_end) {
  constexpr Duration kEdge = Duration(1us) * (int64_t{1} << 32);
  EXPECT_EQ(tcp_tv_to_usectick(kEdge - 1us), 0xffffffffu);
  EXPECT_EQ(tcp_tv_to_usectick(kEdge), 0u);
  EXPECT_EQ(tcp_tv_to_lusectick(kEdge), uint64_t{1} << 32);
  EXPECT_EQ(tcp_tv_to_hptstick(kHptsSlot * (int64_t{1} << 32)), 0u);
  EXPECT_EQ(tcp_tv_to_msectick(Duration(1ms) * ((int64_t{1} << 32) + 7)), 7u);
}

TEST(HptsTime, reads_the_loops_clock) {
  VirtualLoop loop(Instant(5s + 55us));
  Instant tv{};
  EXPECT_EQ(tcp_gethptstick(loop, &tv), 500'005u);
  EXPECT_EQ(tv, loop.now());
  EXPECT_EQ(tcp_get_u64_usecs(loop, &tv), 5'000'055u);
  EXPECT_EQ(tcp_get_u64_usecs(loop), 5'000'055u);
}

}  // namespace
}  // namespace wh::pacing
