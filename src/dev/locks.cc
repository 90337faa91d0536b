#include "dev/locks.h"

#include <cerrno>

namespace wh::dev {
namespace {

constexpr uint32_t kAlive = 0x5358'4c4b;
constexpr uint32_t kMaxRefusedSleeps = 1000;

std::atomic_ref<uintptr_t> word(::wh_lock& lock) {
  return std::atomic_ref(lock.lo_word);
}
uintptr_t address(::thread& td) {
  return reinterpret_cast<uintptr_t>(&td);
}
std::string who(::thread& td) {
  return td.method != nullptr ? fmt::format(" in {}", td.method.load()) : std::string();
}

}  // namespace

void Locks::init(::wh_lock& lock, const char* name, int flags) {
  lock.lo_name = name;
  lock.lo_owner = this;
  lock.lo_flags = static_cast<uint32_t>(flags);
  word(lock).store(0);
  lock.lo_magic = kAlive;
}

// A lock that was never initialised (or is gone) is reported once and then works.
bool Locks::is_alive(::wh_lock& lock) {
  return __builtin_expect(lock.lo_magic == kAlive, 1) || revive(lock);
}

bool Locks::revive(::wh_lock& lock) {
  reports_.blame(
      Misdeed::LockUninitialised,
      fmt::format("lock at {}{}", static_cast<const void*>(&lock), who(machine_.current())));
  init(lock, "?", 0);
  return false;
}

void Locks::destroy(::wh_lock& lock) {
  if (!is_alive(lock)) return;
  if (word(lock).load() != 0) {
    reports_.blame(Misdeed::LockDestroyedHeld, fmt::format("sx_destroy of {}", lock.lo_name));
  }
  lock.lo_magic = 0;
}

::thread::Held* Locks::find(::wh_lock& lock, ::thread& td) {
  for (size_t i = td.held_count; i-- > 0;) {
    if (td.held[i].lock == &lock) return &td.held[i];
  }
  return nullptr;
}

// Before a lock is taken: there must be a place to note it.
void Locks::demand_place(::wh_lock& lock, ::thread& td) {
  if (td.held_count < ::thread::kMaxHeld) return;
  reports_.blame(Misdeed::Panic, fmt::format("{} would be the lock number {} of its thread{}",
                                             lock.lo_name, td.held_count + 1, who(td)));
  throw DriverAbort{EDEADLK};
}

inline void Locks::remember(::wh_lock& lock, Hold how, ::thread& td) {
  td.held[td.held_count++] = {&lock, how};
  machine_.acquired(&lock);
}

// What nearly every call comes to, if nobody looks on: the lock is free; or the lock is the last
// that was taken, nobody else has it, and nobody waits. Returns whether it was so, and is done.
inline bool Locks::operate_quickly(::wh_lock& lock, ::wh_lock_op op, ::thread& td) {
  const bool shared = op == WH_SLOCK || op == WH_SUNLOCK;
  const Hold how = shared ? Hold::Shared : Hold::Exclusive;
  const uintptr_t mine = shared ? kShared | kSharer : address(td);
  if (op == WH_SLOCK || op == WH_XLOCK) {
    uintptr_t free = 0;
    // One that is not the first may not be allowed.
    if (td.held_count != 0 ||
        !word(lock).compare_exchange_strong(free, mine, std::memory_order_acquire)) {
      return false;
    }
    td.held[td.held_count++] = {&lock, how};
    return true;
  }
  if (op != WH_SUNLOCK && op != WH_XUNLOCK) return false;
  if (td.held_count == 0 || (lock.lo_flags & SX_RECURSE) != 0) return false;
  const ::thread::Held& last = td.held[td.held_count - 1];
  uintptr_t held = mine;
  if (last.lock != &lock || last.how != how ||
      !word(lock).compare_exchange_strong(held, 0, std::memory_order_release)) {
    return false;
  }
  --td.held_count;
  return true;
}

int Locks::operate(::wh_lock& lock, ::wh_lock_op op) {
  ::thread* td = machine_.unwatched();
  const bool may = td != nullptr && lock.lo_magic == kAlive;
  if (__builtin_expect(may && operate_quickly(lock, op, *td), 1)) return 0;
  return operate_slowly(lock, op);
}

// Everything.
int Locks::operate_slowly(::wh_lock& lock, ::wh_lock_op op) {
  is_alive(lock);
  machine_.point();
  ::thread& td = machine_.current();
  switch (op) {
    case WH_SLOCK: return take(lock, Hold::Shared, false);
    case WH_XLOCK: return take(lock, Hold::Exclusive, false);
    case WH_SLOCK_SIG: return take(lock, Hold::Shared, true);
    case WH_XLOCK_SIG: return take(lock, Hold::Exclusive, true);
    case WH_TRY_SLOCK: return try_take(lock, Hold::Shared, td) ? 1 : 0;
    case WH_TRY_XLOCK: return try_take(lock, Hold::Exclusive, td) ? 1 : 0;
    case WH_TRY_UPGRADE: {
      ::thread::Held* held = find(lock, td);
      uintptr_t alone = kShared | kSharer;
      if (held == nullptr || !word(lock).compare_exchange_strong(alone, address(td))) return 0;
      held->how = Hold::Exclusive;
      return 1;
    }
    case WH_DOWNGRADE: {
      ::thread::Held* held = find(lock, td);
      if (held == nullptr || held->how != Hold::Exclusive) break;
      held->how = Hold::Shared;
      uintptr_t w = word(lock).load();
      while (!word(lock).compare_exchange_weak(w, kShared | kSharer | (w & kWaiters))) {
      }
      return 0;
    }
    case WH_SUNLOCK:
    case WH_XUNLOCK:
    case WH_UNLOCK: {
      ::thread::Held* held = find(lock, td);
      if (held == nullptr || (op == WH_SUNLOCK && held->how != Hold::Shared) ||
          (op == WH_XUNLOCK && held->how != Hold::Exclusive)) {
        break;
      }
      leave(lock, td, Locked::No);
      machine_.point();
      return 0;
    }
  }
  reports_.blame(Misdeed::LockNotHeld, fmt::format("{} let go{}", lock.lo_name, who(td)));
  return 0;
}

bool Locks::try_take(::wh_lock& lock, Hold how, ::thread& td) {
  demand_place(lock, td);
  uintptr_t w = 0;
  const uintptr_t fresh = how == Hold::Exclusive ? address(td) : kShared | kSharer;
  if (word(lock).compare_exchange_strong(w, fresh, std::memory_order_acquire)) {
    remember(lock, how, td);
    return true;
  }
  for (;;) {
    uintptr_t next = 0;
    if ((w & ~kWaiters) == 0) {
      next = fresh | w;
    } else if (how == Hold::Shared && (w & kShared) != 0 && (w & kWaiters) == 0) {
      next = w + kSharer;
    } else {
      return false;
    }
    if (word(lock).compare_exchange_weak(w, next, std::memory_order_acquire)) break;
  }
  remember(lock, how, td);
  return true;
}

void Locks::blame_sleeper(::thread& td, const char* what, const ::wh_lock& mutex) {
  reports_.blame(Misdeed::MutexHeldAsleep,
                 fmt::format("{} with the mutex {}{}", what, mutex.lo_name, who(td)));
}

int Locks::take(::wh_lock& lock, Hold how, bool catches) {
  ::thread& td = machine_.current();
  if ((lock.lo_flags & WH_LOCK_MUTEX) == 0) may_sleep(td, "sx_lock");
  if (try_take(lock, how, td)) return 0;
  if ((word(lock).load() & ~kWaiters) == address(td)) {
    if ((lock.lo_flags & SX_RECURSE) != 0) {
      remember(lock, Hold::Exclusive, td);
      return 0;
    }
    reports_.blame(Misdeed::LockRecursed, fmt::format("{} taken again{}", lock.lo_name, who(td)));
    throw DriverAbort{EDEADLK};
  }
  const MachineLock guard(machine_);
  for (;;) {
    uintptr_t w = word(lock).load();
    const bool shareable = how == Hold::Shared && (w & kShared) != 0 && (w & kWaiters) == 0;
    if ((w & ~kWaiters) == 0 || shareable) {
      if (try_take(lock, how, td)) return 0;
      continue;
    }
    if ((w & kWaiters) == 0 && !word(lock).compare_exchange_strong(w, w | kWaiters)) continue;
    td.wants_shared = how == Hold::Shared;
    sleepq_.enqueue(td, &lock, lock.lo_name);
    // kWaiters may stay behind without a waiter; leaving then only takes the longer way.
    td.sleeps_in_driver = td.method != nullptr;
    const SleepQueues::Wake wake = sleepq_.wait(td, kNever, catches);
    td.sleeps_in_driver = false;
    if (wake != SleepQueues::Wake::Interrupted) continue;
    if (td.is_aborted) throw DriverAbort{EINTR};
    return EINTR;
  }
}

// Returns whether the lock is now free of this thread. REQUIRES: td holds it.
bool Locks::leave(::wh_lock& lock, ::thread& td, Locked machine_locked) {
  ::thread::Held* held = find(lock, td);
  const Hold how = held->how;
  machine_.released(&lock);
  for (size_t i = static_cast<size_t>(held - td.held); i + 1 < td.held_count; ++i) {
    td.held[i] = td.held[i + 1];
  }
  --td.held_count;
  if (how == Hold::Exclusive) {
    if ((lock.lo_flags & SX_RECURSE) != 0 && find(lock, td) != nullptr) return false;
    uintptr_t w = address(td);
    if (word(lock).compare_exchange_strong(w, 0, std::memory_order_release)) return true;
    wake_next(lock, machine_locked);
    return true;
  }
  uintptr_t w = word(lock).load();
  for (;;) {
    const bool last = (w & ~kWaiters) == (kShared | kSharer);
    if (last && (w & kWaiters) != 0) {
      wake_next(lock, machine_locked);
      return true;
    }
    if (word(lock).compare_exchange_weak(w, last ? 0 : w - kSharer, std::memory_order_release)) {
      return true;
    }
  }
}

// Frees a lock that has waiters, and hands the turn to the next. The lock is still marked held, so
// nobody else takes it meanwhile.
void Locks::wake_next(::wh_lock& lock, Locked machine_locked) {
  if (machine_locked == Locked::No) machine_.lock();
  const size_t left = sleepq_.wake_lockers(&lock);
  word(lock).store(left != 0 ? kWaiters : 0, std::memory_order_release);
  if (machine_locked == Locked::No) machine_.unlock();
}

void Locks::check(::wh_lock& lock, int what) {
  is_alive(lock);
  ::thread& td = machine_.current();
  const ::thread::Held* held = find(lock, td);
  bool holds = true;
  if (what == SA_UNLOCKED) {
    holds = held == nullptr;
  } else {
    holds = held != nullptr && (what != SA_XLOCKED || held->how == Hold::Exclusive) &&
            (what != SA_SLOCKED || held->how == Hold::Shared);
  }
  if (!holds) {
    reports_.blame(Misdeed::LockNotHeld, fmt::format("assertion on {}{}", lock.lo_name, who(td)));
  }
}

int Locks::sleep(const void* chan, ::wh_lock* lock, int priority, const char* wmesg,
                 Instant deadline) {
  ::thread& td = machine_.current();
  ::thread::Held* held = lock == nullptr ? nullptr : find(*lock, td);
  if (lock != nullptr && held == nullptr) {
    reports_.blame(Misdeed::LockNotHeld,
                   fmt::format("sleep \"{}\" with {}{}", wmesg, lock->lo_name, who(td)));
    lock = nullptr;
  }
  may_sleep(td, "sleep", lock);
  const bool catches = (priority & PCATCH) != 0;
  if (catches && td.has_signal && ++td.refused_sleeps > kMaxRefusedSleeps) {
    reports_.blame(Misdeed::SignalIgnored, fmt::format("sleep \"{}\"{}", wmesg, who(td)));
    throw DriverAbort{EINTR};
  }
  const Hold how = held != nullptr ? held->how : Hold::Exclusive;
  SleepQueues::Wake wake{};
  {
    const MachineLock guard(machine_);
    sleepq_.enqueue(td, chan, wmesg);
    if (lock != nullptr) leave(*lock, td, Locked::Yes);
    td.sleeps_in_driver = true;
    wake = sleepq_.wait(td, deadline, catches);
    td.sleeps_in_driver = false;
  }
  if (td.is_aborted) {
    reports_.blame(Misdeed::SignalIgnored,
                   fmt::format("sleep \"{}\"{} would not end", wmesg, who(td)));
    throw DriverAbort{EINTR};
  }
  if (lock != nullptr && (priority & PDROP) == 0) take(*lock, how, false);
  if (wake == SleepQueues::Wake::Interrupted) return EINTR;
  return wake == SleepQueues::Wake::TimedOut ? EWOULDBLOCK : 0;
}

void Locks::release_beyond(::thread& td, size_t keep) {
  while (td.held_count > keep) leave(*td.held[td.held_count - 1].lock, td, Locked::No);
}

}  // namespace wh::dev
