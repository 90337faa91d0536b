// The event loop: the only teller of time, and the owner of every timer.
//
// A component is given a Loop& and knows nothing else of time. VirtualLoop (core/virtual_loop.h)
// jumps from deadline to deadline; the real one (host/real_loop.h) waits in epoll. Timers are
// members of the component they wake: arming one allocates nothing, and destroying it disarms it.
//
//   class Sender {
//     explicit Sender(Loop& loop) : loop_(loop), due_(loop, [this] { send(); }) {}
//     void later() { due_.arm(loop_.now() + 10ms); }
//     Loop& loop_;
//     Timer due_;
//   };
//
// Order: timers fire by deadline; those with one deadline fire in the order in which they were
// armed. A timer armed for the past fires next, and now() never goes back. Threads: a loop and
// everything on it belong to one thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <vector>

#include "core/check.h"
#include "core/units.h"

namespace wh {
inline namespace core {

class Loop;

class Timer {
 public:
  Timer(Loop& loop, std::function<void()> action) : loop_(loop), action_(std::move(action)) {}
  ~Timer() { disarm(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  void arm(Instant when);  // Replaces an earlier deadline.
  void disarm();           // Nothing when it is not armed.
  bool is_armed() const { return heap_index_ != kNotArmed; }
  Instant deadline() const { return is_armed() ? deadline_ : kNever; }

 private:
  friend class Loop;
  static constexpr uint32_t kNotArmed = ~uint32_t{0};
  Loop& loop_;
  std::function<void()> action_;
  Instant deadline_{};
  uint64_t sequence_ = 0;  // Of its arming, counted over the loop's life.
  uint32_t heap_index_ = kNotArmed;
};

class Loop {
 public:
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  virtual ~Loop();

  // The time of the event being handled. It does not move while an action runs.
  Instant now() const { return now_; }
  // The clock read afresh. In virtual time this is now(); in real time it is later by what has been
  // spent since. Use it where lateness itself is measured.
  virtual Instant clock() { return now_; }

  // Handles events until stop(), until `deadline` has been reached (now() is then the deadline), or
  // until nothing is left that could happen. Returns false when stopped.
  virtual bool run_until(Instant deadline) = 0;
  bool run_for(Duration d) { return run_until(now_ + d); }
  bool run() { return run_until(kNever); }
  // Ends the run after the current action, or the wait for the next. Safe from a signal handler,
  // whichever thread that runs on.
  virtual void stop() { stopped_ = true; }
  // Ends every run soon after `flag` turned true, which another thread or a signal's handler may
  // do; null heeds nothing. It is looked at every kHeedEvery events, so also when time stands still
  // and nobody between two runs could ask. REQUIRES: the flag outlives the runs.
  void heed(const std::atomic<bool>* flag) { heeded_ = flag; }
  static constexpr uint64_t kHeedEvery = 1024;

  // Earliest deadline; kNever when no timer is armed.
  Instant next_deadline() const {
    if (root_is_firing_) return second_deadline();
    return heap_.empty() ? kNever : heap_[0].when;
  }
  uint64_t events_handled() const { return events_; }
  size_t timers_armed() const { return heap_.size() - (root_is_firing_ ? 1 : 0); }

 protected:
  explicit Loop(Instant start) : now_(start) {}
  void set_now(Instant t) {
    if (t > now_) now_ = t;
  }
  // Fires the earliest timer. REQUIRES: one is armed and due at now().
  void fire_next();
  bool is_stopped() const { return stopped_; }
  void clear_stop() { stopped_ = false; }

 private:
  friend class Timer;
  // A 4-ary heap ordered by (when, sequence); each timer knows its place, so disarming is a sift.
  // An entry is two words, so that it travels in registers and four children share a cache line.
  struct Entry {
    Instant when;
    Timer* timer;
    bool before(Entry o) const {
      return when != o.when ? when < o.when : timer->sequence_ < o.timer->sequence_;
    }
  };
  void arm(Timer& timer, Instant when);
  void disarm(Timer& timer);
  static void place(Entry* heap, uint32_t at, Entry e) {
    heap[at] = e;
    e.timer->heap_index_ = at;
  }
  void sift_up(uint32_t at, Entry e);
  void sift_down(uint32_t at, Entry e);
  void remove_root();
  Instant second_deadline() const;

  Instant now_;
  std::vector<Entry> heap_;
  // The timer that fires is disarmed, but its entry stays at the root, before all others, until its
  // action arms a timer, which then takes that place, or touches the heap otherwise, or returns.
  bool root_is_firing_ = false;
  uint64_t next_sequence_ = 0;
  uint64_t events_ = 0;
  std::atomic<bool> stopped_ = false;
  const std::atomic<bool>* heeded_ = nullptr;
};

inline void Timer::arm(Instant when) {
  loop_.arm(*this, when);
}
inline void Timer::disarm() {
  if (is_armed()) loop_.disarm(*this);
}

}  // namespace core
}  // namespace wh
