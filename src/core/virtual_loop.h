// Virtual time: a discrete-event loop that jumps to the next deadline.
//
// Deterministic and as fast as the processor allows: nothing here reads a clock. Time begins at
// kEpoch, not at zero, so that "zero means unset" mistakes show; a test may begin elsewhere, say
// just before a 32-bit microsecond counter wraps.
#pragma once

#include "core/loop.h"

namespace wh {
inline namespace core {

class VirtualLoop final : public Loop {
 public:
  static constexpr Instant kEpoch = Instant(1000s);
  explicit VirtualLoop(Instant start = kEpoch) : Loop(start) {}

  bool run_until(Instant deadline) override {
    clear_stop();
    for (Instant next; (next = next_deadline()) <= deadline && next != kNever;) {
      set_now(next);
      fire_next();
      if (is_stopped()) return false;
    }
    if (deadline != kNever) set_now(deadline);
    return true;
  }
  // Fires one timer and returns true, or false when none is armed.
  bool step() {
    if (next_deadline() == kNever) return false;
    set_now(next_deadline());
    fire_next();
    return true;
  }
};

}  // namespace core
}  // namespace wh
