#include "dev/fuse/thread_machine.h"

#include <dlfcn.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace wh::dev {

struct ThreadMachine::Record {
  ::thread td;
  std::condition_variable wake;
  bool is_unparked = false;
};

namespace {

std::atomic<uint64_t> next_machine{1};

}  // namespace

ThreadMachine::ThreadMachine() {
  id_ = next_machine.fetch_add(1);
  announces_loudly_ =
      ::syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) != 0;
  // There when ThreadSanitizer is in the process, loaded before us.
  on_acquired_ = reinterpret_cast<void (*)(void*)>(::dlsym(RTLD_DEFAULT, "__tsan_acquire"));
  on_released_ = reinterpret_cast<void (*)(void*)>(::dlsym(RTLD_DEFAULT, "__tsan_release"));
}

ThreadMachine::~ThreadMachine() {
  std::unique_lock roster(roster_);
  all_ended_.wait(roster, [&] { return spawned_ == 0; });
}

::thread& ThreadMachine::find_current() {
  Record& record = enlist();
  last_ = {id_, &record.td};
  return record.td;
}

ThreadMachine::Record& ThreadMachine::enlist() {
  const std::lock_guard guard(roster_);
  std::unique_ptr<Record>& record = records_[std::this_thread::get_id()];
  if (record == nullptr) {
    record = std::make_unique<Record>();
    record->td.tid = next_tid_++;
    record->td.name = fmt::format("thread {}", record->td.tid);
  }
  return *record;
}

Instant ThreadMachine::now() {
  return Instant(
      std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

void ThreadMachine::park(::thread& td, Instant deadline) {
  // Sound: every thread of this machine is the member of a Record, and its first.
  static_assert(offsetof(Record, td) == 0);
  auto& record = reinterpret_cast<Record&>(td);
  std::unique_lock held(mutex_, std::adopt_lock);
  const auto woken = [&] { return record.is_unparked; };
  if (deadline == kNever) {
    record.wake.wait(held, woken);
  } else {
    const std::chrono::steady_clock::time_point until(
        std::chrono::duration_cast<std::chrono::steady_clock::duration>(
            deadline.time_since_epoch()));
    record.wake.wait_until(held, until, woken);
  }
  record.is_unparked = false;
  held.release();
}

void ThreadMachine::unpark(::thread& td) {
  auto& record = reinterpret_cast<Record&>(td);  // Sound: see park().
  record.is_unparked = true;
  record.wake.notify_one();
}

void ThreadMachine::barrier() {
  if (announces_loudly_) return;  // Then every announcement is one.
  CHECK_EQ(::syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0), 0);
}

void ThreadMachine::spawn(std::string name, std::function<void()> body) {
  {
    const std::lock_guard guard(roster_);
    ++spawned_;
  }
  std::thread([this, name = std::move(name), body = std::move(body)]() mutable {
    current().name = std::move(name);
    std::exchange(body, nullptr)();
    const std::lock_guard guard(roster_);
    records_.erase(std::this_thread::get_id());
    if (--spawned_ == 0) all_ended_.notify_all();
  }).detach();
}

void ThreadMachine::each_thread(const std::function<void(::thread&)>& see) {
  const std::lock_guard roster(roster_);
  for (const auto& [id, record] : records_) see(record->td);
}

}  // namespace wh::dev
