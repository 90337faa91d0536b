#include "dev/process.h"

#include <algorithm>
#include <cerrno>
#include <set>

#include "dev/kernel.h"
#include "dev/select.h"

namespace wh::dev {
namespace {

class Poller final : public Selector {
 public:
  explicit Poller(Kernel& kernel) : kernel_(kernel) {}
  ~Poller() override { kernel_.selects().forget(*this); }
  void notify() override {
    is_notified_ = true;
    kernel_.sleepq().wakeup(this);
  }
  // Waits to be notified, unless that has happened since the last rest().
  SleepQueues::Wake rest(::thread& td, Instant deadline) {
    const MachineLock guard(kernel_.machine());
    if (std::exchange(is_notified_, false)) return SleepQueues::Wake::Woken;
    kernel_.sleepq().enqueue(td, this, "select");
    const SleepQueues::Wake wake = kernel_.sleepq().wait(td, deadline, true);
    is_notified_ = false;
    return wake;
  }

 private:
  Kernel& kernel_;
  bool is_notified_ = false;
};

}  // namespace

struct Process::Queue {
  Queue(Kernel& kernel, Process& process, event::Kqueue::Limits limits)
      : kernel_(kernel), monitor(kernel), kqueue(monitor, process, limits) {
    kqueue.set_ready_hook([this] { kernel_.selects().wakeup_held(readers); });
    kernel_.add_queue(kqueue);
  }
  ~Queue() {
    kernel_.remove_queue(kqueue);
    kernel_.selects().wakeup(readers);
  }

  // poll(2) of the queue itself: readable while a knote is active.
  int poll(int events, Selector& selector) {
    events &= POLLIN | POLLRDNORM;
    if (events == 0) return 0;
    kernel_.selects().record(selector, readers);
    return kqueue.ready() != 0 ? events : 0;
  }

  Kernel& kernel_;
  KernelMonitor monitor;
  event::Kqueue kqueue;
  ::selinfo readers{};  // Of the queue, by poll(2).
};

inline std::atomic<File*>* Process::place_of(int fd) const {
  const auto at = static_cast<size_t>(fd);  // Below zero, it is beyond the last.
  Row* row = at < kRow * kRows ? rows_[at / kRow].load() : nullptr;
  return row == nullptr ? nullptr : &(*row)[at % kRow];
}

// The file that a descriptor names, which stays open while this lives.
class Process::Pin {
 public:
  [[gnu::always_inline]] Pin(Process& process, ::thread& td, int fd) : process_(process), td_(td) {
    // A call within a call has no pin left.
    if (__builtin_expect(td.pinned.load(std::memory_order_relaxed) != nullptr, 0)) {
      held_ = process.file(fd);
      file = held_.get();
      return;
    }
    const std::atomic<File*>* place = process.place_of(fd);
    if (place == nullptr) return;
    while ((file = place->load()) != nullptr) {
      machine().announce(td.pinned, file);
      if (__builtin_expect(place->load() == file, 1)) break;
    }
    is_pinned_ = true;
  }
  // Closes what another thread has meanwhile closed, if this was the last to use it.
  [[gnu::always_inline]] ~Pin() {
    if (!is_pinned_) return;
    machine().announce<File*>(td_.pinned, nullptr);
    if (__builtin_expect(process_.closing_count_.load() != 0, 0)) process_.close_unused();
  }
  Pin(const Pin&) = delete;
  Pin& operator=(const Pin&) = delete;

 private:
  Machine& machine() { return process_.kernel_.machine(); }
  Process& process_;
  ::thread& td_;
  std::shared_ptr<File> held_;
  bool is_pinned_ = false;

 public:
  File* file = nullptr;  // Null when the descriptor is not one of a device.
};

// A system call in progress, and its thread. A signal belongs to the call it interrupts: when the
// call returns, the handler has run.
class Process::Call {
 public:
  explicit Call(Kernel& kernel) : td(kernel.machine().current()) { kernel.machine().point(); }
  [[gnu::always_inline]] ~Call() {
    if (td.has_signal.load(std::memory_order_relaxed)) td.has_signal = false;
    td.refused_sleeps = 0;
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  ::thread& td;
};

// One that names a file.
class Process::FileCall : public Call {
 public:
  [[gnu::always_inline]] FileCall(Process& process, int fd)
      : Call(process.kernel_), pin_(process, td, fd), file(pin_.file) {}

 private:
  const Pin pin_;

 public:
  File* const file;
};

Process::Process(Kernel& kernel, Limits limits) : kernel_(kernel), limits_(limits) {}

Process::~Process() {
  std::vector<int> open;
  for (const auto& [fd, entry] : table_) open.push_back(fd);
  for (const int fd : open) static_cast<void>(close(fd));
}

Sys<int> Process::install(Entry entry) {
  const MachineLock guard(kernel_.machine());
  if (table_.size() >= std::min(limits_.descriptors, kRow * kRows - 3)) return sys_error(EMFILE);
  int fd = first_free_;
  for (auto at = table_.lower_bound(fd); at != table_.end() && at->first == fd; ++at) ++fd;
  first_free_ = fd + 1;
  if (entry.file != nullptr) publish(fd, entry.file.get());
  if (entry.queue != nullptr) queues_.push_back(entry.queue);
  table_.emplace(fd, std::move(entry));
  return fd;
}

void Process::publish(int fd, File* file) {
  const auto at = static_cast<size_t>(fd);
  std::atomic<Row*>& row = rows_[at / kRow];
  if (row.load() == nullptr) row = &row_store_.emplace_back();
  (*row.load())[at % kRow] = file;
}

// The files that some thread has pinned. REQUIRES: the machine's lock is held.
std::set<const File*> Process::pinned() const {
  Machine& machine = kernel_.machine();
  machine.barrier();
  std::set<const File*> found;
  machine.each_thread(
      [&](::thread& td) { found.insert(td.pinned.load(std::memory_order_acquire)); });
  return found;
}

// Closes what is to be closed and nobody uses: FreeBSD's last fdrop(9).
void Process::close_unused() {
  std::vector<std::shared_ptr<File>> unused;
  {
    const MachineLock guard(kernel_.machine());
    const std::set<const File*> used = pinned();
    const auto rest = std::partition(closing_.begin(), closing_.end(),
                                     [&](const auto& f) { return used.contains(f.get()); });
    unused.assign(std::move_iterator(rest), std::move_iterator(closing_.end()));
    closing_.erase(rest, closing_.end());
    closing_count_ = closing_.size();
  }
  for (auto& file : unused) {
    file->close(kernel_.machine().current());
    retire(std::move(file));
  }
}

// Lets go of closed files that nobody has pinned, a batch at a time: looking for pins is not cheap.
void Process::retire(std::shared_ptr<File> file) {
  Machine& machine = kernel_.machine();
  std::vector<std::shared_ptr<File>> unused;  // Go when the lock has been let go.
  const MachineLock guard(machine);
  retired_.push_back(std::move(file));
  if (retired_.size() < sweep_at_) return;
  const std::set<const File*> used = pinned();
  const auto rest = std::partition(retired_.begin(), retired_.end(),
                                   [&](const auto& f) { return used.contains(f.get()); });
  unused.assign(std::move_iterator(rest), std::move_iterator(retired_.end()));
  retired_.erase(rest, retired_.end());
  sweep_at_ = 2 * retired_.size() + kRetired;
}

Sys<int> Process::open(std::string_view path, int oflags) {
  const Call call(kernel_);
  if (path.starts_with("/dev/")) path.remove_prefix(5);
  std::shared_ptr<Device> device = kernel_.devfs().find(path);
  if (device == nullptr) return sys_error(ENOENT);
  auto file = File::open(kernel_, std::move(device), oflags, call.td);
  if (!file) return tl::unexpected(file.error());
  const auto fd = install({*file, nullptr});
  if (!fd) (*file)->close(call.td);
  return fd;
}

Sys<void> Process::close(int fd) {
  const Call call(kernel_);
  Entry entry;
  {
    const MachineLock guard(kernel_.machine());
    const auto it = table_.find(fd);
    if (it == table_.end() || it->second.is_closing()) return sys_error(EBADF);
    entry = std::exchange(it->second, {});
    if (entry.file != nullptr) publish(fd, nullptr);
  }
  if (entry.queue != nullptr) entry.queue->kqueue.close();
  for (const auto& queue : queues()) queue->kqueue.descriptor_closed(static_cast<uintptr_t>(fd));
  {
    // Not before: another thread would open a file under that number, and lose its knotes.
    const MachineLock guard(kernel_.machine());
    table_.erase(fd);
    first_free_ = std::min(first_free_, fd);
    if (entry.file == nullptr) {
      std::erase(queues_, entry.queue);  // Not the last reference.
      return {};
    }
    closing_.push_back(std::move(entry.file));
    closing_count_ = closing_.size();
  }
  close_unused();
  return {};
}

std::shared_ptr<File> Process::file(int fd) const {
  const MachineLock guard(kernel_.machine());
  const auto it = table_.find(fd);
  return it == table_.end() ? nullptr : it->second.file;
}

// Called with the machine's lock held, by a queue.
std::shared_ptr<event::Selectable> Process::selectable(uintptr_t ident) {
  const auto it = ident > INT_MAX ? table_.end() : table_.find(static_cast<int>(ident));
  if (it == table_.end()) return nullptr;
  if (const auto& queue = it->second.queue; queue != nullptr) return {queue, &queue->kqueue};
  return it->second.file;
}

std::shared_ptr<Process::Queue> Process::queue(int fd) const {
  const MachineLock guard(kernel_.machine());
  const auto it = table_.find(fd);
  return it == table_.end() ? nullptr : it->second.queue;
}

std::vector<std::shared_ptr<Process::Queue>> Process::queues() const {
  const MachineLock guard(kernel_.machine());
  return queues_;
}

template <::uio_rw kDirection>
Transferred Process::transfer(int fd, std::byte* buffer, size_t length, int64_t offset) {
  const FileCall call(*this, fd);
  if (call.file == nullptr) return {0, EBADF};
  return call.file->transfer<kDirection>(call.td, buffer, length, offset);
}
template Transferred Process::transfer<UIO_READ>(int, std::byte*, size_t, int64_t);
template Transferred Process::transfer<UIO_WRITE>(int, std::byte*, size_t, int64_t);

Sys<int> Process::ioctl(int fd, uint32_t cmd, void* argument) {
  const FileCall call(*this, fd);
  File* f = call.file;
  return f == nullptr ? Sys<int>(sys_error(EBADF)) : f->ioctl(call.td, cmd, argument);
}

Sys<void> Process::set_status_flags(int fd, int oflags) {
  const FileCall call(*this, fd);
  File* f = call.file;
  return f == nullptr ? Sys<void>(sys_error(EBADF)) : f->set_status_flags(call.td, oflags);
}

Sys<std::vector<std::byte*>> Process::map(int fd, int64_t offset, size_t length, int prot) {
  const FileCall call(*this, fd);
  File* f = call.file;
  if (f == nullptr) return sys_error(EBADF);
  return f->map(call.td, offset, length, prot);
}

Sys<size_t> Process::poll(std::span<::pollfd> fds, std::optional<Duration> timeout) {
  const Call call(kernel_);
  const Instant now = kernel_.machine().now();
  const Instant end = !timeout || *timeout > kNever - now ? kNever : now + *timeout;
  Poller poller(kernel_);
  for (;;) {
    size_t ready = 0;
    Instant next = end;  // When to look again: a queue's timers fire when it is asked.
    for (::pollfd& p : fds) {
      int revents = POLLNVAL;
      if (const Pin pin(*this, call.td, p.fd); pin.file != nullptr) {
        revents = pin.file->poll(call.td, p.events, &poller);
      } else if (const auto q = queue(p.fd); q != nullptr) {
        revents = q->poll(p.events, poller);
        const MachineLock guard(kernel_.machine());
        next = std::min(next, q->kqueue.next_deadline());
      }
      p.revents = static_cast<short>(p.fd < 0 ? 0 : revents);
      if (p.revents != 0) ++ready;
    }
    if (ready != 0 || kernel_.machine().now() >= end) return ready;
    if (poller.rest(call.td, next) == SleepQueues::Wake::Interrupted) return sys_error(EINTR);
  }
}

Sys<int> Process::kqueue(event::Allowance* shared) {
  const event::Kqueue::Limits limits{.knotes = limits_.knotes, .shared = shared};
  return install({nullptr, std::make_shared<Queue>(kernel_, *this, limits)});
}

Sys<size_t> Process::kevent(int kq, std::span<const ::kevent> changes, std::span<::kevent> events,
                            std::optional<Duration> timeout) {
  const Call call(kernel_);
  const auto q = queue(kq);
  if (q == nullptr) return sys_error(EBADF);
  auto n = q->kqueue.kevent(changes, events, timeout);
  return n ? Sys<size_t>(*n) : Sys<size_t>(tl::unexpected(n.error().code));
}

}  // namespace wh::dev
