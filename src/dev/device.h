// A character device: its node in devfs, its driver's methods, and who is inside them.
//
// Every way into a driver goes through call(): the thread announces where it is (thread::device),
// is refused with ENXIO once destroy_dev has begun, and what the method left behind is looked at
// (locks held, exceptions, strange return values). destroy_dev takes the name away, lets nobody in,
// and waits until no thread says that it is inside. So a call writes nothing that other threads
// write. finish() is for what must still run then.
//
// Ownership: shared by devfs while the name exists, by open files, and by calls in progress.
#pragma once

#include <concepts>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dev/machine.h"

namespace wh::dev {

class Kernel;

class Device : public ::cdev {
 public:
  Device(Kernel& kernel, const ::make_dev_args& args, std::string name);

  const std::string& name() const { return name_; }
  // A copy of the driver's switch, which stays when the driver has gone; call() keeps its functions
  // from being called then.
  const ::cdevsw* driver() const { return &methods_; }
  const ::cdevsw* origin() const { return devsw_; }  // The driver's own; an address only.
  bool has_flag(unsigned flag) const {
    return (static_cast<unsigned>(methods_.d_flags) & flag) != 0;
  }
  bool is_gone() const { return is_gone_.load(); }

  // Runs `method` (returns an errno) inside the driver. `what` is its name, for reports.
  template <std::invocable F>
  int call(::thread& td, const char* what, F&& method);

  // Runs code of the driver's that is owed even when the device is gone: a destructor of data. Who
  // destroys the device waits for it, too.
  void finish(::thread& td, const char* what, const std::function<void()>& code);
  // Waits until no thread is inside. REQUIRES: destruction has begun.
  void wait_until_empty(::thread& td);

  uint32_t open_count = 0;  // Under the machine's lock.
  uint32_t uid, gid, mode;  // Of the node; chmod(1) and chown(8) change them.
  uint64_t inode = 0;
  Instant created;

 private:
  friend class Devfs;

  bool enter(::thread& td, Device* outer);
  void leave(::thread& td, Device* outer);
  void call_deeper(int change);
  void call_everybody_out();
  bool is_occupied();  // REQUIRES: the machine's lock is held.
  void purge();
  int settle(::thread& td, const char* what, size_t held, int code);

  Kernel& kernel_;
  Machine& machine_;
  const ::cdevsw* devsw_;
  const ::cdevsw methods_;
  std::string name_;
  std::vector<const ::cdev*> aliases_;  // Under the machine's lock.
  std::atomic<bool> is_gone_{false};    // Destruction has begun.
  int deeper_ = 0;  // Threads inside that call a device from there. Under the machine's lock.
};

[[gnu::always_inline]] inline bool Device::enter(::thread& td, Device* outer) {
  if (__builtin_expect(outer != nullptr, 0)) outer->call_deeper(1);
  machine_.announce(td.device, this);
  if (__builtin_expect(!is_gone_.load(), 1)) return true;
  leave(td, outer);
  return false;
}

[[gnu::always_inline]] inline void Device::leave(::thread& td, Device* outer) {
  machine_.released(&is_gone_);
  machine_.announce(td.device, outer);
  if (__builtin_expect(is_gone_.load(), 0)) call_everybody_out();
  if (__builtin_expect(outer != nullptr, 0)) outer->call_deeper(-1);
}

// Inlined: a call in between is a twentieth of what a short read costs.
template <std::invocable F>
[[gnu::always_inline]] inline int Device::call(::thread& td, const char* what, F&& method) {
  const char* outer_method = td.method.load(std::memory_order_relaxed);
  Device* outer_device = td.device.load(std::memory_order_relaxed);
  if (!enter(td, outer_device)) return ENXIO;
  td.method.store(what, std::memory_order_relaxed);
  const size_t held = td.held_count;
  int code = -1;
  try {
    code = method();
  } catch (...) {
    td.thrown = std::current_exception();
  }
  // Outside the handler: what follows may switch threads.
  if (__builtin_expect(td.held_count != held || code < 0 || code > 4095, 0)) {
    code = settle(td, what, held, code);
  }
  td.method.store(outer_method, std::memory_order_relaxed);
  leave(td, outer_device);
  return code;
}

}  // namespace wh::dev
