// sx(9) and mtx(9) locks, and sleeping with one.
//
// The lock word: 0 when free; the owner's address when held exclusively; kShared plus a count of
// kSharer when shared; kWaiters in any of these when somebody sleeps for it. Uncontended, taking
// and leaving are one atomic operation each. A mutex is an sx lock that is never shared and that
// nobody sleeps with.
//
// Each thread knows what it holds, so that rules are checked where they are broken (dev/reports.h).
#pragma once

#include "dev/reports.h"
#include "dev/sleepq.h"

namespace wh::dev {

class Locks {
 public:
  Locks(Machine& machine, SleepQueues& sleepq, Reports& reports)
      : machine_(machine), sleepq_(sleepq), reports_(reports) {}

  void init(::wh_lock& lock, const char* name, int flags);
  void destroy(::wh_lock& lock);
  // The `try` operations return 1 when the lock was got; the `_sig` ones 0, or EINTR. The rest
  // return 0.
  int operate(::wh_lock& lock, ::wh_lock_op op);
  void check(::wh_lock& lock, int what);

  // sx_sleep(9): queues on `chan`, lets go of `lock` (if any), waits, takes it again unless PDROP.
  // Returns 0, EINTR or EWOULDBLOCK.
  int sleep(const void* chan, ::wh_lock* lock, int priority, const char* wmesg, Instant deadline);
  // Before what may sleep: whoever holds a mutex, other than `except`, may not. `what` is
  // "uiomove".
  void may_sleep(::thread& td, const char* what, const ::wh_lock* except = nullptr) {
    for (size_t i = 0; i < td.held_count; ++i) {
      const ::wh_lock& lock = *td.held[i].lock;
      if ((lock.lo_flags & WH_LOCK_MUTEX) != 0 && &lock != except) blame_sleeper(td, what, lock);
    }
  }
  // Takes from `td` what it holds beyond `keep`, as a method that forgot to would have.
  void release_beyond(::thread& td, size_t keep);

 private:
  static constexpr uintptr_t kWaiters = 1, kShared = 2, kSharer = 16;
  enum class Locked { No, Yes };  // Is the machine's lock held by the caller?

  [[gnu::noinline]] int operate_slowly(::wh_lock& lock, ::wh_lock_op op);
  bool operate_quickly(::wh_lock& lock, ::wh_lock_op op, ::thread& td);
  int take(::wh_lock& lock, Hold how, bool catches);
  bool try_take(::wh_lock& lock, Hold how, ::thread& td);
  bool leave(::wh_lock& lock, ::thread& td, Locked machine_locked);
  void wake_next(::wh_lock& lock, Locked machine_locked);
  [[gnu::noinline]] void blame_sleeper(::thread& td, const char* what, const ::wh_lock& mutex);
  bool is_alive(::wh_lock& lock);
  bool revive(::wh_lock& lock);
  ::thread::Held* find(::wh_lock& lock, ::thread& td);
  void demand_place(::wh_lock& lock, ::thread& td);
  void remember(::wh_lock& lock, Hold how, ::thread& td);

  Machine& machine_;
  SleepQueues& sleepq_;
  Reports& reports_;
};

}  // namespace wh::dev
