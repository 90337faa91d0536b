// selrecord(9) and selwakeup(9): who waits, in poll(2), for which device to become ready.
//
// A Selector is the waiting side: a thread in poll(2), or a FUSE file with a poll handle. During
// d_poll the thread carries it; selrecord ties it to the driver's selinfo; selwakeup notifies it,
// once, and unties it. The ties are kept here, by the selinfo's address, and not in the driver's
// memory: a driver that frees a selinfo without draining it leaves a dangling number, not a
// dangling pointer.
#pragma once

#include <unordered_map>
#include <vector>

#include "dev/machine.h"

namespace wh::dev {

class Selector {
 public:
  virtual ~Selector() = default;
  virtual void notify() = 0;  // With the machine's lock held.
};

class Selects {
 public:
  // Ties at one time; selrecord beyond it notifies at once.
  static constexpr size_t kMaxWaiters = 65536;

  explicit Selects(Machine& machine) : machine_(machine) {}
  void record(Selector& selector, ::selinfo& info);
  void wakeup(::selinfo& info);
  void wakeup_held(::selinfo& info);  // REQUIRES: the machine's lock is held.
  void forget(Selector& selector);    // Unties it everywhere. It is not notified again.
  uint64_t overflows() const { return overflows_.load(); }

 private:
  Machine& machine_;
  std::unordered_map<::selinfo*, std::vector<Selector*>> waiting_;
  size_t ties_ = 0;
  std::atomic<size_t> ties_hint_{0};
  std::atomic<uint64_t> overflows_{0};
};

}  // namespace wh::dev
