// The least round-trip time of the last ten seconds, in three samples.
//
// A windowed minimum (K. Nichols' filter, as Linux and FreeBSD have it): the best sample, the best
// since that one, and the best since the second. When the best grows too old the next takes its
// place, so that a minimum is never older than the window and no sample list is kept.
// Source: "Dynamic Goodput Pacing" (FreeBSD Journal, 2024-11): "the lowest RTT seen in the last 10
// seconds, the same as BBR".
#pragma once

#include <array>

#include "core/units.h"

namespace wh::pacing {

class MinRtt {
 public:
  explicit MinRtt(Duration window = 10s) : window_(window) {}

  // Returns the minimum with this sample. REQUIRES: rtt > 0; now does not go back.
  Duration add(Instant now, Duration rtt) {
    const Sample fresh{now, rtt};
    if (!has_sample() || rtt <= best_[0].rtt || now - best_[2].at > window_) {
      best_.fill(fresh);
      return rtt;
    }
    if (rtt <= best_[1].rtt) {
      best_[2] = best_[1] = fresh;
    } else if (rtt <= best_[2].rtt) {
      best_[2] = fresh;
    }
    age(fresh);
    return best_[0].rtt;
  }
  bool has_sample() const { return best_[0].rtt > Duration::zero(); }
  Duration min() const { return best_[0].rtt; }  // Zero without a sample.

 private:
  struct Sample {
    Instant at{};
    Duration rtt{0};
  };

  void age(const Sample& fresh) {
    const Duration since = fresh.at - best_[0].at;
    if (since > window_) {
      best_[0] = best_[1];
      best_[1] = best_[2];
      best_[2] = fresh;
      if (fresh.at - best_[0].at > window_) {
        best_[0] = best_[1];
        best_[1] = best_[2];
      }
    } else if (best_[1].at == best_[0].at && since > window_ / 4) {
      best_[2] = best_[1] = fresh;  // A quarter passed: the second choice comes from the second.
    } else if (best_[2].at == best_[1].at && since > window_ / 2) {
      best_[2] = fresh;
    }
  }

  Duration window_;
  std::array<Sample, 3> best_{};
};

}  // namespace wh::pacing
