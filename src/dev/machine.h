// What runs the kernel: threads of some kind, a lock, a way to wait, and the time.
//
// This room has no thread and no clock of its own. FiberMachine (dev/fiber_machine.h) runs
// everything on one thread in virtual time, switching where a seed says; ThreadMachine
// (dev/fuse/thread_machine.h) uses the host's threads. A driver cannot tell which.
#pragma once

#include <atomic>
#include <exception>
#include <functional>
#include <string>
#include <vector>

#include "core/intrusive_list.h"
#include "core/loop.h"
#include "dev/kpi.h"

namespace wh::dev {

class Device;
class File;
class Selector;

struct Credentials {
  uint32_t uid = 0, gid = 0;
  std::vector<uint32_t> groups = {};
};

enum class Hold : uint8_t { Shared, Exclusive };

}  // namespace wh::dev

// A thread as the kernel and its drivers know it (`td`). Aligned so that a lock word can carry
// flags below it.
struct alignas(64) thread {
  static constexpr size_t kMaxHeld = 64;
  struct Held {
    ::wh_lock* lock;
    wh::dev::Hold how;
  };

  int tid = 0;
  std::string name;
  wh::dev::Credentials credentials;

  // What it is doing: which method of which device, for whom. Set by Device::call.
  // Anyone may read them, to say who does not return.
  std::atomic<const char*> method{nullptr};
  std::atomic<wh::dev::Device*> device{nullptr};
  std::atomic<wh::dev::File*> pinned{nullptr};  // It stays while named here; see Process.
  wh::dev::File* file = nullptr;
  std::exception_ptr thrown;              // By the method that has just ended.
  wh::dev::Selector* selector = nullptr;  // Who wants to hear of readiness, during d_poll.

  Held held[kMaxHeld] = {};  // Locks, oldest first.
  size_t held_count = 0;

  // Sleep; under the machine's lock, except that anyone may read wmesg.
  wh::ListLink on_sleepq;
  const void* wchan = nullptr;
  std::atomic<const char*> wmesg{nullptr};
  bool is_woken = false;
  bool catches_signals = false;
  bool wants_shared = false;
  std::atomic<bool> has_signal{false};
  std::atomic<bool> is_aborted{false};  // The kernel ends: no sleep of a driver's is waited for.
  bool sleeps_in_driver = false;
  uint32_t refused_sleeps = 0;  // Sleeps ended at once by a signal, in one call.
};

namespace wh::dev {

class Machine {
 public:
  virtual ~Machine() = default;
  ::thread& current() {
    return __builtin_expect(last_.machine == id_, 1) ? *last_.td : find_current();
  }
  // The calling thread, when nobody wants to know of each step that it takes: no points are visited
  // and no race detector looks on. Else null.
  ::thread* unwatched() {
    return __builtin_expect(last_.machine == id_ && on_acquired_ == nullptr, 1) ? last_.td
                                                                                : nullptr;
  }
  virtual Instant now() = 0;

  // The kernel's one short lock: sleep queues, devfs, select, kqueue. Never held in driver code.
  virtual void lock() = 0;
  virtual void unlock() = 0;
  // Waits, with the lock let go, until unpark(td) or `deadline`. REQUIRES: the lock is held; td is
  // current().
  virtual void park(::thread& td, Instant deadline) = 0;
  virtual void unpark(::thread& td) = 0;  // REQUIRES: the lock is held.

  // For what threads say about themselves all the time and others want to know rarely: who is
  // inside a device, who uses a file. One side announces, then loads; the other stores, then calls
  // barrier(), then looks at what was announced: one of the two sees what the other wrote.
  // Announcing is a plain store, the barrier pays for both.
  template <class T>
  void announce(std::atomic<T>& at, T value) {
    if (__builtin_expect(announces_loudly_, 0)) {
      at.store(value);
    } else {
      at.store(value, std::memory_order_release);
      std::atomic_signal_fence(std::memory_order_seq_cst);
    }
  }
  virtual void barrier() = 0;
  // Every thread there is. REQUIRES: the lock is held.
  virtual void each_thread(const std::function<void(::thread&)>& see) = 0;

  // Runs `body` on a thread of its own.
  virtual void spawn(std::string name, std::function<void()> body) = 0;
  // A place where another thread may come in between. Real threads need none.
  void point() {
    if (__builtin_expect(has_points_, 0)) visit_point();
  }

  // For a race detector that sees a driver's accesses but not this kernel's atomics: what happened
  // before released(at) is seen after acquired(at).
  void acquired(void* at) {
    if (__builtin_expect(on_acquired_ != nullptr, 0)) on_acquired_(at);
  }
  void released(void* at) {
    if (__builtin_expect(on_released_ != nullptr, 0)) on_released_(at);
  }

 protected:
  // The calling host thread's place in the machine that it last called, for one that has host
  // threads: its id is never used again. The others' is kNoId, which nothing is found under.
  struct Place {
    uint64_t machine;
    ::thread* td;
  };
  static constexpr uint64_t kNoId = ~uint64_t{0};
  [[gnu::tls_model("initial-exec")]] static inline constinit thread_local Place last_{};
  uint64_t id_ = kNoId;
  virtual ::thread& find_current() = 0;
  virtual void visit_point() {}
  bool has_points_ = false;
  bool announces_loudly_ = false;         // The machine's barrier needs the announcer's help.
  void (*on_acquired_)(void*) = nullptr;  // There with the next, or not.
  void (*on_released_)(void*) = nullptr;
};

class MachineLock {
 public:
  explicit MachineLock(Machine& machine) : machine_(machine) { machine_.lock(); }
  ~MachineLock() { machine_.unlock(); }
  MachineLock(const MachineLock&) = delete;
  MachineLock& operator=(const MachineLock&) = delete;

 private:
  Machine& machine_;
};

// Thrown through a driver's method to end it: a panic, or a request that FreeBSD would never return
// from. The caller of the method reports it and returns `code`.
struct DriverAbort {
  int code;
};

}  // namespace wh::dev
