// TimelyMultiplier: how much of the estimated bandwidth to pace at, from the gradient of the round
// trip.
//
// TIMELY (Mittal et al., SIGCOMM 2015, algorithm 1) adapted to a path whose round-trip time nobody
// knows: new_rtt and prev_rtt are the round-trip times of the last two goodput measurements, minRTT
// is the least of the last ten seconds, and instead of a rate a multiplier moves, once a
// measurement. Three multipliers, in percent: for slow start, for congestion avoidance, and for
// recovery.
//
//   verdict   round trip                          multiplier
//   Low       <= 5/4 min, or falling              + 2, the fifth time in a row + 10
//   Rising    between, gradient > 0               x (1 - 0.8 gradient)
//   High      >= 3 min                            x min(that, 1 - 0.8 (1 - 3 min / rtt))
//
// not below 50; not raised while the pace is 30 % above what was last measured. FreeBSD's
// adaptation, followed here, also asks whether the bandwidth moved: a rise of the estimate by 2 %
// is pushed after, and so is a fall by 4 % without a loss, up to three times, since it may come
// from pacing too slowly.
// Source: "Dynamic Goodput Pacing", section "Delay Gradient with Timely"; FreeBSD RACK, 2024.
#pragma once

#include <cstdint>

#include "core/units.h"

namespace wh::pacing {

enum class Phase : uint8_t { SlowStart, Avoidance, Recovery };

class Timely {
 public:
  struct Config {                     // net.inet.tcp.rack.timely.*
    uint32_t increase = 2;            // Percentage points.
    uint32_t decrease = 80;           // beta, percent.
    uint32_t upper = 2, lower = 4;    // Percent by which the bandwidth has moved.
    uint32_t rtt_max_mul = 3;         // T_high = minRTT x this.
    uint32_t rtt_min_div = 4;         // T_low = minRTT + minRTT / this.
    uint32_t lowerbound = 50;         // Percent.
    uint32_t max_pace_over = 30;      // Percent; pacing.max_pace_over.
    uint32_t max_push_drop = 3;       // Raises in spite of a falling bandwidth.
    uint32_t dec_raise_thresh = 100;  // Only while the multiplier is not above this.
    uint32_t start_slow_start = 250;  // pacing.gp_per_ss
    uint32_t start_avoidance = 100;   // DGP's; pacing.gp_per_ca is 200 without it.
    uint32_t start_recovery = 90;     // DGP's.
    uint32_t bound_slow_start = 0, bound_avoidance = 0;  // TCP_DGP_UPPER_BOUNDS; 0: none.
    bool no_recovery_change = true;                      // TCP_REC_IS_DYN turns this off.
    bool enabled = true;                                 // TCP_NO_TIMELY turns this off.
    // With a long queue 0 still pushes after a falling bandwidth, 1 only lowers, 2 first takes back
    // what is above 100 % (TCP_RACK_NO_PUSH_AT_MAX; DGP's is 2).
    uint32_t no_push_at_max = 2;
    bool operator==(const Config&) const = default;
  };
  enum class Verdict : uint8_t { Low, Rising, High };

  struct Measured {
    Duration rtt{0}, min_rtt{0};  // curGpRTT; the windowed minimum.
    Rate estimate;                // With this measurement in it.
    Rate last;                    // This measurement.
    bool saw_slow_start = false;  // Something was sent in slow start during the window.
    bool saw_loss = false;
  };

  Timely() : Timely(Config{}) {}
  explicit Timely(Config config);

  // A goodput measurement is complete.
  void on_measurement(const Measured& m);
  uint32_t gain(Phase phase) const { return gains_[static_cast<size_t>(phase)]; }
  void set_gain(Phase phase, uint32_t percent) { gains_[static_cast<size_t>(phase)] = percent; }
  // probeRTT is over: from here up to find what the path has.
  void on_probe_exit(uint32_t percent);
  // The path ran dry while the pacer waited: at least the `estimate` itself, or with `boost` more,
  // as far as the multiplier may be raised.
  void on_bottom(bool boost, Rate estimate);

  Duration rtt_diff() const { return rtt_diff_; }
  Duration previous_rtt() const { return previous_rtt_; }  // prevGpRTT
  Config& config() { return config_; }

 private:
  Verdict judge(const Measured& m) const;
  void apply(Verdict verdict, const Measured& m);
  void raise(const Measured& m, bool override);
  void lower(Verdict verdict, const Measured& m);
  bool may_raise(uint32_t gain, Rate estimate) const;
  uint32_t lowered(uint32_t gain, Verdict verdict, const Measured& m) const;
  uint32_t& changed(const Measured& m) {
    return gains_[static_cast<size_t>(m.saw_slow_start ? Phase::SlowStart : Phase::Avoidance)];
  }

  Config config_;
  uint32_t gains_[3];
  Duration rtt_diff_{0}, previous_rtt_{0};
  Rate compared_;  // The estimate at the last comparison.
  Rate last_;      // The last measurement.
  uint32_t raises_in_row_ = 0;
  uint32_t pushes_ = 0;  // Raises in spite of a falling bandwidth, in a row.
};

}  // namespace wh::pacing
