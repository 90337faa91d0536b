#include "dev/kernel.h"

#include <cerrno>
#include <utility>

#include "dev/file.h"
#include "dev/kpi_table.h"

namespace wh::dev {

void KernelMonitor::lock() {
  kernel_.machine().lock();
}
void KernelMonitor::unlock() {
  kernel_.machine().unlock();
}
Instant KernelMonitor::now() {
  return kernel_.machine().now();
}
void KernelMonitor::notify_all() {
  kernel_.sleepq().wakeup(this);
}

void KernelMonitor::filter_failed(std::exception_ptr thrown) {
  Reports& reports = kernel_.reports();
  if (thrown == nullptr) {
    reports.blame(Misdeed::KnotesLeft,
                  "a filter that is none, or whose knote stays; see knlist_remove");
    return;
  }
  kernel_.after_throw(std::move(thrown), "a filter", 0);
}

event::Monitor::Wake KernelMonitor::wait(Instant deadline, Signals signals) {
  ::thread& td = kernel_.machine().current();
  kernel_.sleepq().enqueue(td, this, "kqread");
  switch (kernel_.sleepq().wait(td, deadline, signals == Signals::Caught)) {
    case SleepQueues::Wake::Woken: return Wake::Notified;
    case SleepQueues::Wake::TimedOut: return Wake::TimedOut;
    case SleepQueues::Wake::Interrupted: return Wake::Interrupted;
  }
  UNREACHABLE();
}

Kernel::Kernel(Machine& machine, ModuleLoader& loader, Config config)
    : machine_(machine),
      reports_(std::move(config.console)),
      sleepq_(machine),
      locks_(machine, sleepq_, reports_),
      memory_(machine, reports_, config.memory),
      selects_(machine),
      devfs_(*this),
      interfaces_(machine, locks_, reports_, config.network),
      random_(config.seed),
      table_(std::make_unique<KpiTable>(*this)),
      modules_(*this, loader) {
  locks_.init(knlist_lock_, "knlist", WH_LOCK_MUTEX);
}

Kernel::~Kernel() {
  modules_.unload_all();
  CHECK(queues_.empty() && files_.empty());
}

const ::wh_kernel& Kernel::table() const {
  return *table_;
}

uint64_t Kernel::random() {
  const MachineLock guard(machine_);
  return random_.next();
}

void Kernel::set_injection(Injection* injection) {
  injection_ = injection;
  memory_.set_injection(injection);
}

void Kernel::interrupt(::thread& td) {
  const MachineLock guard(machine_);
  sleepq_.interrupt(td);
}

int Kernel::guard(const char* what, const std::string& whose, const std::function<int()>& code) {
  ::thread& td = machine_.current();
  const size_t held = td.held_count;
  const char* outer = td.method.exchange(what);
  int result = 0;
  std::exception_ptr thrown;
  try {
    result = code();
  } catch (...) {
    thrown = std::current_exception();
  }
  // Outside the handler: what follows may switch threads.
  if (thrown != nullptr) {
    result = after_throw(std::move(thrown), fmt::format("{} of {}", what, whose), held);
  } else if (td.held_count > held) {
    const char* lock = td.held[td.held_count - 1].lock->lo_name;
    reports_.blame(Misdeed::LockHeldOnReturn, fmt::format("{} of {}: {}", what, whose, lock));
    locks_.release_beyond(td, held);
  }
  td.method = outer;
  return result;
}

int Kernel::after_throw(std::exception_ptr thrown, const std::string& what, size_t held) {
  int code = EIO;
  try {
    std::rethrow_exception(std::exchange(thrown, nullptr));
  } catch (const DriverAbort& abort) {
    code = abort.code;  // Reported where it was thrown.
  } catch (const std::exception& e) {
    reports_.blame(Misdeed::Threw, fmt::format("{}: {}", what, e.what()));
  } catch (...) {
    reports_.blame(Misdeed::Threw, what);
  }
  locks_.release_beyond(machine_.current(), held);
  return code;
}

void Kernel::add_file(File& file) {
  const MachineLock guard(machine_);
  files_.insert(&file);
}

void Kernel::remove_file(File& file) {
  const MachineLock guard(machine_);
  files_.erase(&file);
}

void Kernel::file_opened(File& file) {
  const MachineLock guard(machine_);
  ++file.device().open_count;
}

bool Kernel::file_closed(File& file) {
  const MachineLock guard(machine_);
  return --file.device().open_count == 0;
}

// Per-open data goes with the device, while the driver's destructors still exist.
void Kernel::device_gone(Device& device) {
  std::vector<std::shared_ptr<File>> open;
  machine_.lock();
  for (File* file : files_) {
    if (&file->device() == &device) open.push_back(file->shared_from_this());
  }
  machine_.unlock();
  for (const auto& file : open) file->drop_private();
}

void Kernel::add_queue(event::Kqueue& queue) {
  const MachineLock guard(machine_);
  queues_.insert(&queue);
}

void Kernel::remove_queue(event::Kqueue& queue) {
  const MachineLock guard(machine_);
  queues_.erase(&queue);
  ::thread& td = machine_.current();
  while (visited_.contains(&queue)) {
    sleepq_.enqueue(td, &visited_, "kqvisit");
    sleepq_.wait(td, kNever, false);
  }
}

size_t Kernel::detach_knotes(const void* begin, const void* end) {
  machine_.lock();
  const std::vector<event::Kqueue*> queues(queues_.begin(), queues_.end());
  machine_.unlock();
  size_t n = 0;
  for (event::Kqueue* queue : queues) {
    {
      const MachineLock guard(machine_);
      if (!queues_.contains(queue)) continue;
      visited_.insert(queue);
    }
    n += queue->detach_code(begin, end);
    const MachineLock guard(machine_);
    visited_.erase(visited_.find(queue));
    sleepq_.wakeup(&visited_);
  }
  return n;
}

}  // namespace wh::dev
