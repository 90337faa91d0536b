#include "pacing/goodput.h"

#include <gtest/gtest.h>

#include "pacing/test_support.h"

namespace wh::pacing {
namespace {

constexpr auto mbps = [](double megabytes) {
  return Rate::bytes_per_second(static_cast<uint64_t>(megabytes * 1e6));
};

TEST(GoodputFilter, averages_the_first_three_E42) {
  GoodputFilter f;
  const double measured[] = {1.0, 1.4, 1.8}, expected[] = {1.0, 1.2, 1.4};
  for (int i = 0; i < 3; ++i) {
    f.add(mbps(measured[i]), 20ms, 20ms);
    EXPECT_EQ(f.estimate(), mbps(expected[i]));
  }
  EXPECT_EQ(f.measurements(), 3u);
}

GoodputFilter averaging(Rate rate) {
  GoodputFilter f;
  for (int i = 0; i < 3; ++i) f.add(rate, 20ms, 20ms);
  return f;
}

TEST(GoodputFilter, weighs_the_fourth_with_an_eighth_E43) {
  GoodputFilter f = averaging(mbps(1));
  f.add(mbps(2), 40ms, 20ms);
  EXPECT_EQ(f.estimate().bytes_per_second(), 1'125'000u);
}

TEST(GoodputFilter, weighs_half_a_round_trip_with_a_sixteenth_E44) {
  GoodputFilter f = averaging(mbps(1));
  f.add(mbps(2), 10ms, 20ms);
  EXPECT_EQ(f.estimate().bytes_per_second(), 1'062'500u);
}

TEST(GoodputFilter, never_weighs_a_longer_measurement_less) {
  uint64_t before = 0;
  for (int ms = 1; ms <= 60; ++ms) {
    GoodputFilter f = averaging(mbps(1));
    f.add(mbps(2), ms * 1ms, 20ms);
    EXPECT_GE(f.estimate().bps(), before) << ms;
    before = f.estimate().bps();
  }
}

GoodputWindow::Situation situation() {
  return {
      .now = kT0, .mss = kMss, .rwnd = Bytes(1 << 24), .initial_window = kMss * 10, .srtt = 20ms};
}

TEST(GoodputWindow, covers_two_bandwidth_delay_products_E46) {
  GoodputWindow::Situation s = situation();
  s.estimate = mbps(3.75);
  s.srtt = 40ms;
  EXPECT_EQ(GoodputWindow().target(s), Bytes(301'184));
}

TEST(GoodputWindow, covers_eight_segments_at_least_E47) {
  GoodputWindow::Situation s = situation();
  s.estimate = Rate::bytes_per_second(125'000);
  EXPECT_EQ(GoodputWindow().target(s), Bytes(11'584));
}

// A window with the situation in it, and acknowledgments by the segment.
struct Feed {
  GoodputWindow w;
  GoodputWindow::Situation s = situation();
  std::optional<GoodputWindow::Measurement> last;
  void send(int64_t segments) {
    const uint64_t begin = s.snd_max;
    s.snd_max += static_cast<uint64_t>((kMss * segments).count());
    w.on_sent(s, begin);
  }
  void ack(int64_t segments, Duration rtt = 20ms) {
    s.una += static_cast<uint64_t>((kMss * segments).count());
    if (auto m = w.on_acked(s, {.sent_at = s.now - rtt, .next_sent_at = s.now - rtt, .rtt = rtt})) {
      last = m;
    }
  }
};

TEST(GoodputWindow, seeds_itself_from_the_initial_window) {
  Feed r;
  r.send(10);
  r.s.now += 20ms;
  r.ack(2);  // Only the time base.
  for (int i = 0; i < 4; ++i) {
    EXPECT_FALSE(r.last);
    r.send(4);
    r.s.now += 1ms;
    r.ack(2);
  }
  ASSERT_TRUE(r.last);  // 8 segments in 4 ms.
  EXPECT_EQ(r.last->bytes, kMss * 8);
  EXPECT_EQ(r.last->took, Duration(4ms));
  EXPECT_EQ(r.last->rate, Rate::of(kMss * 8, 4ms));
  EXPECT_TRUE(r.w.is_open());  // And goes on at once.
}

TEST(GoodputWindow, is_clamped_to_what_the_receiver_lets_pass_E45) {
  Feed r;
  r.s.rwnd = Bytes(65'535);
  r.s.estimate = mbps(1);
  r.send(100);
  r.s.now += 20ms;
  r.ack(1);
  r.s.now += 1ms;
  r.ack(60);  // At 87 MB/s, were it so.
  ASSERT_TRUE(r.last);
  EXPECT_EQ(r.last->rate.bytes_per_second(), 3'276'750u);
}

// One lost segment: what was SACKed meanwhile counts only when the hole is filled, and the stall
// does count.
TEST(GoodputWindow, folds_recovery_into_the_estimate_E48) {
  const auto run = [](bool with_loss) {
    Feed r;
    r.s.estimate = mbps(1.448);
    r.send(200);
    for (int i = 0; i < 60 && !r.last; ++i) {  // A segment a millisecond arrives at the peer.
      r.s.now += 1ms;
      const bool is_stalled = with_loss && i >= 10 && i < 30;
      r.s.in_recovery = is_stalled;
      if (with_loss && i == 30) {
        r.ack(20);  // All but the lost one had arrived; its own place took a delivery.
      } else if (!is_stalled) {
        r.ack(1);
      }
    }
    return r.last;
  };
  const auto clean = run(false), lossy = run(true);
  ASSERT_TRUE(clean && lossy);
  EXPECT_EQ(clean->rate, Rate::of(kMss, 1ms));
  EXPECT_LT(lossy->rate, clean->rate);
  EXPECT_GE(lossy->took, Duration(20ms));
}

TEST(GoodputWindow, drops_a_measurement_cut_short_below_six_segments_E49) {
  for (const int64_t sent : {5, 6}) {
    Feed r;
    r.s.estimate = mbps(1);
    r.s.initial_window = kMss * 6;
    r.s.snd_max = r.s.una = 1'000'000;
    r.send(1);
    r.s.now += 20ms;
    r.send(sent);
    r.ack(1);  // The base: `sent` segments follow.
    r.w.on_app_limited(r.s);
    r.s.now += 6ms;
    r.ack(sent);
    EXPECT_EQ(r.last.has_value(), sent == 6) << sent;
  }
}

TEST(GoodputWindow, is_not_ended_by_the_congestion_window_E50) {
  Feed r;
  r.s.estimate = mbps(10);  // A long window.
  r.send(10);
  r.s.now += 20ms;
  r.ack(1);
  for (int i = 0; i < 5; ++i) {  // The sender stands still with data to send, round after round.
    r.send(1);
    r.s.now += 2ms;
    r.ack(1);
    EXPECT_TRUE(r.w.is_open());
    EXPECT_FALSE(r.last);
  }
}

TEST(GoodputWindow, does_not_begin_within_what_was_sent_before_a_pause) {
  Feed r;
  r.s.estimate = mbps(1);
  r.send(10);
  r.s.now += 20ms;
  r.ack(1);
  r.w.on_app_limited(r.s);
  r.s.now += 1ms;
  r.ack(9);  // All acknowledged.
  ASSERT_TRUE(r.last);
  EXPECT_FALSE(r.w.is_open());
  r.s.now += 1s;
  r.last.reset();
  r.send(20);
  r.s.now += 20ms;
  r.ack(2);  // The second of silence is not in the measurement: its base is this.
  for (int i = 0; i < 9; ++i) {
    r.s.now += 1ms;
    r.ack(2);
  }
  ASSERT_TRUE(r.last);
  EXPECT_EQ(r.last->rate, Rate::of(kMss * 2, 1ms));
}

TEST(GoodputWindow, ends_after_a_round_trip_and_in_recovery_after_two) {
  for (const bool in_recovery : {false, true}) {
    Feed r;
    r.s.estimate = mbps(10);
    r.s.in_recovery = in_recovery;
    r.send(200);
    r.s.now += 20ms;
    r.ack(1);
    r.s.now += 20ms - 1ns;
    r.ack(15);
    EXPECT_FALSE(r.last);
    r.s.now += 1ns;
    r.ack(1);
    EXPECT_EQ(r.last.has_value(), !in_recovery);
    r.s.now += 20ms - 1ns;
    r.ack(1);
    EXPECT_EQ(r.last.has_value(), !in_recovery);
    r.s.now += 1ns;
    r.ack(1);
    EXPECT_TRUE(r.last);
  }
}

TEST(GoodputWindow, keeps_its_own_round_trip_time) {
  Feed r;
  r.s.estimate = mbps(1);
  r.send(100);
  r.s.now += 50ms;
  r.ack(1, 50ms);
  r.ack(1, 58ms);
  EXPECT_EQ(r.w.rtt(), Duration(51ms));  // 50 + (58 - 50) / 8
}

}  // namespace
}  // namespace wh::pacing
