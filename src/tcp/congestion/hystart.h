// HyStart++: leaving slow start before it overshoots (RFC 9406).
//
// A round is a window's worth of acknowledgments. When a round's least RTT rises by an eighth (4 to
// 16 ms) over the last round's, growth slows to a quarter ("conservative slow start"); when that
// lasts five rounds slow start ends, and when the RTT falls below what it was at the turn, slow
// start goes on.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/units.h"

namespace wh::tcp {

class HyStart {
 public:
  static constexpr Duration kMinThreshold = 4ms, kMaxThreshold = 16ms;
  static constexpr uint32_t kSamples = 8, kGrowthDivisor = 4, kConservativeRounds = 5;
  static constexpr int64_t kLimit = 8;  // Segments an acknowledgment, when not paced.

  // An acknowledgment came in slow start, with its RTT sample (0: none). Returns true when slow
  // start is over.
  bool on_ack(Duration rtt, bool is_round_start) {
    bool is_over = false;
    if (is_round_start) {
      last_min_ = current_min_;
      current_min_ = kUnset;
      samples_ = 0;
      // The round in which it turned counts, however little of it was left (RFC 9406 section 4.2).
      if (is_conservative_ && ++conservative_rounds_ >= kConservativeRounds) is_over = true;
    }
    if (rtt > Duration::zero()) {
      current_min_ = std::min(current_min_, rtt);
      ++samples_;
    }
    if (samples_ < kSamples || last_min_ == kUnset) return is_over;
    if (!is_conservative_ && current_min_ >= last_min_ + threshold(last_min_)) {
      is_conservative_ = true;
      baseline_ = current_min_;
      conservative_rounds_ = 0;
    } else if (is_conservative_ && current_min_ < baseline_) {
      is_conservative_ = false;
      baseline_ = kUnset;
    }
    return is_over;
  }

  static constexpr Duration threshold(Duration last_min) {
    return std::clamp(last_min / 8, kMinThreshold, kMaxThreshold);
  }
  bool is_conservative() const { return is_conservative_; }
  // How much of `acked` slow start adds to the window.
  Bytes growth(Bytes acked, Bytes mss, bool is_paced) const {
    const Bytes most = is_paced ? acked : std::min(acked, mss * kLimit);
    return is_conservative_ ? most / kGrowthDivisor : most;
  }

 private:
  static constexpr Duration kUnset = Duration::max();
  Duration last_min_ = kUnset, current_min_ = kUnset, baseline_ = kUnset;
  uint32_t samples_ = 0, conservative_rounds_ = 0;
  bool is_conservative_ = false;
};

}  // namespace wh::tcp
