// A lock and a place to wait, given to a room that has neither threads nor a clock.
//
// Whoever owns the threads (or fibers, or nothing but a loop) implements it. A waiter may wake for
// no reason; it looks again.
#pragma once

#include <exception>

#include "core/loop.h"

namespace wh::event {

class Monitor {
 public:
  enum class Wake { Notified, TimedOut, Interrupted };
  enum class Signals { Ignored, Caught };

  virtual ~Monitor() = default;
  virtual void lock() = 0;
  virtual void unlock() = 0;
  // Lets go of the lock, waits for notify_all() or `deadline` (kNever: for ever), takes the lock
  // again. With Signals::Caught a signal ends the wait. REQUIRES: the lock is held, once.
  virtual Wake wait(Instant deadline, Signals signals) = 0;
  virtual void notify_all() = 0;  // REQUIRES: the lock is held.
  virtual Instant now() = 0;
  // A filter's function has thrown this, or (null) left its knote on a list. When this returns the
  // queue goes on without the filter: its owner's fault, which was noted. REQUIRES: the lock is not
  // held.
  virtual void filter_failed(std::exception_ptr thrown) {
    if (thrown != nullptr) std::rethrow_exception(thrown);
    CHECK(false);
  }
};

// For what lives on one loop: no lock is needed, and waiting is impossible, so a wait has always
// timed out.
class LoopMonitor final : public Monitor {
 public:
  explicit LoopMonitor(Loop& loop) : loop_(loop) {}
  void lock() override {}
  void unlock() override {}
  Wake wait(Instant, Signals) override { return Wake::TimedOut; }
  void notify_all() override {}
  Instant now() override { return loop_.now(); }

 private:
  Loop& loop_;
};

}  // namespace wh::event
