// Bursts and intervals: the golden table of rates, and the article's examples.
#include "pacing/pace.h"

#include <gtest/gtest.h>

#include "pacing/test_support.h"

namespace wh::pacing {
namespace {

constexpr Bytes kMaxseg(1460), kIp4(20), kIp6(40);

Microseconds interval(int64_t segments, Rate rate) {
  return interval_of(kMss * segments, rate);
}

struct Burst {
  int64_t segments, interval_us;
  bool operator==(const Burst&) const = default;
};
Burst burst(Rate rate, uint32_t divisor) {
  const Bytes len = pace_len(rate, kMss, {.divisor = divisor});
  return {len / kMss, interval_of(len, rate) / 1us};
}
std::ostream& operator<<(std::ostream& out, const Burst& b) {
  return out << b.segments << " segments, " << b.interval_us << " us";
}

TEST(Pace, bursts_grow_with_the_rate) {
  const struct {
    Rate rate;
    Burst divisor_250, divisor_1000;
  } kBursts[] = {
      {1200_kbps, {2, 20186}, {2, 20186}}, {4_Mbps, {2, 6056}, {2, 6056}},
      {8_Mbps, {3, 4542}, {2, 3028}},      {12_Mbps, {6, 6056}, {2, 2018}},
      {20_Mbps, {8, 4844}, {2, 1211}},     {30_Mbps, {12, 4844}, {3, 1211}},
      {50_Mbps, {18, 4360}, {6, 1453}},    {100_Mbps, {36, 4360}, {10, 1211}},
      {200_Mbps, {40, 2422}, {18, 1090}},  {400_Mbps, {40, 1211}, {36, 1090}},
      {1_Gbps, {40, 484}, {40, 484}},
  };
  for (const auto& row : kBursts) {
    EXPECT_EQ(burst(row.rate, 250), row.divisor_250) << to_string(row.rate);
    EXPECT_EQ(burst(row.rate, 1000), row.divisor_1000) << to_string(row.rate);
  }
}

TEST(Pace, E21a_12_Mbps_with_headers_is_a_1500_byte_packet_every_millisecond) {
  // The article's example counts the IP packet: no Ethernet header.
  EXPECT_EQ((12_Mbps).transfer_time(Bytes(1500)), 1ms);
  EXPECT_EQ(Duration(1s) / (12_Mbps).transfer_time(Bytes(1500)), 1000);
}

TEST(Pace, E21b_12_Mbps_as_coded_is_a_frame_every_1009_us) {
  EXPECT_EQ(interval(1, 12_Mbps), 1009us);
}

TEST(Pace, E22_12_Mbps_sends_6_or_2_segments_by_divisor) {
  EXPECT_EQ(pace_len(12_Mbps, kMss), Bytes(8688));
  EXPECT_EQ(burst(12_Mbps, 250), (Burst{6, 6056}));
  EXPECT_EQ(burst(12_Mbps, 1000), (Burst{2, 2018}));
}

TEST(Pace, E23_30_Mbps_sends_12_segments) {
  EXPECT_EQ(burst(30_Mbps, 250), (Burst{12, 4844}));
}

TEST(Pace, E24_1_Gbps_is_capped_by_the_user_maximum) {
  EXPECT_EQ(pace_len(1_Gbps, kMss), Bytes(57'920));
  EXPECT_EQ(interval(40, 1_Gbps), 484us);
}

TEST(Pace, E25_rate_is_at_least_64_kbps) {
  const Rate rate = gained_pace_rate(Rate::bytes_per_second(10'000), 50);
  EXPECT_EQ(rate.bytes_per_second(), 8000u);
  EXPECT_EQ(interval(2, rate), 378'500us);
  EXPECT_EQ(gained_pace_rate(Rate::bytes_per_second(10'000), 81).bytes_per_second(), 8100u);
  EXPECT_EQ(gained_pace_rate(Rate(), 100), kLeastPaceRate);
}

TEST(Pace, E26_a_1500_byte_packet_takes_1200_us_at_10_Mbps_and_120_us_at_100) {
  EXPECT_EQ((10_Mbps).transfer_time(Bytes(1500)), 1200us);
  EXPECT_EQ((100_Mbps).transfer_time(Bytes(1500)), 120us);
}

TEST(Pace, E34_overhead_makes_every_full_segment_a_frame_of_1514_bytes) {
  EXPECT_EQ(pacing_overhead(kMaxseg, kMss, kIp4), kOverhead);
  EXPECT_EQ(pacing_overhead(Bytes(1440), Bytes(1428), kIp6), Bytes(86));
  EXPECT_EQ(Bytes(1428) + pacing_overhead(Bytes(1440), Bytes(1428), kIp6), Bytes(1514));
}

TEST(Pace, burst_limits_apply_in_order) {
  EXPECT_EQ(pace_len(1_Mbps, kMss), kMss * 2);
  EXPECT_EQ(pace_len(1_Mbps, kMss, {.user_min = 1}), kMss);
  EXPECT_EQ(pace_len(1_Mbps, kMss, {.user_min = 7}), kMss * 7);
  EXPECT_EQ(pace_len(1_Mbps, kMss, {.floor = 5}), kMss * 5);
  EXPECT_EQ(pace_len(10_Gbps, kMss, {.user_max = 63}), kMss * 43) << "64 KiB";
  EXPECT_EQ(pace_len(10_Gbps, kMss, {.user_max = 3}), kMss * 3);
  EXPECT_EQ(pace_len(1_Mbps, kMss, {.user_max = 30, .force_max = true}), kMss * 30);
  EXPECT_EQ(pace_len(10_Gbps, Bytes(9000)), Bytes(65'536)) << "8 segments would be more";
  EXPECT_EQ(pace_len(1_Mbps, Bytes(9000), {.user_max = 40, .force_max = true}), Bytes(65'536));
  EXPECT_EQ(pace_len(Rate::infinite(), kMss), kMss * 40);
  EXPECT_EQ(pace_len(Rate(), kMss), kMss * 2);
}

TEST(Pace, divisor_below_50_means_1000) {
  EXPECT_EQ(pace_len(100_Mbps, kMss, {.divisor = 49}), kMss * 10);
  EXPECT_EQ(pace_len(100_Mbps, kMss, {.divisor = 50}), kMss * 40);
  EXPECT_EQ(pace_len(100_Mbps, kMss, {.divisor = 0}), kMss * 10);
}

TEST(Pace, line_rate_makes_a_gain_of_100_percent_reproduce_the_goodput) {
  const Rate wire = line_rate(11'584_kbps, kMaxseg, kMss, kIp4);
  EXPECT_EQ(wire, Rate::bits_per_second(11'584'000 / 1448 * 1514));
  EXPECT_EQ(interval(1000, wire), 1s) << "1000 segments of goodput each second";
  EXPECT_TRUE(line_rate(Rate::infinite(), kMaxseg, kMss, kIp4).is_infinite());
}

}  // namespace
}  // namespace wh::pacing
