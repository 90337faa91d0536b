// A token bucket for the errors a host sends (RFC 4443 section 2.4 (f), RFC 1812 section 4.3.2.8).
//
// Holds up to `per_second` tokens and gains as many each second, so no second's worth of errors
// exceeds twice the limit, and a steady stream gets exactly the limit. The limit is read at each
// use: it is a sysctl.
#pragma once

#include <algorithm>

#include "core/units.h"

namespace wh::vnet {

class RateLimit {
 public:
  static constexpr int64_t kUnlimited = -1;

  // Takes a token. False when there is none: the caller drops and counts. A limit of 0 allows
  // nothing.
  bool take(Instant now, int64_t per_second) {
    if (per_second <= 0) return per_second == kUnlimited;
    // Credit is counted in nanoseconds of waiting, so that nothing is lost to rounding.
    const int64_t cost = 1'000'000'000 / per_second;
    constexpr int64_t kFull = 1'000'000'000;
    if (!started_) {
      started_ = true;
      credit_ = kFull;
    } else {
      credit_ = std::min(kFull, credit_ + std::min((now - last_).count(), kFull));
    }
    last_ = now;
    if (credit_ < cost) return false;
    credit_ -= cost;
    return true;
  }

 private:
  Instant last_{};
  int64_t credit_ = 0;
  bool started_ = false;
};

}  // namespace wh::vnet
