// probeRTT: now and then what is in the network is let down, so that the path's own round-trip time
// shows.
//
// The minimum of the last ten seconds is worth nothing when the queue never ran empty in them.
// 9.6 s after the last lowering of the minimum the sender probes, in one of two ways:
//
//   Gain    (FreeBSD) paces at 60 % of the estimate, 10 points less each round trip but not below
//           40, until no more is in flight than the path holds without a queue (bandwidth x minRTT,
//           at least 4 segments); then 40 ms more; 2 s at most.
//   Cwnd4   (the article, BBR) holds the congestion window at 4 segments until no more is in
//           flight, and then for 200 ms or a round trip, whichever is longer.
//
// Gain costs less, but what it drains to is reckoned from the minimum itself: where several senders
// keep a queue that none of them has seen empty for ten seconds, the minimum has the queue in it,
// and they never drain it. Auto is Gain until the minimum has risen, and then Cwnd4.
//
// A pause of 40 ms with nothing outstanding serves as well and restarts the clock.
// Source: "Dynamic Goodput Pacing", section "Delay Gradient with Timely"; FreeBSD RACK, 2024.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/units.h"

namespace wh::pacing {

class ProbeRtt {
 public:
  static constexpr int64_t kLeastSegments = 4;
  enum class Mode : uint8_t { Gain, Cwnd4, Off, Auto };
  struct Config {  // net.inet.tcp.rack.probertt.*
    Mode mode = Mode::Auto;
    Duration time_between = 9'600ms;
    uint32_t gp_per_mul = 60, gp_per_reduce = 10, gp_per_low = 40;  // Percent.
    uint32_t must_drain_srtts = 1;  // A highly buffered path: one more.
    Duration hold = 40ms, safety = 2s;
    Duration cwnd4_hold = 200ms;
    uint32_t exit_gain = 130;    // Percent.
    Duration must_move = 250us;  // Less is no lowering. (FreeBSD's constant is 250 ms.)
    uint32_t lower_within = 10;  // Percent of time_between: a lowering so late enters at once.
    bool operator==(const Config&) const = default;
  };
  struct Situation {
    Instant now{};
    Bytes flight{0}, mss{0};
    Rate bandwidth;  // As used for pacing, without the multiplier.
    Duration min_rtt{0}, goodput_rtt{0};
    bool is_highly_buffered = false;
  };

  ProbeRtt() = default;
  explicit ProbeRtt(Config config) : config_(config) {}

  bool is_active() const { return is_active_; }
  // The multiplier while active; 0 when it is not changed (Cwnd4).
  uint32_t gain(const Situation& s) const;
  // Most that may be in flight while active.
  Bytes cwnd_limit(Bytes mss) const {
    return is_active_ && kind_ == Mode::Cwnd4 ? mss * kLeastSegments : Bytes::max();
  }
  // The minimum in the filter changed from `before` to `after`. True: probe at once, another sender
  // seems to do so.
  bool on_minimum(Instant now, Duration before, Duration after);
  // Is it time? REQUIRES: an estimate exists.
  bool is_due(Instant now) const {
    return config_.mode != Mode::Off && !is_active_ && now - lowered_at_ >= config_.time_between;
  }
  // `has_risen`: the minimum is well above the lowest round trip that the connection ever had.
  void enter(Instant now, bool has_risen);
  // Returns true when the probe ends with this. REQUIRES: is_active().
  bool update(const Situation& s);
  // Nothing was outstanding for so long.
  void on_idle(Instant now, Duration idle) {
    if (idle >= config_.hold) restart(now);
  }
  void restart(Instant now) { lowered_at_ = now; }

  Bytes target(const Situation& s) const;
  const Config& config() const { return config_; }

 private:
  Config config_;
  bool is_active_ = false;
  bool is_holding_ = false;
  Mode kind_ = Mode::Gain;  // Of this probe, or the last.
  Instant lowered_at_{}, entered_at_{}, holding_since_{};
};

}  // namespace wh::pacing
