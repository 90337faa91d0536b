#include "dev/process.h"

#include <cerrno>

#include "dev/kernel.h"
#include "dev/select.h"

namespace wh::dev {
namespace {

// A signal belongs to the call it interrupts: when the call returns, the handler has run.
class Call {
 public:
  explicit Call(Kernel& kernel) : td(kernel.machine().current()) { kernel.machine().point(); }
  ~Call() {
    td.has_signal = false;
    td.refused_sleeps = 0;
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  ::thread& td;
};

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
  Queue(Kernel& kernel, Process& process, size_t knotes)
      : kernel_(kernel), monitor(kernel), kqueue(monitor, process, {.knotes = knotes}) {
    kernel_.add_queue(kqueue);
  }
  ~Queue() { kernel_.remove_queue(kqueue); }
  Kernel& kernel_;
  KernelMonitor monitor;
  event::Kqueue kqueue;
};

Process::Process(Kernel& kernel, Limits limits) : kernel_(kernel), limits_(limits) {}

Process::~Process() {
  std::vector<int> open;
  for (const auto& [fd, entry] : table_) open.push_back(fd);
  for (const int fd : open) static_cast<void>(close(fd));
}

Sys<int> Process::install(Entry entry) {
  const MachineLock guard(kernel_.machine());
  if (table_.size() >= limits_.descriptors) return sys_error(EMFILE);
  int fd = 3;
  for (const auto& [used, e] : table_) {
    if (used != fd) break;
    ++fd;
  }
  table_.emplace(fd, std::move(entry));
  return fd;
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
    if (it == table_.end()) return sys_error(EBADF);
    entry = std::move(it->second);
    table_.erase(it);
  }
  if (entry.file == nullptr) return {};
  for (const auto& queue : queues()) queue->kqueue.descriptor_closed(static_cast<uintptr_t>(fd));
  entry.file->close(call.td);
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
  return it == table_.end() ? nullptr : it->second.file;
}

size_t Process::descriptors() const {
  const MachineLock guard(kernel_.machine());
  return table_.size();
}

std::vector<std::shared_ptr<Process::Queue>> Process::queues() const {
  const MachineLock guard(kernel_.machine());
  std::vector<std::shared_ptr<Queue>> all;
  for (const auto& [fd, entry] : table_) {
    if (entry.queue != nullptr) all.push_back(entry.queue);
  }
  return all;
}

Sys<size_t> Process::read(int fd, std::span<std::byte> buffer, int64_t offset) {
  const Call call(kernel_);
  const auto f = file(fd);
  return f == nullptr ? Sys<size_t>(sys_error(EBADF)) : f->read(call.td, buffer, offset);
}

Sys<size_t> Process::write(int fd, std::span<const std::byte> buffer, int64_t offset) {
  const Call call(kernel_);
  const auto f = file(fd);
  return f == nullptr ? Sys<size_t>(sys_error(EBADF)) : f->write(call.td, buffer, offset);
}

Sys<int> Process::ioctl(int fd, uint32_t cmd, void* argument) {
  const Call call(kernel_);
  const auto f = file(fd);
  return f == nullptr ? Sys<int>(sys_error(EBADF)) : f->ioctl(call.td, cmd, argument);
}

Sys<void> Process::set_status_flags(int fd, int oflags) {
  const Call call(kernel_);
  const auto f = file(fd);
  return f == nullptr ? Sys<void>(sys_error(EBADF)) : f->set_status_flags(call.td, oflags);
}

Sys<std::vector<std::byte*>> Process::map(int fd, int64_t offset, size_t length, int prot) {
  const Call call(kernel_);
  const auto f = file(fd);
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
    for (::pollfd& p : fds) {
      const auto f = file(p.fd);
      const int revents = f == nullptr ? POLLNVAL : f->poll(call.td, p.events, &poller);
      p.revents = static_cast<short>(p.fd < 0 ? 0 : revents);
      if (p.revents != 0) ++ready;
    }
    if (ready != 0 || kernel_.machine().now() >= end) return ready;
    switch (poller.rest(call.td, end)) {
      case SleepQueues::Wake::Interrupted: return sys_error(EINTR);
      case SleepQueues::Wake::TimedOut: return size_t{0};
      case SleepQueues::Wake::Woken: break;
    }
  }
}

Sys<int> Process::kqueue() {
  return install({nullptr, std::make_shared<Queue>(kernel_, *this, limits_.knotes)});
}

Sys<size_t> Process::kevent(int kq, std::span<const ::kevent> changes, std::span<::kevent> events,
                            std::optional<Duration> timeout) {
  const Call call(kernel_);
  std::shared_ptr<Queue> queue;
  {
    const MachineLock guard(kernel_.machine());
    const auto it = table_.find(kq);
    if (it != table_.end()) queue = it->second.queue;
  }
  if (queue == nullptr) return sys_error(EBADF);
  auto n = queue->kqueue.kevent(changes, events, timeout);
  return n ? Sys<size_t>(*n) : Sys<size_t>(tl::unexpected(n.error().code));
}

}  // namespace wh::dev
