// What a kernel says: the drivers' messages, and the misdeeds it caught them at.
//
// FreeBSD panics where a driver breaks a rule. Here the misdeed is reported, by kind, what it would
// have done is prevented, and the lab goes on: a conformance run collects the reports, a mount
// prints them.
#pragma once

#include <array>
#include <functional>
#include <string>

#include "dev/machine.h"

namespace wh::dev {

enum class Misdeed : uint8_t {
  LockHeldOnReturn,   // A method returned with a lock held.
  LockNotHeld,        // Unlocked, asserted or slept with a lock that the thread does not hold.
  LockUninitialised,  // Used before sx_init or after sx_destroy.
  LockRecursed,       // Locked again by its owner.
  LockDestroyedHeld,  // sx_destroy while somebody holds it or waits for it.
  MutexHeldAsleep,    // What may sleep was called with a mutex held: uiomove, M_WAITOK, an sx lock.
  BadFree,            // free of something that malloc did not give, or gave and took back.
  WrongType,          // free under another malloc type.
  Overrun,            // Bytes behind an allocation, or an ioctl's argument, were written.
  Leak,               // Memory of the driver's types outlived it.
  DeviceOutlivedDriver,
  DoubleDestroy,  // destroy_dev of a device that is gone, or from its own method.
  NameExists,     // make_dev_s without MAKEDEV_CHECKNAME over an existing name.
  KnotesLeft,     // knlist_destroy of a list that is not empty, or knotes that outlived the driver.
  SignalIgnored,  // A method that keeps sleeping although signals end every sleep.
  Panic,          // panic(), a failed KASSERT, or more locks held than a thread may.
  Threw,          // An exception came out of a method.
  BadReturn,      // A method returned what is no errno, or moved more than it was asked for.
  NoMemory,       // M_WAITOK for more than the kernel will ever have.
  kCount
};
const char* to_string(Misdeed misdeed);

class Reports {
 public:
  explicit Reports(std::function<void(const std::string& line)> console)
      : console_(std::move(console)) {}

  void print(const std::string& text);  // May hold several lines, or part of one.
  void blame(Misdeed misdeed, const std::string& text);

  uint64_t count(Misdeed misdeed) const { return counts_[static_cast<size_t>(misdeed)].load(); }
  uint64_t total() const;
  // Called with each misdeed as it happens; null for none.
  void set_listener(std::function<void(Misdeed, const std::string&)> listener) {
    listener_ = std::move(listener);
  }

 private:
  std::function<void(const std::string&)> console_;
  std::function<void(Misdeed, const std::string&)> listener_;
  std::array<std::atomic<uint64_t>, static_cast<size_t>(Misdeed::kCount)> counts_{};
};

}  // namespace wh::dev
