// How many bytes a transmitter could have sent so far, through changes of its rate: what
// utilization divides by.
#pragma once

#include "core/units.h"

namespace wh::net {

class Capacity {
 public:
  Capacity(Rate rate, Instant now) : rate_(rate), since_(now) {}

  // Time at an infinite rate does not count.
  void change(Rate rate, Instant now) {
    earlier_ += at_this_rate(now);
    rate_ = rate;
    since_ = now;
  }
  double bytes(Instant now) const { return earlier_ + at_this_rate(now); }

 private:
  double at_this_rate(Instant now) const {
    if (rate_.is_infinite()) return 0;
    return static_cast<double>(rate_.bps()) / 8 * to_seconds(now - since_);
  }
  Rate rate_;
  Instant since_;
  double earlier_ = 0;
};

}  // namespace wh::net
