// The round-trip time as the retransmission timer sees it, and the timer's value.
//
// Two profiles. `rack` is FreeBSD's RACK stack: both gains 1/8, a floor of 30 ms and 200 ms of slop
// for the peer's delayed acknowledgments, at most 4 s. `rfc` is RFC 6298: variance gain 1/4, at
// least 1 s, at most 60 s. A backoff multiplies the value but not the slop. Samples of
// retransmitted data are not given here unless timestamps told the copies apart (Karn).
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/units.h"

namespace wh::tcp {

struct RtoProfile {
  Duration initial = 1s;  // RFC 6298 section 2.1
  Duration min = 30ms;    // net.inet.tcp.rack.timers.minrto
  Duration max = 4s;      // net.inet.tcp.rack.timers.maxrto
  Duration slop = 200ms;  // net.inet.tcp.rack.timers.slop
  unsigned variance_gain_shift = 3;

  static constexpr RtoProfile rack() { return {}; }
  static constexpr RtoProfile rfc() {
    return {.initial = 1s, .min = 1s, .max = 60s, .slop = 0s, .variance_gain_shift = 2};
  }
};

class RttEstimator {
 public:
  // REQUIRES: rtt > 0.
  void sample(Duration rtt, const RtoProfile& profile) {
    CHECK(rtt.count() > 0);
    latest_ = rtt;
    min_ = samples_ == 0 ? rtt : std::min(min_, rtt);
    if (samples_++ == 0 || is_stale_) {
      is_stale_ = false;
      srtt_ = rtt;
      variance_ = rtt / 2;
      return;
    }
    const Duration delta = srtt_ > rtt ? srtt_ - rtt : rtt - srtt_;
    const int64_t gain = int64_t{1} << profile.variance_gain_shift;
    srtt_ = srtt_ - srtt_ / 8 + rtt / 8;
    variance_ = variance_ - variance_ / gain + delta / gain;
  }
  // After many timeouts the old value is worth nothing: it serves until a sample replaces it.
  void forget() { is_stale_ = true; }

  // The retransmission timeout after `backoffs` expiries in a row (RFC 6298 section 5.5).
  Duration rto(const RtoProfile& profile, unsigned backoffs) const {
    const int64_t factor = int64_t{1} << std::min(backoffs, 9u);
    if (srtt_ == Duration::zero()) return std::min(profile.initial * factor, profile.max);
    const Duration value = std::max(profile.min, srtt_ + 4 * variance_);
    const Duration floor = std::max(profile.min, latest_ + 2us);
    return std::clamp(value * factor + profile.slop, floor, std::max(floor, profile.max));
  }

  bool has_sample() const { return srtt_ != Duration::zero(); }
  Duration srtt() const { return srtt_; }
  Duration variance() const { return variance_; }
  Duration latest() const { return latest_; }
  Duration min() const { return min_; }
  uint64_t samples() const { return samples_; }

 private:
  Duration srtt_{0}, variance_{0}, latest_{0}, min_{0};
  uint64_t samples_ = 0;
  bool is_stale_ = false;
};

}  // namespace wh::tcp
