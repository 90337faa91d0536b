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
      devsw_(args.mda_devsw),
      methods_(*args.mda_devsw),
      name_(std::move(name)) {
  si_drv0 = args.mda_unit;
  si_drv1 = args.mda_si_drv1;
  si_drv2 = args.mda_si_drv2;
  name_.copy(si_name, SPECNAMELEN);
}

bool Device::enter() {
  if ((state_.fetch_add(1, std::memory_order_acquire) & kGone) == 0) return true;
  leave();
  return false;
}

void Device::leave() {
  kernel_.machine().released(&state_);
  if (state_.fetch_sub(1, std::memory_order_release) != (kGone | 1)) return;
  const MachineLock guard(kernel_.machine());
  kernel_.sleepq().wakeup(&state_);
}

void Device::complain(::thread& td, const char* what, std::exception_ptr error, int& code) {
  code = EIO;
  try {
    std::rethrow_exception(std::move(error));
  } catch (const DriverAbort& abort) {
    code = abort.code;  // Reported where it was thrown.
  } catch (const std::exception& e) {
    kernel_.reports().blame(Misdeed::Threw, fmt::format("{} of {}: {}", what, name_, e.what()));
  } catch (...) {
    kernel_.reports().blame(Misdeed::Threw, fmt::format("{} of {}", what, name_));
  }
  kernel_.locks().release_beyond(td, 0);
}

int Device::settle(::thread& td, const char* what, size_t held, int code) {
  if (td.held_count > held) {
    kernel_.reports().blame(
        Misdeed::LockHeldOnReturn,
        fmt::format("{} of {}: {}", what, name_, td.held[td.held_count - 1].lock->lo_name));
    kernel_.locks().release_beyond(td, held);
  }
  if (code == ENOIOCTL) return ENOTTY;
  if (code >= 0 && code <= 4095) return code;
  kernel_.reports().blame(Misdeed::BadReturn, fmt::format("{} of {} returned {}, which is no errno",
                                                          what, name_, code));
  return EIO;
}

}  // namespace wh::dev
