// The calendar's time for results files, read once: afterwards the loop's clock tells how much
// later it is.
//
// So a results file's times never step back when somebody sets the machine's clock during a run,
// and durations in it are true.
#pragma once

#include "core/loop.h"
#include "kyua/text.h"

namespace wh::kyua {

class Calendar {
 public:
  explicit Calendar(Loop& loop);  // Reads CLOCK_REALTIME, the only time.
  WallTime at(Instant t) const { return base_ + (t - origin_); }

 private:
  Instant origin_;
  WallTime base_;
};

}  // namespace wh::kyua
