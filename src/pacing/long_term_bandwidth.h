// LTbw: all bytes ever cumulatively acknowledged, by all the time that data was outstanding.
//
// A clock that runs while something is in the network and stands still while nothing is: pauses of
// the application do not lower it. Against a sharp decline of the goodput it is the steady part.
// Source: "Dynamic Goodput Pacing", section "Long Term Bandwidth (LTbw)".
#pragma once

#include "core/units.h"

namespace wh::pacing {

class LongTermBandwidth {
 public:
  // Data leaves: the clock runs from now on, if it does not run already.
  void start(Instant now) {
    if (!is_running_) since_ = now;
    is_running_ = true;
  }
  // Nothing is outstanding any more, or nothing may be sent (persist).
  void stop(Instant now) {
    if (is_running_) banked_ += now - since_;
    is_running_ = false;
  }
  void add(Bytes acknowledged) { bytes_ += acknowledged; }

  // Zero before anything is known.
  Rate rate(Instant now) const {
    const Duration time = banked_ + (is_running_ ? now - since_ : Duration::zero());
    return time > Duration::zero() ? Rate::of(bytes_, time) : Rate();
  }

 private:
  Bytes bytes_{0};
  Duration banked_{0};
  Instant since_{};
  bool is_running_ = false;
};

}  // namespace wh::pacing
