#include "lab/synthetic.h"

#include <gtest/gtest.h>

#include "net/link/trace.h"

namespace wh::lab {
namespace {

net::Trace trace_of(const std::string& name) {
  return net::Trace::parse(make_trace(name).value()).value();
}

// Mean rate between two times, Mbps.
double mbps(const net::Trace& trace, Duration from, Duration to) {
  const auto n = static_cast<double>(trace.count_until(to) - trace.count_until(from));
  return n * 1514 * 8 * 1e-6 / to_seconds(to - from);
}

TEST(Synthetic, steps_hold_each_rate_for_its_time) {
  const net::Trace trace = trace_of("steps:20Mbps:5Mbps:80Mbps:2s");
  EXPECT_EQ(trace.period(), 6s);
  EXPECT_NEAR(mbps(trace, 0s, 2s), 20, 0.1);
  EXPECT_NEAR(mbps(trace, 2s, 4s), 5, 0.1);
  EXPECT_NEAR(mbps(trace, 4s, 6s), 80, 0.1);
}

TEST(Synthetic, ramp_goes_up_and_down) {
  const net::Trace trace = trace_of("ramp:10Mbps:30Mbps:10s");
  EXPECT_EQ(trace.period(), 20s);
  EXPECT_NEAR(mbps(trace, 0s, 1s), 11, 0.2);
  EXPECT_NEAR(mbps(trace, 9s, 11s), 29, 0.2);
  EXPECT_NEAR(mbps(trace, 19s, 20s), 11, 0.2);
}

TEST(Synthetic, outage_has_its_gap_once_a_period) {
  const net::Trace trace = trace_of("outage:12Mbps:4s:1s");
  EXPECT_EQ(trace.period(), 5s);
  EXPECT_NEAR(mbps(trace, 0s, 2s), 12, 0.1);
  EXPECT_EQ(trace.count_until(2s), trace.count_until(3s));
  EXPECT_NEAR(mbps(trace, 3s, 5s), 12, 0.1);
}

TEST(Synthetic, cellular_wanders_about_its_mean_with_outages_and_by_seed) {
  double sum = 0;
  for (int seed = 1; seed <= 8; ++seed) {
    const net::Trace trace = trace_of(fmt::format("cellular:12Mbps:{}", seed));
    EXPECT_EQ(trace.period(), 120s);
    sum += mbps(trace, 0s, 120s) / 8;
    double least = 1e9, most = 0;
    Duration gap{};
    for (Duration t = 0s; t < 120s; t += 1s) {
      least = std::min(least, mbps(trace, t, t + 1s));
      most = std::max(most, mbps(trace, t, t + 1s));
    }
    for (size_t i = 1; i < trace.size(); ++i) gap = std::max(gap, trace.at(i) - trace.at(i - 1));
    EXPECT_LT(least, 8) << seed;
    EXPECT_GT(most, 16) << seed;
    EXPECT_GT(gap, 100ms) << seed;
  }
  EXPECT_NEAR(sum, 11.5, 2.5);
  EXPECT_EQ(make_trace("cellular:12Mbps").value(), make_trace("cellular:12Mbps:1").value());
  EXPECT_NE(make_trace("cellular:12Mbps:2").value(), make_trace("cellular:12Mbps:1").value());
}

TEST(Synthetic, names_of_files_are_not_taken_and_bad_parts_are_named) {
  for (const char* file : {"steps", "cell.down", "a:b", "dir/steps:1", ""}) {
    EXPECT_FALSE(is_synthetic(file)) << file;
  }
  const struct {
    const char* name;
    const char* says;
  } cases[] = {
      {"steps:20Mbps:1s", "at least two rates"},
      {"steps:20Mbps:0bps:1s", "'0bps' is out of range"},
      {"steps:20Mbps:5Mbps:9ms", "10ms to 1h"},
      {"ramp:1Mbps:2Mbps", "two rates and a time"},
      {"outage:1Mbps:2s", "such as outage:20Mbps:9s:1s"},
      {"cellular:", "is not a rate"},
      {"cellular:1Mbps:x", "'x' is not a whole number"},
      {"steps:10Gbps:10Gbps:1h", "more than"},
  };
  for (const auto& c : cases) {
    ASSERT_TRUE(is_synthetic(c.name)) << c.name;
    const auto made = make_trace(c.name);
    ASSERT_FALSE(made.has_value()) << c.name;
    EXPECT_NE(made.error().text.find(c.says), std::string::npos) << made.error().text;
  }
}

}  // namespace
}  // namespace wh::lab
