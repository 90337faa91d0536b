// A character device: its node in devfs, its driver's methods, and who is inside them.
//
// Every way into a driver goes through call(): it counts the thread in, refuses with ENXIO once
// destroy_dev has begun, and looks at what the method left behind (locks held, exceptions, strange
// return values). destroy_dev takes the name away, lets nobody in, and waits until the last thread
// is out.
//
// Ownership: shared by devfs while the name exists, by open files, and by calls in progress.
#pragma once

#include <concepts>
#include <exception>
#include <memory>
#include <string>

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
  bool is_gone() const { return (state_.load() & kGone) != 0; }
  uint32_t threads_inside() const { return state_.load() & ~kGone; }

  // Runs `method` (returns an errno) inside the driver. `what` is its name, for reports.
  template <std::invocable F>
  int call(::thread& td, const char* what, F&& method);

  uint32_t open_count = 0;  // Under the machine's lock.
  uint32_t uid, gid, mode;  // Of the node; chmod(1) and chown(8) change them.
  uint64_t inode = 0;
  Instant created;

 private:
  friend class Devfs;
  static constexpr uint32_t kGone = 1u << 31;

  bool enter();
  void leave();
  void complain(::thread& td, const char* what, std::exception_ptr error, int& code);
  int settle(::thread& td, const char* what, size_t held, int code);

  Kernel& kernel_;
  const ::cdevsw* devsw_;
  const ::cdevsw methods_;
  std::string name_;
  std::atomic<uint32_t> state_{0};  // Threads inside; kGone once destruction has begun.
};

template <std::invocable F>
int Device::call(::thread& td, const char* what, F&& method) {
  if (!enter()) return ENXIO;
  const char* outer_method = td.method.load(std::memory_order_relaxed);
  Device* outer_device = td.device.load(std::memory_order_relaxed);
  td.device.store(this, std::memory_order_relaxed);
  td.method.store(what, std::memory_order_relaxed);
  const size_t held = td.held_count;
  int code = 0;
  std::exception_ptr error;
  try {
    code = method();
  } catch (...) {
    error = std::current_exception();
  }
  // Outside the handler: what follows may switch threads.
  if (__builtin_expect(error != nullptr, 0)) complain(td, what, std::move(error), code);
  if (__builtin_expect(td.held_count != held || code < 0 || code > 4095, 0)) {
    code = settle(td, what, held, code);
  }
  td.method.store(outer_method, std::memory_order_relaxed);
  td.device.store(outer_device, std::memory_order_relaxed);
  leave();
  return code;
}

}  // namespace wh::dev
