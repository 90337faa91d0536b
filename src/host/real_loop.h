// Real time: the event loop that waits in epoll, with descriptors, signals and a wake-up from other
// threads.
//
//   auto loop = TRY(RealLoop::make());
//   FdWatch watch(*loop, "control", [&] { return serve() ? Progress::Some : Progress::None; });
//   TRY(watch.watch(socket.raw()));
//   loop->run();
//
// The same Timer works here and on a VirtualLoop (core/loop.h). now() is CLOCK_MONOTONIC plus an
// offset (so that "zero means unset" mistakes show on a machine just started, too), read afresh
// before each action.
//
// A round: fire the timers that are due, at most kTimersPerRound of them; wait for descriptors
// until the next deadline; call the watches. So neither timers nor descriptors starve the other.
// Timers are never early; how late the end of a sleep was is in wake_lateness(). The wait is
// epoll_pwait2(2), whose timeout is in nanoseconds, with the thread's timer slack set to 1 ns:
// measured as late as a timerfd, and it needs no second system call to move a deadline. What
// lateness is left is the processor's way out of idle; `spin` buys it off with processor time.
//
// Before it sleeps a loop polls on for a little while its Alertness says that this pays, and it
// never sleeps while somebody has asked for that (set_polling()).
//
// run() ends when nothing can happen any more: no timer is armed, no watch is watching (background
// ones, such as a SignalWatch, do not count) and nothing was asked of wake(). After run_until(t),
// now() is t or later. Threads: a loop belongs to the thread that runs it; only wake() and stop()
// may be called from others, and one who made it elsewhere hands it over before it runs.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>

#include "core/histogram.h"
#include "core/loop.h"
#include "core/result.h"
#include "host/alertness.h"
#include "host/fd.h"

namespace wh::host {

class RealLoop;

// What a watch's action did with the descriptor it was called for.
enum class Progress : uint8_t {
  Some,  // Read, wrote, accepted, or changed the watch.
  None,  // Found nothing to do. Many of these in a row are a busy wait, which is a bug.
};

enum class Interest : uint8_t { None = 0, Read = 1, Write = 2, ReadWrite = 3 };

// Calls actions while a descriptor is readable or writable (level-triggered), like a Timer a member
// of the component that it wakes. An error or hang-up counts as whichever is being watched for: the
// read or write that follows tells what it is. An action may destroy any watch, its own too.
class FdWatch {
 public:
  using Action = std::function<Progress()>;
  // After this many calls in a row without progress, a CHECK fails and names the watch.
  static constexpr uint32_t kBusyLimit = 1000;

  FdWatch(RealLoop& loop, std::string name, Action readable, Action writable = {});
  ~FdWatch();
  FdWatch(const FdWatch&) = delete;
  FdWatch& operator=(const FdWatch&) = delete;

  // Replaces what was watched before. The descriptor stays the caller's, who must unwatch before
  // closing it. Errors: a descriptor that cannot be polled (a regular file).
  Result<void> watch(int fd, Interest interest = Interest::Read);
  void unwatch();                        // Nothing when it is not watching.
  void set_interest(Interest interest);  // REQUIRES: watching.
  // Do not keep run() going for this one. REQUIRES: not watching.
  void set_background();

  bool is_watching() const { return fd_ >= 0; }
  Interest interest() const { return interest_; }
  const std::string& name() const { return name_; }

 private:
  friend class RealLoop;
  Result<void> control(int operation, Interest interest);
  void dispatch(uint32_t events);
  bool act(Action& action);

  RealLoop& loop_;
  std::string name_;
  Action readable_, writable_;
  int fd_ = -1;
  Interest able_;  // What there are actions for.
  Interest interest_ = Interest::None;
  bool is_background_ = false;
  uint32_t idle_calls_ = 0;  // In a row, without progress.
};

class RealLoop final : public Loop {
 public:
  struct Config {
    // Stop sleeping this long before a deadline and poll until it comes: precision bought with
    // processor time.
    Duration spin = 0ns;
    // Added to CLOCK_MONOTONIC. The same for all loops unless a test wants, say, a 32-bit counter's
    // wrap.
    Duration offset = 1000s;
  };
  // Errors: no descriptors left.
  static Result<std::unique_ptr<RealLoop>> make(Config config);
  static Result<std::unique_ptr<RealLoop>> make() { return make(Config{}); }
  ~RealLoop() override;

  Instant clock() override;
  bool run_until(Instant deadline) override;
  // Wakes it, too: a signal that comes when it is about to wait does not end the wait by itself.
  void stop() override {
    Loop::stop();
    wake();
  }

  // Ends the current wait and has the loop's thread call the on_wake action; several wakes may
  // become one call. Safe from any thread and from a signal handler. While an action is set, run()
  // does not end for want of events.
  void wake();
  void on_wake(std::function<void()> action);

  // What devices tell it of the frames that came.
  Alertness& alertness() { return alertness_; }
  // While more have said true than false, it polls instead of sleeping: all of a core.
  void set_polling(bool on) { pollers_ += on ? 1 : -1; }

  // How long after its deadline the first timer fired whenever the loop had slept for it, in ns.
  const Histogram& wake_lateness() const { return wake_lateness_; }
  // How long after its deadline any timer fired at most, whatever the loop was kept from it by.
  Duration most_behind() const { return most_behind_; }
  uint64_t waits() const { return waits_; }

 private:
  friend class FdWatch;
  static constexpr int kTimersPerRound = 256;
  static constexpr int kEventsPerWait = 64;

  RealLoop(Config config, Fd epoll, Fd wake_event);
  void fire_due(Instant limit);
  void wait(Instant until);
  bool poll_until(Instant until);  // False when nothing came by then.
  int poll(Duration timeout);      // Negative: forever. Returns the number of events in batch_.
  void forget(const FdWatch& watch);
  bool is_idle() const;

  Config config_;
  Fd epoll_, wake_event_;
  std::function<void()> on_wake_;
  FdWatch wake_watch_;
  FdWatch* dispatching_ = nullptr;  // Whose action is running; null once it has been destroyed.
  uint64_t watching_ = 0, foreground_ = 0;
  Alertness alertness_;
  int pollers_ = 0;
  bool is_running_ = false;
  bool has_slept_ = false;  // Since the last timer fired.
  int batch_next_ = 0, batch_size_ = 0;
  std::array<epoll_event, kEventsPerWait> batch_;
  Histogram wake_lateness_;
  Duration most_behind_ = 0ns;
  uint64_t waits_ = 0;
};

// Calls an action on the loop's thread when one of some signals comes, instead of what the signal
// usually does. The signals are blocked in the thread that makes the watch and in those it starts
// afterwards; children made by host::Child get them unblocked. Destroying the watch unblocks what
// it blocked.
class SignalWatch {
 public:
  static Result<std::unique_ptr<SignalWatch>> make(RealLoop& loop,
                                                   std::initializer_list<int> signals,
                                                   std::function<void(int signal)> action);
  ~SignalWatch();

 private:
  SignalWatch(RealLoop& loop, Fd fd, sigset_t unblocked, std::function<void(int)> action);
  Progress read_signal();

  Fd fd_;
  sigset_t to_unblock_;
  std::function<void(int)> action_;
  FdWatch watch_;
};

}  // namespace wh::host
