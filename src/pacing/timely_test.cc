#include "pacing/timely.h"

#include <gtest/gtest.h>

#include "pacing/probe_rtt.h"
#include "pacing/test_support.h"

namespace wh::pacing {
namespace {

constexpr Rate kRate = 10_Mbps;
constexpr Duration kMin = 40ms;

Timely::Measured measured(Duration rtt, Rate estimate = kRate) {
  return {.rtt = rtt, .min_rtt = kMin, .estimate = estimate, .last = estimate};
}

// A Timely whose rtt_diff and avoidance multiplier are given.
Timely with(uint32_t gain, Duration diff, Duration previous) {
  Timely::Config config;
  config.enabled = false;
  Timely t(config);
  t.on_measurement(measured(previous - 8 * diff));
  t.on_measurement(measured(previous));
  EXPECT_EQ(t.rtt_diff(), diff);
  t.set_gain(Phase::Avoidance, gain);
  t.config().enabled = true;
  return t;
}

// rtt_diff that, after its own decay with an unchanged rtt, is `diff`.
Duration before_decay(Duration diff) {
  return Duration(diff.count() / 1000 * 8 / 7 * 1us);
}

TEST(Timely, moves_the_gradient_by_an_eighth_E61) {
  Timely t;
  t.on_measurement(measured(50ms));
  EXPECT_EQ(t.rtt_diff(), Duration(0));
  EXPECT_EQ(t.previous_rtt(), Duration(50ms));
  t.on_measurement(measured(58ms));
  EXPECT_EQ(t.rtt_diff(), Duration(1000us));
}

// The verdict shows in what happens to a multiplier of 100: + 2, x (1 - 0.8 g), more still.
TEST(Timely, judges_by_a_quarter_above_and_three_times_the_minimum_E53) {
  const auto after = [](Duration rtt, Duration from) {
    Timely t = with(100, 0us, from);
    t.on_measurement(measured(rtt));
    return t.gain(Phase::Avoidance);
  };
  EXPECT_EQ(after(50ms, 42ms), 102u);            // Low, although rising.
  EXPECT_LT(after(50'001us, 42ms), 100u);        // Rising.
  EXPECT_EQ(after(60ms, 60ms), 102u);            // Between, and not rising.
  EXPECT_LT(after(119'999us, 119'983us), 100u);  // Just below three times the minimum,
  EXPECT_EQ(after(119'999us, 120'100us), 102u);  // where only the gradient counts;
  EXPECT_LT(after(240ms, 240'100us), 100u);      // above it the queue does.
  EXPECT_LE(after(120ms, 120'100us), 100u);      // Inclusive: no raise.
}

TEST(Timely, lowers_by_four_fifths_of_the_gradient_E54) {
  Timely t = with(100, before_decay(4ms), 60ms);
  t.on_measurement(measured(60ms));
  EXPECT_NEAR(to_ms(t.rtt_diff()), 4, 0.002);
  EXPECT_EQ(t.gain(Phase::Avoidance), 92u);
}

TEST(Timely, rounds_down_E55) {
  Timely t = with(130, before_decay(4ms), 60ms);
  t.on_measurement(measured(60ms));
  EXPECT_EQ(t.gain(Phase::Avoidance), 119u);
}

TEST(Timely, lowers_by_the_height_of_the_queue_E56) {
  Timely t = with(100, before_decay(4ms), 160ms);
  t.on_measurement(measured(160ms));
  EXPECT_EQ(t.gain(Phase::Avoidance), 80u);
}

TEST(Timely, goes_no_lower_than_50_E57) {
  Timely t = with(100, 0us, 400ms);
  t.on_measurement(measured(400ms));
  EXPECT_EQ(t.gain(Phase::Avoidance), 50u);
}

// FreeBSD wraps round here and ends at "one point less".
TEST(Timely, goes_to_the_bound_for_a_gradient_above_1_25) {
  Timely steep = with(100, 100ms, 110ms);
  steep.on_measurement(measured(110ms));
  EXPECT_GT(to_ms(steep.rtt_diff()), 80);
  EXPECT_EQ(steep.gain(Phase::Avoidance), 50u);
}

TEST(Timely, raises_by_2_and_the_fifth_time_by_10_E58) {
  Timely t;
  const uint32_t expected[] = {102, 104, 106, 108, 118};
  for (const uint32_t gain : expected) {
    t.on_measurement(measured(40ms));
    EXPECT_EQ(t.gain(Phase::Avoidance), gain);
  }
}

TEST(Timely, stops_raising_above_130_E59) {
  Timely t;
  for (int i = 0; i < 5; ++i) t.on_measurement(measured(40ms));
  for (const uint32_t gain : {120u, 122u, 124u, 134u, 134u, 134u}) {
    t.on_measurement(measured(40ms));
    EXPECT_EQ(t.gain(Phase::Avoidance), gain);
  }
}

TEST(Timely, does_not_pace_30_percent_above_what_was_measured_E60) {
  Timely t;
  t.set_gain(Phase::Avoidance, 104);
  Timely::Measured m = measured(40ms);
  m.last = kRate.percent(80);
  t.on_measurement(m);
  EXPECT_EQ(t.gain(Phase::Avoidance), 104u);
  m.last = m.last + 1_Mbps;
  t.on_measurement(m);
  EXPECT_EQ(t.gain(Phase::Avoidance), 106u);
}

// A path that runs dry again and again, because the pace is capped elsewhere, is no reason to
// forget what was measured.
TEST(Timely, is_not_boosted_further_than_it_may_be_raised) {
  Timely t;
  t.on_measurement(measured(40ms));
  for (int i = 0; i < 1000; ++i) t.on_bottom(true, kRate);
  for (const Phase p : {Phase::SlowStart, Phase::Avoidance, Phase::Recovery}) {
    EXPECT_LE(t.gain(p), p == Phase::SlowStart ? 250u : 139u);
    EXPECT_GE(t.gain(p), 130u);
  }
  Timely unmeasured;
  for (int i = 0; i < 1000; ++i) unmeasured.on_bottom(true, kRate);
  EXPECT_LE(unmeasured.gain(Phase::Avoidance), 139u);
}

TEST(Timely, raises_recovery_no_further_than_the_others) {
  Timely::Config config;
  config.no_recovery_change = false;
  Timely t(config);
  for (int i = 0; i < 100; ++i) {
    t.set_gain(Phase::Avoidance, 100);
    t.on_measurement(measured(40ms));
  }
  EXPECT_LE(t.gain(Phase::Recovery), 131u);
}

TEST(Timely, ends_slow_starts_push_when_the_queue_is_long_E62) {
  Timely t;
  ASSERT_EQ(t.gain(Phase::SlowStart), 250u);
  Timely::Measured m = measured(160ms);
  m.saw_slow_start = true;
  t.on_measurement(m);
  EXPECT_EQ(t.gain(Phase::SlowStart), 80u);
}

TEST(Timely, does_as_no_push_at_max_says_when_the_queue_is_long) {
  for (const uint32_t no_push : {0u, 1u, 2u}) {
    Timely::Config config;
    config.no_push_at_max = no_push;
    Timely t(config);
    Timely::Measured m = measured(160ms);
    m.saw_slow_start = true;
    t.on_measurement(m);
    EXPECT_EQ(t.gain(Phase::SlowStart), no_push == 2 ? 80u : 200u) << no_push;
    t.set_gain(Phase::SlowStart, 90);
    m.estimate = kRate.percent(90);
    t.on_measurement(m);  // Less arrives: may be for pacing too slowly.
    EXPECT_EQ(t.gain(Phase::SlowStart), no_push == 0 ? 100u : 72u) << no_push;
  }
}

TEST(Timely, pushes_after_a_growing_bandwidth) {
  Timely t = with(100, before_decay(4ms), 60ms);
  t.on_measurement(measured(60ms, kRate.percent(103)));  // Rising, but more arrives.
  EXPECT_EQ(t.gain(Phase::Avoidance), 102u);
}

TEST(Timely, pushes_three_times_against_a_falling_bandwidth) {
  Timely t = with(100, before_decay(8ms), 60ms);
  Rate rate = kRate;
  for (const uint32_t gain : {110u, 110u, 110u}) {
    rate = rate.percent(95);
    t.on_measurement(measured(60ms, rate));
    EXPECT_EQ(t.gain(Phase::Avoidance), gain);
  }
  t.on_measurement(measured(60ms, rate.percent(95)));
  EXPECT_LT(t.gain(Phase::Avoidance), 110u);
}

TEST(Timely, leaves_the_recovery_gain_alone_unless_asked) {
  Timely t;
  for (int i = 0; i < 10; ++i) t.on_measurement(measured(40ms));
  EXPECT_EQ(t.gain(Phase::Recovery), 90u);
  Timely::Config config;
  config.no_recovery_change = false;
  Timely moved(config);
  moved.on_measurement(measured(40ms));
  EXPECT_EQ(moved.gain(Phase::Recovery), 92u);
}

TEST(Timely, can_be_turned_off) {
  Timely::Config config;
  config.enabled = false;
  Timely t(config);
  for (int i = 0; i < 10; ++i) t.on_measurement(measured(400ms));
  EXPECT_EQ(t.gain(Phase::Avoidance), 100u);
}

ProbeRtt::Situation probe_at(Instant now, Bytes flight, Rate bandwidth, Duration min_rtt) {
  return {.now = now,
          .flight = flight,
          .mss = kMss,
          .bandwidth = bandwidth,
          .min_rtt = min_rtt,
          .goodput_rtt = 50ms};
}

TEST(ProbeRtt, drains_to_what_the_path_holds_E63) {
  const auto s = probe_at(Instant(1000s), Bytes(0), Rate::bytes_per_second(1'250'000), 40ms);
  EXPECT_EQ(ProbeRtt().target(s), Bytes(50'680));
}

TEST(ProbeRtt, drains_to_four_segments_at_least_E64) {
  const auto s = probe_at(Instant(1000s), Bytes(0), Rate::bytes_per_second(100'000), 20ms);
  EXPECT_EQ(ProbeRtt().target(s), Bytes(5792));
}

TEST(ProbeRtt, paces_slower_each_round_trip_and_gives_up_after_2_s_E65) {
  const Instant t0 = Instant(1000s);
  ProbeRtt probe;
  probe.enter(t0, false);
  const auto at = [&](Duration t) {
    return probe_at(t0 + t, Bytes(1'000'000), Rate::bytes_per_second(1'250'000), 40ms);
  };
  for (const auto& [t, gain] : {std::pair<Duration, uint32_t>(0ms, 60),
                                {49'999us, 60},
                                {50ms, 50},
                                {99'999us, 50},
                                {100ms, 40},
                                {1s, 40}}) {
    EXPECT_EQ(probe.gain(at(t)), gain) << t.count();
    EXPECT_FALSE(probe.update(at(t)));
  }
  EXPECT_FALSE(probe.update(at(2s - 1us)));
  EXPECT_TRUE(probe.update(at(2s)));
  EXPECT_FALSE(probe.is_active());
}

TEST(ProbeRtt, holds_for_40_ms_at_the_target_E66) {
  const Instant t0 = Instant(1000s);
  ProbeRtt probe;
  probe.enter(t0, false);
  const auto at = [&](Duration t, Bytes flight) {
    return probe_at(t0 + t, flight, Rate::bytes_per_second(1'250'000), 40ms);
  };
  EXPECT_FALSE(probe.update(at(79ms, Bytes(50'681))));
  EXPECT_FALSE(probe.update(at(80ms, Bytes(50'680))));
  EXPECT_EQ(probe.gain(at(80ms, Bytes(0))), 60u);
  EXPECT_FALSE(probe.update(at(120ms - 1ns, Bytes(0))));
  EXPECT_TRUE(probe.update(at(120ms, Bytes(0))));
}

TEST(ProbeRtt, of_the_articles_kind_holds_four_segments_for_200_ms) {
  ProbeRtt::Config config;
  config.mode = ProbeRtt::Mode::Cwnd4;
  ProbeRtt probe(config);
  const Instant t0 = Instant(1000s);
  EXPECT_EQ(probe.cwnd_limit(kMss), Bytes::max());
  probe.enter(t0, false);
  EXPECT_EQ(probe.cwnd_limit(kMss), kMss * 4);
  const auto at = [&](Duration t, int64_t segments) {
    return probe_at(t0 + t, kMss * segments, 10_Mbps, 40ms);
  };
  EXPECT_EQ(probe.gain(at(0ms, 40)), 0u);
  EXPECT_FALSE(probe.update(at(30ms, 5)));
  EXPECT_FALSE(probe.update(at(40ms, 4)));
  EXPECT_FALSE(probe.update(at(240ms - 1us, 4)));
  EXPECT_TRUE(probe.update(at(240ms, 4)));
  EXPECT_EQ(probe.cwnd_limit(kMss), Bytes::max());
}

TEST(ProbeRtt, holds_four_segments_when_the_minimum_has_risen) {
  ProbeRtt probe;
  const Instant t0 = Instant(1000s);
  probe.enter(t0, false);
  EXPECT_EQ(probe.cwnd_limit(kMss), Bytes::max());
  EXPECT_EQ(probe.gain(probe_at(t0, kMss * 40, 10_Mbps, 40ms)), 60u);
  probe.enter(t0, true);
  EXPECT_EQ(probe.cwnd_limit(kMss), kMss * 4);
  EXPECT_EQ(probe.gain(probe_at(t0, kMss * 40, 10_Mbps, 40ms)), 0u);
}

TEST(ProbeRtt, restarts_its_clock_only_for_a_real_lowering) {
  ProbeRtt probe;
  const Instant t0 = Instant(1000s);
  EXPECT_FALSE(probe.on_minimum(t0, 0us, 20ms));
  EXPECT_FALSE(probe.on_minimum(t0 + 5s, 20ms, 20ms - 249us));
  EXPECT_FALSE(probe.is_due(t0 + 9'600ms - 1ns));
  EXPECT_TRUE(probe.is_due(t0 + 9'600ms));
  EXPECT_FALSE(probe.on_minimum(t0 + 5s, 20ms, 19ms));
  EXPECT_FALSE(probe.is_due(t0 + 9'600ms));
  EXPECT_TRUE(probe.is_due(t0 + 14'600ms));
}

// Another sender of the same kind has just let the queue run dry: probing now, together with it,
// finds the path empty.
TEST(ProbeRtt, joins_a_lowering_in_the_last_tenth) {
  const Instant t0 = Instant(1000s);
  for (const Duration t : {Duration(8'640ms - 1us), Duration(8'640ms)}) {
    ProbeRtt probe;
    probe.on_minimum(t0, 0us, 30ms);
    EXPECT_EQ(probe.on_minimum(t0 + t, 30ms, 20ms), t >= 8'640ms);
  }
}

}  // namespace
}  // namespace wh::pacing
