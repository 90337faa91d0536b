// Whether a loop should stay awake a little for what may come next, instead of sleeping at once.
//
// To be woken costs a sleeper tens of microseconds: an interrupt to the processor, its way out of
// idle, the scheduler. Requests and answers through a router pay that twice a round, and each comes
// shortly after the other. So after a lone frame the loop polls on for kWatch, if that was worth it
// lately: a device's *habit* remembers of its last eight lone frames which were followed within
// kWatch by another lone frame, of any device. What comes in bulk keeps the loop busy by itself and
// leaves the processor to those who make it: it breaks the habit.
//
//   frames of e0 --> habit of e0  -- something followed soon, 8 times of 8 --> after e0, poll
//   frames of e1 --> habit of e1  -- nothing did for a long time ------------> after e1, sleep
//
// The cost is bounded: at most two polls of eight are in vain.
#pragma once

#include <bit>
#include <cstdint>

#include "core/units.h"

namespace wh::host {

class Alertness {
 public:
  static constexpr Duration kWatch = 50us;
  static constexpr int kOften = 6;  // Of eight.

  // Of one device: a bit for each of the last frames, the newest lowest.
  using Habit = uint8_t;

  // A device's frames were read: a few, or (not lone) many.
  void arrived(Habit& of, bool is_lone, Instant now) {
    if (last_ != nullptr) {
      const bool soon = is_lone && was_lone_ && (!is_resting_ || now - since_ <= kWatch);
      *last_ = static_cast<uint8_t>(*last_ << 1 | (soon ? 1 : 0));
    }
    last_ = &of;
    was_lone_ = is_lone;
    is_resting_ = false;
  }
  // There is nothing to do from now on: until when to poll; at or before `now`: sleep.
  Instant rest(Instant now) {
    if (!is_resting_) since_ = now;
    is_resting_ = true;
    const bool pays = last_ != nullptr && was_lone_ && std::popcount(*last_) >= kOften;
    return pays ? since_ + kWatch : since_;
  }
  // A device that goes, or is no longer asked about.
  void forget(const Habit& of) {
    if (last_ == &of) last_ = nullptr;
  }

 private:
  Habit* last_ = nullptr;  // Whose frames came last.
  bool was_lone_ = false;
  bool is_resting_ = false;
  Instant since_{};  // While it rests.
};

}  // namespace wh::host
