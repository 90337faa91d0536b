#include <gtest/gtest.h>

#include "tcp/congestion/cubic.h"
#include "tcp/congestion/delivery_rate.h"
#include "tcp/congestion/newreno.h"
#include "tcp/congestion/vegas.h"

namespace wh::tcp {
namespace {

constexpr Bytes kMss(1000);
constexpr Instant kT0 = Instant(1000s);

CongestionState state_of(int64_t cwnd_segments, Bytes ssthresh = Bytes::max()) {
  return {.mss = kMss, .cwnd = kMss * cwnd_segments, .ssthresh = ssthresh};
}

AckEvent ack_of(Bytes acked, Instant now = kT0) {
  return {.now = now, .acked = acked, .srtt = 100ms, .is_cwnd_limited = true};
}

TEST(InitialWindow, is_that_of_rfc_6928_E94) {
  EXPECT_EQ(initial_window(Bytes(1460)), Bytes(14600));
  EXPECT_EQ(initial_window(Bytes(1448)), Bytes(14480));
  EXPECT_EQ(initial_window(Bytes(9000)), Bytes(18000));
}

TEST(InitialWindow, is_that_of_the_rfcs_before_when_told) {
  constexpr InitialWindow kRfc3390{0, true}, kRfc5681{0, false}, kFour{4, true};
  EXPECT_EQ(initial_window(Bytes(1460), kRfc3390), Bytes(4380));
  EXPECT_EQ(initial_window(Bytes(536), kRfc3390), Bytes(4 * 536));
  EXPECT_EQ(initial_window(Bytes(9000), kRfc3390), Bytes(18000));
  EXPECT_EQ(initial_window(Bytes(1095), kRfc5681), Bytes(4 * 1095));
  EXPECT_EQ(initial_window(Bytes(1096), kRfc5681), Bytes(3 * 1096));
  EXPECT_EQ(initial_window(Bytes(2191), kRfc5681), Bytes(2 * 2191));
  EXPECT_EQ(initial_window(Bytes(1460), kFour), Bytes(5840));
}

// Rounds of ten acknowledgments each, of one round trip.
void round_of(NewReno& cc, CongestionState& s, Duration rtt) {
  for (int i = 0; i < 10; ++i) {
    AckEvent event = ack_of(kMss);
    event.rtt = rtt;
    event.is_round_start = i == 0;
    cc.on_ack(s, event);
  }
}

TEST(NewReno, leaves_slow_start_by_hystart_when_asked) {
  using HyStartUse = CongestionState::HyStartUse;
  for (const HyStartUse use : {HyStartUse::Usual, HyStartUse::Off, HyStartUse::On}) {
    NewReno cc;
    CongestionState s = state_of(10);
    s.hystart = use;
    round_of(cc, s, 64ms);
    for (int i = 0; i < 7; ++i) round_of(cc, s, 90ms);
    EXPECT_EQ(s.in_slow_start(), use != HyStartUse::On);
  }
  NewReno cc({.hystart = true});
  CongestionState s = state_of(10);
  round_of(cc, s, 64ms);
  round_of(cc, s, 90ms);
  EXPECT_LT(s.cwnd, kMss * 30);  // Growing by a quarter.
}

TEST(NewReno, halves_at_a_loss_and_falls_to_one_segment_at_a_timeout_E89) {
  NewReno cc;
  CongestionState s = state_of(20);
  const LossEvent event{kT0, kMss * 20, Bytes(1 << 20)};
  cc.on_loss(s, event);
  EXPECT_EQ(s.ssthresh, kMss * 10);
  s = state_of(20);
  cc.on_timeout(s, event, true);
  EXPECT_EQ(s.ssthresh, kMss * 10);
  EXPECT_EQ(s.cwnd, kMss);
}

TEST(NewReno, keeps_four_fifths_under_a_rate_policy) {
  NewReno cc;
  CongestionState s = state_of(20);
  s.has_rate_policy = true;
  cc.on_loss(s, {kT0, kMss * 20, Bytes(1 << 20)});
  EXPECT_EQ(s.ssthresh, kMss * 16);
}

TEST(NewReno, never_goes_below_two_segments) {
  NewReno cc;
  CongestionState s = state_of(3);
  cc.on_loss(s, {kT0, kMss * 3, Bytes(1 << 20)});
  EXPECT_EQ(s.ssthresh, kMss * 2);
}

TEST(NewReno, grows_by_what_is_acknowledged_then_by_a_segment_a_window) {
  NewReno cc;
  CongestionState s = state_of(10);
  cc.on_ack(s, ack_of(kMss * 2));
  EXPECT_EQ(s.cwnd, kMss * 12);
  cc.on_ack(s, ack_of(kMss * 8));  // A stretched acknowledgment counts for two segments.
  EXPECT_EQ(s.cwnd, kMss * 14);
  s = state_of(10, kMss * 10);
  for (int i = 0; i < 9; ++i) cc.on_ack(s, ack_of(kMss));
  EXPECT_EQ(s.cwnd, kMss * 10);
  cc.on_ack(s, ack_of(kMss));
  EXPECT_EQ(s.cwnd, kMss * 11);
}

TEST(NewReno, does_not_grow_a_window_that_is_not_used) {
  NewReno cc;
  CongestionState s = state_of(10);
  AckEvent event = ack_of(kMss);
  event.is_cwnd_limited = false;
  cc.on_ack(s, event);
  EXPECT_EQ(s.cwnd, kMss * 10);
}

TEST(Cubic, follows_the_curve_after_a_loss_at_a_hundred_segments_E90) {
  Cubic cc;
  CongestionState s = state_of(100, kMss * 50);
  cc.on_loss(s, {kT0, kMss * 100, Bytes(1 << 20)});
  EXPECT_EQ(s.ssthresh, kMss * 70);
  cc.on_recovery_end(s, kT0);
  EXPECT_EQ(s.cwnd, kMss * 70);
  cc.on_ack(s, ack_of(kMss));  // The epoch begins.
  EXPECT_NEAR(cc.k(), 4.217, 0.001);
  EXPECT_NEAR(cc.window_at(0s), 70, 0.01);
  EXPECT_NEAR(cc.window_at(1s), 86.68, 0.01);
  EXPECT_NEAR(cc.window_at(2s), 95.64, 0.01);
  EXPECT_NEAR(cc.window_at(Duration(static_cast<int64_t>(2 * cc.k() * 1e9))), 130, 0.01);
}

TEST(Cubic, gives_way_when_it_loses_ground_E91) {
  Cubic cc;
  CongestionState s = state_of(100, kMss * 50);
  cc.on_loss(s, {kT0, kMss * 100, Bytes(1 << 20)});
  s.cwnd = kMss * 80;
  cc.on_loss(s, {kT0, kMss * 80, Bytes(1 << 20)});
  EXPECT_NEAR(cc.w_max(), 68, 1e-9);
}

TEST(Cubic, climbs_to_where_it_lost_in_k_seconds) {
  Cubic cc;
  CongestionState s = state_of(100, kMss * 50);
  cc.on_loss(s, {kT0, kMss * 100, Bytes(1 << 20)});
  cc.on_recovery_end(s, kT0);
  Instant now = kT0;
  while (now < kT0 + 4217ms) {  // One window's acknowledgments each 100 ms.
    const int64_t n = s.cwnd / kMss;
    for (int64_t i = 0; i < n; ++i) cc.on_ack(s, ack_of(kMss, now + 100ms * i / n));
    now += 100ms;
  }
  EXPECT_NEAR(static_cast<double>(s.cwnd / kMss), 100, 2);
}

// RFC 9438 section 4.2: t does not include application-limited periods.
TEST(Cubic, time_stands_still_while_the_window_is_not_used) {
  const auto run = [](Duration pause) {
    Cubic cc;
    CongestionState s = state_of(100, kMss * 50);
    cc.on_loss(s, {kT0, kMss * 100, Bytes(1 << 20)});
    cc.on_recovery_end(s, kT0);
    Instant now = kT0;
    const auto round = [&](bool is_limited) {
      const int64_t n = s.cwnd / kMss;
      for (int64_t i = 0; i < n; ++i) {
        AckEvent event = ack_of(kMss, now + 100ms * i / n);
        event.is_cwnd_limited = is_limited;
        cc.on_ack(s, event);
      }
      now += 100ms;
    };
    while (now < kT0 + 2s) round(true);
    const Bytes before = s.cwnd;
    const Instant resumed = now + pause;
    while (now < resumed) round(false);
    EXPECT_EQ(s.cwnd, before);
    for (int i = 0; i < 10; ++i) round(true);
    return s.cwnd / kMss;
  };
  EXPECT_NEAR(static_cast<double>(run(20s)), static_cast<double>(run(0s)), 1);
}

TEST(HyStart, turns_conservative_at_the_threshold_E93) {
  EXPECT_EQ(HyStart::threshold(64ms), Duration(8ms));
  EXPECT_EQ(HyStart::threshold(20ms), Duration(4ms));
  EXPECT_EQ(HyStart::threshold(200ms), Duration(16ms));
  const Duration edge = 72ms;
  for (const Duration second : {Duration(edge - 1ns), edge}) {
    HyStart h;
    for (uint32_t i = 0; i < HyStart::kSamples; ++i) h.on_ack(64ms, i == 0);
    for (uint32_t i = 0; i < HyStart::kSamples; ++i) {
      EXPECT_FALSE(h.is_conservative());
      h.on_ack(second, i == 0);
    }
    EXPECT_EQ(h.is_conservative(), second == edge);
  }
}

TEST(HyStart, ends_slow_start_after_five_conservative_rounds_or_goes_back) {
  HyStart h;
  const auto round = [&](Duration rtt) {
    bool is_over = false;
    for (uint32_t i = 0; i < HyStart::kSamples; ++i) is_over |= h.on_ack(rtt, i == 0);
    return is_over;
  };
  round(64ms);
  round(80ms);
  ASSERT_TRUE(h.is_conservative());
  round(70ms);
  EXPECT_FALSE(h.is_conservative());
  round(90ms);
  ASSERT_TRUE(h.is_conservative());
  EXPECT_EQ(h.growth(kMss * 8, kMss, false), kMss * 2);
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(round(95ms));  // The one that turned was the first.
  EXPECT_TRUE(round(95ms));
}

// Feeds Vegas rounds of one round-trip time each, all acknowledged in one go.
struct VegasRounds {
  Vegas cc;
  CongestionState s;
  void round(Duration rtt, Duration base = 100ms) {
    AckEvent event = ack_of(s.cwnd);
    event.rtt = rtt;
    event.min_rtt = base;
    event.is_round_start = true;
    cc.on_ack(s, event);
  }
};

TEST(Vegas, keeps_between_one_and_three_segments_waiting_E92) {
  for (const auto& [rtt, change] : {std::pair(105ms, 1), {110ms, 0}, {120ms, -1}}) {
    VegasRounds v{.cc = {}, .s = state_of(20, kMss * 10)};
    v.round(rtt);  // Its sample counts at the end of the round.
    v.s.cwnd = kMss * 20;
    v.round(rtt);
    EXPECT_EQ(v.s.cwnd, kMss * (20 + change)) << rtt.count();
  }
  EXPECT_EQ(Vegas::queued(kMss * 20, 100ms, 105ms), Bytes(952));
  EXPECT_EQ(Vegas::queued(kMss * 20, 100ms, 110ms), Bytes(1818));
  EXPECT_EQ(Vegas::queued(kMss * 20, 100ms, 120ms), Bytes(3333));
}

TEST(Vegas, a_window_made_smaller_is_not_slow_start_again) {
  VegasRounds v{.cc = {}, .s = state_of(20, kMss * 20)};
  for (int i = 0; i < 6; ++i) v.round(120ms);
  EXPECT_EQ(v.s.cwnd, kMss * 18);  // Of which three wait.
}

TEST(Vegas, doubles_every_other_round_only) {
  VegasRounds v{.cc = {}, .s = state_of(10)};
  std::vector<int64_t> grown;
  for (int i = 0; i < 6; ++i) {
    const Bytes before = v.s.cwnd;
    v.round(100ms);
    grown.push_back((v.s.cwnd - before) / kMss);
  }
  EXPECT_EQ(grown, (std::vector<int64_t>{2, 0, 2, 0, 2, 0}));  // Two: one acknowledgment's limit.
}

TEST(Vegas, ends_slow_start_when_one_buffer_waits) {
  for (const Duration rtt : {Duration(110ms), Duration(112ms)}) {
    VegasRounds v{.cc = {}, .s = state_of(10)};
    v.round(rtt);
    v.round(rtt);
    v.s.cwnd = kMss * 10;  // Of ten, 0.9 or 1.07 wait.
    v.round(rtt);
    EXPECT_TRUE(v.s.in_slow_start());  // These round trips tell of the bursts of growing.
    v.s.cwnd = kMss * 20;
    v.round(rtt);
    EXPECT_EQ(v.s.in_slow_start(), rtt == 110ms);
    if (rtt == 110ms) continue;
    EXPECT_EQ(v.s.cwnd, kMss * 11 - Vegas::queued(kMss * 10, 100ms, rtt));
  }
}

TEST(DeliveryRate, is_what_was_delivered_over_the_longer_of_two_times) {
  DeliveryRate rates;
  rates.on_send(kT0, Bytes(0), kMss * 10);
  RateSample rs = rates.on_delivered(kT0 + 100ms, kMss * 2, kT0, 100ms);
  EXPECT_EQ(rs.delivery_rate, Rate::of(kMss * 2, 100ms));
  rs = rates.on_delivered(kT0 + 104ms, kMss * 8, kT0, 100ms);
  EXPECT_EQ(rs.delivery_rate, Rate::of(kMss * 10, 104ms));
  EXPECT_EQ(rs.tx_in_flight, kMss * 10);
  EXPECT_TRUE(rates.on_delivered(kT0 + 110ms, kMss, kT0 + 1ms, 100ms).delivery_rate.is_zero());
}

TEST(DeliveryRate, knows_when_the_application_was_the_limit) {
  DeliveryRate rates;
  rates.on_send(kT0, Bytes(0), kMss * 2);
  rates.mark_app_limited(kMss * 2);
  rates.on_send(kT0 + 10ms, kMss * 2, kMss * 4);
  EXPECT_FALSE(rates.on_delivered(kT0 + 100ms, kMss * 2, kT0, 100ms).is_app_limited);
  EXPECT_TRUE(rates.is_app_limited());
  EXPECT_TRUE(rates.on_delivered(kT0 + 110ms, kMss * 2, kT0 + 10ms, 100ms).is_app_limited);
  EXPECT_FALSE(rates.is_app_limited());
}

TEST(DeliveryRate, forgets_what_is_no_longer_outstanding) {
  DeliveryRate rates;
  for (int i = 0; i < 10; ++i) rates.on_send(kT0 + i * 1ms, kMss * i, kMss * (i + 1));
  rates.forget_before(kT0 + 5ms);
  EXPECT_EQ(rates.find(kT0 + 4ms), nullptr);
  EXPECT_NE(rates.find(kT0 + 5ms), nullptr);
}

}  // namespace
}  // namespace wh::tcp
