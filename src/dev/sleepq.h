// Sleep queues: threads waiting on a channel, which is any address that sleeper and waker agree on.
//
// The machine's lock is the queues' lock, so a driver's lock can be let go between queuing and
// waiting without losing a wakeup. A fixed table of buckets; nothing is allocated. Source:
// sleepqueue(9).
#pragma once

#include <array>

#include "dev/machine.h"

namespace wh::dev {

class SleepQueues {
 public:
  enum class Wake { Woken, TimedOut, Interrupted };

  explicit SleepQueues(Machine& machine) : machine_(machine) {}

  // All with the machine's lock held.
  void enqueue(::thread& td, const void* chan, const char* wmesg);
  // Waits until woken; td was enqueued. With `catches`, a signal ends it, also one that is already
  // pending.
  Wake wait(::thread& td, Instant deadline, bool catches);
  // Wakes sleepers on `chan`, oldest first, and at most so many.
  void wakeup(const void* chan, size_t most = SIZE_MAX);
  // Wakes the oldest waiter for a lock; when that one wants to share, every other that does too.
  size_t wake_lockers(const void* chan);
  void interrupt(::thread& td);
  // Ends every sleep of `td` in a driver, now and from now on, whether it catches signals or not:
  // only a kernel that ends does that.
  void abort(::thread& td);

  // Anybody asleep at all? A waker that finds none can do without the lock.
  bool has_sleepers() const { return sleepers_.load() != 0; }

 private:
  using Bucket = IntrusiveList<::thread, &::thread::on_sleepq>;
  Bucket& bucket(const void* chan) {
    return buckets_[((reinterpret_cast<uintptr_t>(chan) >> 4) * 0x9e3779b97f4a7c15u) >> 56];
  }
  void wake(::thread& td);

  Machine& machine_;
  std::array<Bucket, 256> buckets_;
  std::atomic<size_t> sleepers_{0};
};

}  // namespace wh::dev
