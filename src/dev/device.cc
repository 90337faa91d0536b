#include "dev/device.h"

#include <cerrno>

#include "dev/kernel.h"

namespace wh::dev {

Device::Device(Kernel& kernel, const ::make_dev_args& args, std::string name)
    : ::cdev{},
      uid(args.mda_uid),
      gid(args.mda_gid),
      mode(static_cast<uint32_t>(args.mda_mode) & 07777),
      created(kernel.machine().now()),
      kernel_(kernel),
      machine_(kernel.machine()),
      devsw_(args.mda_devsw),
      methods_(*args.mda_devsw),
      name_(std::move(name)) {
  si_drv0 = args.mda_unit;
  si_drv1 = args.mda_si_drv1;
  si_drv2 = args.mda_si_drv2;
  name_.copy(si_name, SPECNAMELEN);
}

// A thread that goes from one device into another names the inner one; it is counted in the outer.
void Device::call_deeper(int change) {
  const MachineLock guard(machine_);
  deeper_ += change;
  if (change < 0) kernel_.sleepq().wakeup(&is_gone_);
}

void Device::call_everybody_out() {
  const MachineLock guard(machine_);
  kernel_.sleepq().wakeup(&is_gone_);
}

bool Device::is_occupied() {
  bool found = deeper_ != 0;
  machine_.each_thread(
      [&](::thread& td) { found = found || td.device.load(std::memory_order_acquire) == this; });
  return found;
}

// Tells the driver to let go of who is inside.
void Device::purge() {
  if (methods_.d_purge == nullptr) return;
  machine_.barrier();
  machine_.lock();
  const bool is_in_use = is_occupied();
  machine_.unlock();
  if (!is_in_use) return;
  kernel_.guard("d_purge", name_, [&] {
    methods_.d_purge(this);
    return 0;
  });
}

void Device::wait_until_empty(::thread& td) {
  machine_.barrier();
  const MachineLock guard(machine_);
  while (is_occupied()) {
    kernel_.sleepq().enqueue(td, &is_gone_, "devdrn");
    kernel_.sleepq().wait(td, kNever, false);
  }
  machine_.acquired(&is_gone_);
}

void Device::finish(::thread& td, const char* what, const std::function<void()>& code) {
  Device* outer = td.device.load();
  if (outer != nullptr) outer->call_deeper(1);
  machine_.announce(td.device, this);
  kernel_.guard(what, name_, [&] {
    code();
    return 0;
  });
  leave(td, outer);
}

int Device::settle(::thread& td, const char* what, size_t held, int code) {
  if (td.thrown != nullptr) {
    return kernel_.after_throw(std::exchange(td.thrown, nullptr),
                               fmt::format("{} of {}", what, name_), held);
  }
  if (td.held_count > held) {
    kernel_.reports().blame(
        Misdeed::LockHeldOnReturn,
        fmt::format("{} of {}: {}", what, name_, td.held[td.held_count - 1].lock->lo_name));
    kernel_.locks().release_beyond(td, held);
  }
  if (code == ENOIOCTL) return ENOTTY;
  if (code == ERESTART) return EINTR;  // Nobody here could call anew: see docs/dev.md.
  if (code >= 0 && code <= 4095) return code;
  kernel_.reports().blame(Misdeed::BadReturn, fmt::format("{} of {} returned {}, which is no errno",
                                                          what, name_, code));
  return EIO;
}

}  // namespace wh::dev
