// Ctrl-C while a job runs: the job is asked to stop, and says what it has so far.
//
// While a guard lives, the first SIGINT or SIGTERM calls `stop` from the signal's handler, so
// `stop` may only do what is safe there (Loop::stop() is). The second one ends the process as if
// there were no guard.
#pragma once

#include <functional>

namespace wh::host {

class InterruptGuard {
 public:
  // REQUIRES: no other guard lives.
  explicit InterruptGuard(std::function<void()> stop);
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
};

}  // namespace wh::host
