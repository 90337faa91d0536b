// A kernel for character device drivers: the parts, put together, and the table drivers call it
// through.
//
//     Process (open, read, ioctl, poll, kevent)          Modules (kldload, kldunload)
//        |                                                   |
//      File ---- Device ---- cdevsw of a driver <--- shared object, through ModuleLoader
//        |                        | wh_kernel: make_dev_s, uiomove, malloc, sx_sleep,
//        |                        |            selwakeup, KNOTE, ...
//      Kqueue, Selects, Devfs, Memory, Locks, SleepQueues, Reports
//        +---------------------- Machine: threads or fibers, one lock, the time
//
// Several kernels can live in one process. Threads: any thread of the machine.
#pragma once

#include <functional>
#include <memory>
#include <set>

#include "core/random.h"
#include "dev/devfs.h"
#include "dev/injection.h"
#include "dev/locks.h"
#include "dev/memory.h"
#include "dev/module.h"
#include "dev/network.h"
#include "dev/reports.h"
#include "dev/select.h"
#include "dev/sleepq.h"
#include "event/kqueue.h"

namespace wh::dev {

class File;
struct KpiTable;

// The lock and the sleep of a kqueue: the kernel's.
class KernelMonitor final : public event::Monitor {
 public:
  explicit KernelMonitor(Kernel& kernel) : kernel_(kernel) {}
  void lock() override;
  void unlock() override;
  Wake wait(Instant deadline, Signals signals) override;
  void notify_all() override;
  Instant now() override;
  void filter_failed(std::exception_ptr thrown) override;

 private:
  Kernel& kernel_;
};

class Kernel {
 public:
  struct Config {
    size_t memory = size_t{256} << 20;                     // Bytes that drivers may allocate.
    uint64_t seed = 1;                                     // Of arc4random().
    std::function<void(const std::string&)> console = {};  // What drivers print, and reports.
    Network* network = nullptr;  // Of drivers' interfaces. REQUIRES: outlives the kernel.
  };
  Kernel(Machine& machine, ModuleLoader& loader, Config config);
  ~Kernel();  // Unloads every driver. REQUIRES: no thread inside a driver, no process left.
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;

  Machine& machine() { return machine_; }
  SleepQueues& sleepq() { return sleepq_; }
  Locks& locks() { return locks_; }
  Memory& memory() { return memory_; }
  Selects& selects() { return selects_; }
  Devfs& devfs() { return devfs_; }
  Modules& modules() { return modules_; }
  Interfaces& interfaces() { return interfaces_; }
  Reports& reports() { return reports_; }
  const ::wh_kernel& table() const;
  uint64_t random();

  // Null for none. REQUIRES: outlives its use.
  void set_injection(Injection* injection);
  Injection* injection() { return injection_; }
  ::wh_lock& knlist_lock() { return knlist_lock_; }  // Of lists that have none of their own.

  void interrupt(::thread& td);  // A signal: ends its sleep, if it catches them.

  // Runs a driver's code, `what` of `whose`, that is no method of a device (Device::call): what it
  // throws is reported, and the locks that it keeps are taken. Returns its errno.
  int guard(const char* what, const std::string& whose, const std::function<int()>& code);
  // Reports what a driver's code has thrown, if it has not been, and takes the locks beyond `held`.
  // Returns the errno for its caller.
  int after_throw(std::exception_ptr thrown, const std::string& what, size_t held);

  // For this room's parts.
  void add_file(File& file);  // Before its d_open.
  void remove_file(File& file);
  void file_opened(File& file);
  bool file_closed(File& file);  // Was it the last of its device?
  void device_gone(Device& device);
  void add_queue(event::Kqueue& queue);
  void remove_queue(event::Kqueue& queue);
  size_t detach_knotes(const void* begin, const void* end);

 private:
  Machine& machine_;
  Injection* injection_ = nullptr;
  Reports reports_;
  SleepQueues sleepq_;
  Locks locks_;
  Memory memory_;
  Selects selects_;
  Devfs devfs_;
  Interfaces interfaces_;
  Random random_;
  ::wh_lock knlist_lock_{};
  std::set<File*> files_;  // That may have data of their driver's; under the machine's lock.
  std::set<event::Kqueue*> queues_;
  std::multiset<event::Kqueue*> visited_;  // Being worked on; they may not go.
  std::unique_ptr<KpiTable> table_;
  Modules modules_;
};

}  // namespace wh::dev
