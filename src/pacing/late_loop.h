// A virtual loop for tests in which handling takes time: what real time does to a wheel, exactly
// repeatable.
//
// spend() moves the clock while an action runs; timers that came due meanwhile fire late.
// set_lateness() makes timers late for no reason, as an operating system does. set_read_cost()
// makes each of so many readings of the clock take time.
#pragma once

#include <functional>

#include "core/loop.h"

namespace wh::pacing {

class LateLoop final : public Loop {
 public:
  static constexpr Instant kEpoch = Instant(1000s);
  explicit LateLoop(Instant start = kEpoch) : Loop(start), clock_(start) {}

  Instant clock() override {
    CHECK(reads_left_-- > 0);  // Somebody turns in circles.
    return clock_ += read_cost_;
  }
  void set_read_cost(Duration d, uint64_t reads) {
    read_cost_ = d;
    reads_left_ = reads;
  }
  void spend(Duration d) { clock_ += d; }
  void set_lateness(std::function<Duration()> lateness) { lateness_ = std::move(lateness); }

  bool run_until(Instant deadline) override {
    clear_stop();
    while (next_deadline() <= deadline) {
      const Duration late = lateness_ ? lateness_() : Duration::zero();
      clock_ = std::max(clock_, next_deadline() + late);
      set_now(clock_);
      fire_next();
      if (is_stopped()) return false;
    }
    clock_ = std::max(clock_, deadline);
    set_now(clock_);
    return true;
  }
  // Lets time pass without handling anything, then handles what has come due.
  void stall(Duration d) {
    spend(d);
    set_now(clock_);
    run_until(clock_);
  }

 private:
  Instant clock_;
  Duration read_cost_{0};
  uint64_t reads_left_ = UINT64_MAX;
  std::function<Duration()> lateness_;
};

}  // namespace wh::pacing
