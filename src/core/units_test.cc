#include "core/units.h"

#include <gtest/gtest.h>

#include "core/random.h"

namespace wh {
namespace {

TEST(Units, parse_reads_what_the_issue_writes) {
  EXPECT_EQ(parse_rate("40Mbps").value(), 40_Mbps);
  EXPECT_EQ(parse_rate("10Mbit/s").value(), 10_Mbps);
  EXPECT_EQ(parse_rate("2.5Gbps").value(), 2500_Mbps);
  EXPECT_EQ(parse_duration("10ms").value(), 10ms);
  EXPECT_EQ(parse_duration("12.5ms").value(), 12500us);
  EXPECT_EQ(parse_duration("-3us").value(), -3us);
  EXPECT_EQ(parse_duration("1.5min").value(), 90s);
  EXPECT_EQ(parse_bytes("64KiB").value(), 65536_B);
  EXPECT_EQ(parse_bytes("1500B").value(), 1500_B);
  EXPECT_EQ(parse_bytes("3MB").value(), Bytes(3'000'000));
}

TEST(Units, print_is_what_was_read) {
  for (const char* text : {"0s", "1ns", "12.5ms", "90s", "-250us", "1.000000001s"}) {
    EXPECT_EQ(to_string(parse_duration(text).value()), text);
  }
  for (const char* text : {"0B", "1500B", "64KiB", "3kB", "1MiB", "1000KiB", "-5B", "1023B"}) {
    EXPECT_EQ(to_string(parse_bytes(text).value()), text);
  }
  for (const char* text : {"0bps", "40Mbps", "2.5Gbps", "800kbps", "1.234567Mbps", "infinite"}) {
    EXPECT_EQ(to_string(parse_rate(text).value()), text);
  }
}

TEST(Units, round_trip_holds_for_random_values) {
  const uint64_t seed = 20240901;
  Random random(seed);
  for (int i = 0; i < 200000; ++i) {
    // Every magnitude alike: a random value shifted right by a random count.
    const uint64_t raw = random.next() >> random.below(64);
    const auto n = static_cast<int64_t>(raw >> 4);
    ASSERT_EQ(parse_duration(to_string(Duration(n))).value(), Duration(n)) << "seed " << seed;
    ASSERT_EQ(parse_duration(to_string(Duration(-n))).value(), Duration(-n)) << "seed " << seed;
    ASSERT_EQ(parse_bytes(to_string(Bytes(n))).value(), Bytes(n)) << "seed " << seed;
    const Rate rate = Rate::bits_per_second(raw >> 5);
    ASSERT_EQ(parse_rate(to_string(rate)).value(), rate) << "seed " << seed;
  }
}

TEST(Units, round_trip_holds_at_the_limits) {
  using Limits = std::numeric_limits<int64_t>;
  for (const int64_t n :
       {Limits::max(), Limits::min(), Limits::max() - 1, int64_t{0}, int64_t{-1}}) {
    EXPECT_EQ(parse_duration(to_string(Duration(n))).value(), Duration(n));
    EXPECT_EQ(parse_bytes(to_string(Bytes(n))).value(), Bytes(n));
  }
  const Rate fastest = Rate::bits_per_second(Rate::infinite().bps() - 1);
  EXPECT_EQ(parse_rate(to_string(fastest)).value(), fastest);
}

TEST(Units, parse_refuses_and_says_what_it_takes) {
  for (const char* text : {"", "ms", "10", "10 ms", "1..5s", "1.s", ".5s", "ten ms", "10msec",
                           "+5s", "1e3ms", "99999999999999999999s", "9999999999h"}) {
    const auto result = parse_duration(text);
    ASSERT_FALSE(result.has_value()) << text;
    EXPECT_NE(result.error().text.find("'" + std::string(text) + "'"), std::string::npos);
  }
  EXPECT_FALSE(parse_duration("0.5ns").has_value());
  EXPECT_FALSE(parse_bytes("0.5B").has_value());
  EXPECT_FALSE(parse_rate("-1Mbps").has_value());
  EXPECT_FALSE(parse_rate("40MB").has_value());
  EXPECT_NE(parse_rate("40MB").error().text.find("40Mbps"), std::string::npos);
}

TEST(Units, transfer_time_rounds_up_to_the_nanosecond) {
  EXPECT_EQ((12_Mbps).transfer_time(1500_B), 1ms);
  EXPECT_EQ((40_Mbps).transfer_time(1514_B), 302800ns);
  EXPECT_EQ((3_bps).transfer_time(1_B), Duration(2666666667));
  EXPECT_EQ(Rate::infinite().transfer_time(1500_B), 0ns);
  EXPECT_EQ((12_Mbps).bytes_in(1ms), 1500_B);
  EXPECT_EQ((12_Mbps).bytes_in(1ms - 1ns), 1499_B);
}

TEST(Units, products_do_not_overflow) {
  const Rate fast = 400_Gbps;
  const Duration year = std::chrono::hours(24 * 365);
  EXPECT_EQ(fast.bytes_in(year), Bytes(1'576'800'000'000'000'000));
  EXPECT_EQ(fast.transfer_time(Bytes(1'576'800'000'000'000'000)), year);
  EXPECT_EQ((1_bps).transfer_time(Bytes::max()), Duration::max());
  EXPECT_EQ(Rate::of(Bytes(1'576'800'000'000'000'000), year), fast);
}

TEST(Units, rate_of_and_bytes_in_agree_for_random_values) {
  Random random(7);
  for (int i = 0; i < 10000; ++i) {
    const Rate rate = Rate::bits_per_second(1 + random.below(100'000'000'000));
    const Bytes size(static_cast<int64_t>(1 + random.below(1'000'000)));
    const Duration time = rate.transfer_time(size);
    // Rounded up, so the whole size has passed by then and not a nanosecond before.
    ASSERT_GE(rate.bytes_in(time), size);
    ASSERT_LT(rate.bytes_in(time - 1ns), size);
  }
}

TEST(UnitsDeathTest, zero_rate_has_no_transfer_time) {
  EXPECT_DEATH((void)Rate().transfer_time(1_B), "CHECK failed");
}

}  // namespace
}  // namespace wh
