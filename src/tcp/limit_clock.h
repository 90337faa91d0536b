// What a connection's time went by on: how long it had something to deliver, and for how much of
// that the peer's window or its own send buffer was what it waited for. As Linux's tcpi_busy_time,
// tcpi_rwnd_limited and tcpi_sndbuf_limited count it: the first holds the others.
#pragma once

#include <array>
#include <cstdint>

#include "core/units.h"

namespace wh::tcp {

class LimitClock {
 public:
  enum class State : uint8_t { Idle, Busy, WindowLimited, BufferLimited };

  void note(Instant now, State state) {
    if (state == state_) return;
    times_[static_cast<size_t>(state_)] += now - since_;
    state_ = state;
    since_ = now;
  }
  // Up to `now`, the running state included.
  Duration in(State state, Instant now) const {
    const Duration running = state == state_ ? now - since_ : Duration::zero();
    return times_[static_cast<size_t>(state)] + running;
  }

 private:
  std::array<Duration, 4> times_{};
  Instant since_{};
  State state_ = State::Idle;
};

}  // namespace wh::tcp
