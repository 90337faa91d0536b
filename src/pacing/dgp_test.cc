// The article's formulas with the article's own numbers, and the rate policy as a whole.
#include "pacing/dgp.h"

#include <gtest/gtest.h>

#include "pacing/pace.h"
#include "pacing/test_support.h"

namespace wh::pacing {
namespace {

Rate choose(Rate bw, Rate fill, Rate fcc) {
  return choose_pace(bw, fill, fcc).rate;
}

TEST(DgpArticle, paces_at_the_fulcrum_when_fill_is_50_and_bw_20_Mbps_E35) {
  const PaceChoice c = choose_pace(20_Mbps, 50_Mbps, kDefaultFcc);
  EXPECT_EQ(c.rate, 30_Mbps);
  EXPECT_EQ(c.by, PaceBy::Fulcrum);
}

TEST(DgpArticle, paces_at_80_Mbps_when_timely_says_80_E36) {
  const PaceChoice c = choose_pace(80_Mbps, 50_Mbps, kDefaultFcc);
  EXPECT_EQ(c.rate, 80_Mbps);
  EXPECT_EQ(c.by, PaceBy::Bandwidth);
}

TEST(DgpArticle, always_takes_the_fastest_when_fcc_is_zero_E37) {
  EXPECT_EQ(choose(20_Mbps, 50_Mbps, Rate()), 50_Mbps);
  EXPECT_EQ(choose(80_Mbps, 50_Mbps, Rate()), 80_Mbps);
}

TEST(DgpArticle, takes_the_larger_of_two_below_the_fulcrum_E38) {
  EXPECT_EQ(choose(20_Mbps, 25_Mbps, 30_Mbps), 25_Mbps);
  EXPECT_EQ(choose(20_Mbps, 10_Mbps, 30_Mbps), 20_Mbps);
}

TEST(DgpArticle, divides_the_window_by_the_round_trip_E39) {
  const Rate fill = fill_cwnd_rate(Bytes(250'000), 40ms);
  EXPECT_EQ(fill.bytes_per_second(), 6'250'000u);
  EXPECT_EQ(fill, 50_Mbps);
}

TEST(DgpArticle, turns_50_Mbps_into_6250000_bytes_a_second_E41) {
  EXPECT_EQ(Rate::bits_per_second(50'000'000 / 8 * 8).bytes_per_second(), 6'250'000u);
  EXPECT_EQ(kDefaultFcc.bytes_per_second(), 3'750'000u);
}

// "will only push to maintain 3% of the network uplink capacity".
TEST(DgpArticle, pushes_for_3_percent_of_a_gigabit) {
  EXPECT_EQ((1_Gbps).percent(3), kDefaultFcc);
}

// "If I get more than 7 connections": 7 fit into 40 Mbps, the 8th fills it.
TEST(DgpArticle, lets_seven_connections_push_for_5_Mbps_each_on_40_E69) {
  const auto sum = [](uint64_t connections) { return (5_Mbps).percent(100 * connections); };
  EXPECT_LT(sum(7), 40_Mbps);
  EXPECT_GE(sum(8), 40_Mbps);
}

// Both sides of each row: one bit per second decides.
TEST(DgpTruthTable, holds_on_both_sides_of_every_row) {
  const Rate one = 1_bps, fcc = 30_Mbps;
  struct Row {
    Rate bw, fill, fcc, rate;
    PaceBy by;
  };
  const Row rows[] = {
      // FillCwBw <= Bw: Bw, whatever FCC is.
      {20_Mbps, 20_Mbps, fcc, 20_Mbps, PaceBy::Bandwidth},
      {20_Mbps, 20_Mbps + one, fcc, 20_Mbps + one, PaceBy::FillCwnd},
      {20_Mbps, 20_Mbps, Rate(), 20_Mbps, PaceBy::Bandwidth},
      {20_Mbps, 20_Mbps + one, Rate(), 20_Mbps + one, PaceBy::FillCwnd},
      // Bw < FCC, FillCwBw between: FillCwBw up to FCC, then FCC.
      {20_Mbps, fcc, fcc, fcc, PaceBy::FillCwnd},
      {20_Mbps, fcc + one, fcc, fcc, PaceBy::Fulcrum},
      // FillCwBw above both: FCC until Bw reaches it, then Bw.
      {Rate::bits_per_second(fcc.bps() - 1), 50_Mbps, fcc, fcc, PaceBy::Fulcrum},
      {fcc, 50_Mbps, fcc, fcc, PaceBy::Bandwidth},
      {fcc + one, 50_Mbps, fcc, fcc + one, PaceBy::Bandwidth},
      // No cap.
      {fcc, 50_Mbps, Rate(), 50_Mbps, PaceBy::FillCwnd},
      {50_Mbps, 50_Mbps, Rate(), 50_Mbps, PaceBy::Bandwidth},
  };
  for (const Row& row : rows) {
    const PaceChoice c = choose_pace(row.bw, row.fill, row.fcc);
    EXPECT_EQ(c.rate, row.rate) << to_string(row.bw) << ' ' << to_string(row.fill);
    EXPECT_EQ(c.by, row.by) << to_string(row.bw) << ' ' << to_string(row.fill);
  }
}

TEST(LongTermBandwidth, does_not_count_idle_time_E51) {
  LongTermBandwidth lt;
  EXPECT_TRUE(lt.rate(kT0).is_zero());
  lt.start(kT0);
  lt.add(Bytes(3'000'000));
  lt.stop(kT0 + 2s);
  lt.start(kT0 + 5s);
  lt.add(Bytes(1'000'000));
  EXPECT_EQ(lt.rate(kT0 + 6s).bytes_per_second(), 1'333'333u);
  lt.stop(kT0 + 6s);
  EXPECT_EQ(lt.rate(kT0 + 60s).bytes_per_second(), 1'333'333u);
}

// A sender on a path of the test's making: round trips of `rtt`, bursts as given.
class Sender {
 public:
  explicit Sender(const Dgp::Config& config = {}) : dgp(config) {
    s.now = kT0;
    s.mss = kMss;
    s.t_maxseg = Bytes(1460);
    s.cwnd = kMss * 10;
    s.rwnd = Bytes(1 << 20);
    s.initial_window = kMss * 10;
    s.srtt = s.latest_rtt = 20ms;
  }
  void send(int64_t segments) {
    const uint64_t begin = s.snd_max;
    s.snd_max += static_cast<uint64_t>((kMss * segments).count());
    s.flight += kMss * segments;
    dgp.on_sent(s, begin);
  }
  void ack(int64_t segments, Duration rtt, bool pacer_waits = false) {
    const Bytes bytes = kMss * segments;
    s.una += static_cast<uint64_t>(bytes.count());
    s.flight = s.flight - bytes;
    s.latest_rtt = rtt;
    dgp.on_acked(s, {.bytes = bytes,
                     .sent_at = s.now - rtt,
                     .next_sent_at = s.now - rtt,
                     .rtt = rtt,
                     .pacer_waits = pacer_waits,
                     .has_more = pacer_waits});
  }
  // Data flows at `rate` of payload for `time`, one segment at a time, an rtt of them in flight.
  void flow(Rate rate, Duration rtt, Duration time) {
    const Duration gap = rate.transfer_time(kMss);
    const Instant end = s.now + time;
    while (s.flight < kMss * (rtt / gap)) send(1);
    while (s.now < end) {
      s.now += gap;
      ack(1, rtt);
      send(1);
    }
  }
  Dgp dgp;
  Dgp::Situation s;
};

TEST(Dgp, lets_the_initial_window_leave_in_a_burst) {
  Sender sender;
  EXPECT_TRUE(sender.dgp.pace(sender.s).is_infinite());
  sender.send(10);
  EXPECT_TRUE(sender.dgp.pace(sender.s).is_infinite());
  sender.s.now += 20ms;
  sender.ack(2, 20ms);
  EXPECT_FALSE(sender.dgp.pace(sender.s).is_infinite());
}

TEST(Dgp, counts_the_window_no_further_than_the_receivers_E40) {
  Sender sender;
  sender.flow(8_Mbps, 40ms, 1s);
  sender.s.cwnd = Bytes(250'000);
  sender.s.rwnd = Bytes(100'000);
  EXPECT_EQ(sender.dgp.parts(sender.s).fill_cwnd.bytes_per_second(), 2'500'000u);
}

TEST(Dgp, takes_the_larger_of_goodput_and_long_term_bandwidth_E52) {
  const Rate gp = Rate::bytes_per_second(300'000), lt = Rate::bytes_per_second(1'333'333);
  EXPECT_EQ(gained_pace_rate(std::max(gp, lt), 100).bytes_per_second(), 1'333'333u);
  // And so does the policy: a long fast time, then a slow one.
  Sender sender;
  sender.flow(16_Mbps, 20ms, 20s);
  sender.flow(800_kbps, 200ms, 6s);
  const PaceParts p = sender.dgp.parts(sender.s);
  EXPECT_LT(p.goodput, p.long_term);
  EXPECT_EQ(p.bw,
            gained_pace_rate(line_rate(p.long_term, Bytes(1460), kMss, Bytes(20)), p.multiplier));
  sender.dgp.config().use_long_term = Dgp::Config::UseLongTerm::No;
  EXPECT_EQ(sender.dgp.parts(sender.s).bw,
            gained_pace_rate(line_rate(p.goodput, Bytes(1460), kMss, Bytes(20)), p.multiplier));
}

TEST(Dgp, paces_never_below_64_kbps_E25) {
  EXPECT_EQ(gained_pace_rate(Rate::bytes_per_second(5000), 100).bytes_per_second(), 8000u);
}

TEST(Dgp, is_silent_about_the_window_in_recovery_and_probing) {
  Sender sender;
  sender.flow(8_Mbps, 20ms, 1s);
  sender.s.cwnd = Bytes(1'000'000);
  EXPECT_EQ(sender.dgp.parts(sender.s).by, PaceBy::Fulcrum);
  sender.s.phase = Phase::Recovery;
  const PaceParts p = sender.dgp.parts(sender.s);
  EXPECT_EQ(p.by, PaceBy::Bandwidth);
  EXPECT_EQ(p.multiplier, 90u);
}

TEST(Dgp, lets_the_window_count_in_recovery_when_asked) {
  Dgp::Config config;
  config.fill_in_recovery = true;
  Sender sender(config);
  sender.flow(8_Mbps, 20ms, 1s);
  sender.s.cwnd = Bytes(50'000);
  sender.s.phase = Phase::Recovery;
  const PaceParts p = sender.dgp.parts(sender.s);
  EXPECT_EQ(p.fill_cwnd, 20_Mbps);  // 50,000 B in 20 ms.
  EXPECT_EQ(p.by, PaceBy::FillCwnd);
  EXPECT_EQ(p.multiplier, 90u);
}

// Profile 6: a window of 50,000 B over 20 ms is 20 Mbps; by the multiplier it counts more or less.
TEST(Dgp, discounts_the_window_by_the_multiplier) {
  Dgp::Config config;
  config.discounts_fill = config.fill_in_recovery = true;
  Sender sender(config);
  sender.flow(8_Mbps, 20ms, 1s);
  sender.s.cwnd = Bytes(50'000);
  sender.s.phase = Phase::Avoidance;
  sender.dgp.timely().set_gain(Phase::Avoidance, 60);
  EXPECT_EQ(sender.dgp.parts(sender.s).fill_cwnd, 12_Mbps);
  sender.dgp.timely().set_gain(Phase::Avoidance, 400);
  EXPECT_EQ(sender.dgp.parts(sender.s).fill_cwnd, 50_Mbps);  // No more than 250 %.
  sender.s.phase = Phase::Recovery;
  EXPECT_EQ(sender.dgp.parts(sender.s).fill_cwnd, 10_Mbps);  // Half.
  sender.s.phase = Phase::Avoidance;
  sender.s.cwnd = kMss * 9;  // Below the initial window of ten.
  const PaceParts p = sender.dgp.parts(sender.s);
  EXPECT_EQ(p.fill_cwnd, line_rate(p.long_term, Bytes(1460), kMss, Bytes(20)));
}

// Until then the long-term bandwidth is what there is, and initial window / RTT before that.
TEST(Dgp, trusts_the_estimate_after_as_many_measurements_as_required) {
  Dgp::Config config;
  config.required_measurements = 20;
  Sender sender(config);
  sender.flow(2_Mbps, 20ms, 200ms);
  const auto bw = [&](Rate payload, uint32_t multiplier) {
    return gained_pace_rate(line_rate(payload, Bytes(1460), kMss, Bytes(20)), multiplier);
  };
  PaceParts p = sender.dgp.parts(sender.s);
  ASSERT_GE(p.measurements, 1u);
  ASSERT_LT(p.measurements, 20u);
  const Rate spread = Rate::of(kMss * 10, 20ms);
  EXPECT_EQ(p.bw, bw(std::max(p.long_term, spread), p.multiplier));
  EXPECT_LT(p.goodput, spread);  // 2 Mbps, against ten segments in 20 ms.
  sender.flow(2_Mbps, 20ms, 4s);
  p = sender.dgp.parts(sender.s);
  ASSERT_GE(p.measurements, 20u);
  EXPECT_EQ(p.bw, bw(std::max(p.goodput, p.long_term), p.multiplier));
}

// Windows of a round trip of 100 ms, each of them at another rate of payload.
struct SlowStart {
  Sender sender;
  SlowStart() {
    sender.s.srtt = sender.s.latest_rtt = 100ms;
    sender.s.rwnd = Bytes(1 << 28);
  }
  void round(int64_t segments, Duration spread, bool is_app_limited = false, Duration rtt = 100ms) {
    Dgp::Situation& s = sender.s;
    sender.send(segments);
    if (is_app_limited) sender.dgp.on_app_limited(s);
    const int64_t left = s.flight / kMss;
    s.now += 100ms - spread;
    for (int64_t i = 0; i < left; ++i) {
      s.now += spread / left;
      if (i + 1 == left) sender.send(1);  // Something is always outstanding.
      sender.ack(1, rtt);
    }
  }
};

// The seed is the initial window as the bottleneck spread it, here at 1 Gbps: slow start itself is
// long below it, and grows all the same.
TEST(Dgp, does_not_compare_slow_starts_growth_with_the_seed) {
  SlowStart flow;
  flow.round(10, 116us);
  ASSERT_EQ(flow.sender.dgp.goodput().measurements(), 1u);
  ASSERT_GT(flow.sender.dgp.goodput().estimate(), 500_Mbps);
  for (int64_t segments = 20; segments <= 2560; segments *= 2) {
    flow.round(segments, 90ms);
    EXPECT_FALSE(flow.sender.dgp.is_slow_start_over()) << segments;
  }
  EXPECT_LT(flow.sender.dgp.goodput().estimate(), 500_Mbps);
  for (int i = 0; i < 12; ++i) flow.round(2560, 90ms);
  EXPECT_TRUE(flow.sender.dgp.is_slow_start_over());
}

TEST(Dgp, takes_no_window_that_the_program_left_unfilled_for_a_path_that_is_full) {
  for (const bool is_app_limited : {true, false}) {
    SlowStart flow;
    flow.round(10, 116us);
    for (int i = 0; i < 20; ++i) flow.round(40, 90ms, is_app_limited);
    EXPECT_EQ(flow.sender.dgp.is_slow_start_over(), !is_app_limited);
  }
}

TEST(Dgp, ends_slow_start_at_the_first_measurement_that_has_a_queue_and_no_growth) {
  SlowStart flow;
  flow.round(10, 116us);
  flow.round(40, 90ms);
  flow.round(80, 90ms, false, 160ms);  // A queue, but growth.
  EXPECT_FALSE(flow.sender.dgp.is_slow_start_over());
  flow.round(80, 90ms, false, 140ms);  // No growth, hardly a queue.
  EXPECT_FALSE(flow.sender.dgp.is_slow_start_over());
  // Fewer measurements than are enough without a queue.
  for (int i = 0; i < 3; ++i) flow.round(80, 90ms, false, 160ms);
  EXPECT_TRUE(flow.sender.dgp.is_slow_start_over());
}

TEST(Dgp, lets_a_measuring_burst_exceed_what_may_be_in_flight) {
  Dgp::Config config;
  config.capacity = PathCapacity::Config{};
  Sender sender(config);
  EXPECT_EQ(sender.dgp.cwnd_limit(kMss, kMss * 10), Bytes::max());
  sender.flow(2_Mbps, 20ms, 1s);
  sender.send(10);  // The bottleneck spreads it to 4 Mbps.
  while (sender.s.flight > Bytes(0)) {
    sender.s.now += (4_Mbps).transfer_time(kMss);
    sender.ack(1, 20ms);
  }
  const Bytes limit = sender.dgp.cwnd_limit(kMss, Bytes(0));
  ASSERT_LT(limit, Bytes::max());
  EXPECT_EQ(sender.dgp.cwnd_limit(kMss, kMss * 10), limit + kMss * 10);
}

TEST(Dgp, heeds_an_outer_cap) {
  Dgp::Config config;
  config.rate_cap = 4_Mbps;
  Sender sender(config);
  sender.flow(8_Mbps, 20ms, 1s);
  EXPECT_EQ(sender.dgp.pace(sender.s), 4_Mbps);
  EXPECT_EQ(sender.dgp.parts(sender.s).by, PaceBy::Cap);
}

TEST(Dgp, measures_what_flows) {
  Sender sender;
  sender.flow(8_Mbps, 20ms, 5s);
  const PaceParts p = sender.dgp.parts(sender.s);
  EXPECT_NEAR(static_cast<double>(p.goodput.bps()), 8e6, 8e4);
  EXPECT_GE(p.measurements, 100u);
  EXPECT_EQ(p.min_rtt, Duration(20ms));
}

TEST(Dgp, probes_after_9600_ms_without_a_lower_round_trip_E63) {
  Sender sender;
  sender.flow(10_Mbps, 40ms, 9590ms);
  EXPECT_FALSE(sender.dgp.is_probing());
  sender.flow(10_Mbps, 40ms, 30ms);
  EXPECT_TRUE(sender.dgp.is_probing());
  EXPECT_EQ(sender.dgp.parts(sender.s).state, PaceParts::State::ProbeRtt);
}

TEST(Dgp, counts_a_pause_of_40_ms_as_a_probe_E67) {
  for (const Duration pause : {Duration(40ms - 1us), Duration(41ms)}) {
    Sender sender;
    sender.flow(10_Mbps, 40ms, 9s);
    sender.ack(sender.s.flight / kMss, 40ms);  // Nothing is outstanding.
    sender.s.now += pause;
    sender.flow(10_Mbps, 40ms, 580ms);
    EXPECT_EQ(sender.dgp.is_probing(), pause < 40ms) << pause.count();
  }
}

TEST(Dgp, comes_back_from_a_probe_faster_than_it_was_E66) {
  Sender sender;
  sender.send(60);  // More than the path holds.
  sender.flow(10_Mbps, 40ms, 9620ms);
  ASSERT_TRUE(sender.dgp.is_probing());
  sender.s.flight = Bytes(0);
  sender.s.now += 80ms;
  sender.send(1);
  sender.ack(1, 40ms);
  EXPECT_TRUE(sender.dgp.is_probing());
  sender.s.now += 39ms;
  sender.send(1);
  sender.ack(1, 40ms);
  EXPECT_TRUE(sender.dgp.is_probing());
  sender.s.now += 1ms;
  sender.send(1);
  sender.ack(1, 40ms);
  EXPECT_FALSE(sender.dgp.is_probing());
  EXPECT_EQ(sender.dgp.timely().gain(Phase::SlowStart), 130u);
  EXPECT_EQ(sender.dgp.timely().gain(Phase::Avoidance), 130u);
  EXPECT_EQ(sender.dgp.timely().rtt_diff(), Duration(0));
}

TEST(Dgp, raises_the_estimate_when_the_path_ran_dry) {
  Sender sender;
  sender.flow(2_Mbps, 20ms, 2s);
  const Rate before = sender.dgp.goodput().estimate();
  const int64_t left = sender.s.flight / kMss;
  sender.send(40);
  sender.s.now += 20ms;
  sender.ack(40 + left, 20ms, true);
  EXPECT_GT(sender.dgp.goodput().estimate(), before.percent(200));
}

TEST(MinRtt, is_the_least_of_ten_seconds) {
  MinRtt filter;
  EXPECT_FALSE(filter.has_sample());
  EXPECT_EQ(filter.add(kT0, 20ms), Duration(20ms));
  for (int i = 1; i <= 100; ++i) EXPECT_EQ(filter.add(kT0 + i * 100ms, 30ms), Duration(20ms));
  EXPECT_EQ(filter.add(kT0 + 10s + 1ms, 30ms), Duration(30ms));  // Older than the window.
  EXPECT_EQ(filter.add(kT0 + 11s, 10ms), Duration(10ms));
}

TEST(MinRtt, keeps_a_minimum_that_is_just_ten_seconds_old) {
  MinRtt filter;
  filter.add(kT0, 20ms);
  filter.add(kT0 + 4s, 25ms);
  filter.add(kT0 + 8s, 30ms);
  EXPECT_EQ(filter.add(kT0 + 10s, 40ms), Duration(20ms));
  EXPECT_EQ(filter.add(kT0 + 10s + 1ns, 40ms), Duration(25ms));
}

}  // namespace
}  // namespace wh::pacing
