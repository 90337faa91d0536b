// The system calls of one process: descriptors, and what can be done with them.
//
//   Process shell(kernel, {.uid = 0});
//   const int fd = shell.open("echo", O_RDWR).value();
//   shell.write(fd, bytes("foo\n"));
//
// In-process programs (tests, a lab) use it as they would use the kernel's; the FUSE server is one
// too, each of its open files a descriptor. Calls are made by threads of the kernel's machine,
// several at a time if need be.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string_view>
#include <vector>

#include "dev/file.h"
#include "event/kqueue.h"

namespace wh::dev {

class Process final : public event::Descriptors {
 public:
  struct Limits {
    size_t descriptors = 65536;       // And never more than 65,533.
    size_t knotes = size_t{1} << 20;  // Per queue.
  };
  explicit Process(Kernel& kernel) : Process(kernel, Limits{}) {}
  Process(Kernel& kernel, Limits limits);
  ~Process() override;  // Closes what is open.
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // The path is below devfs ("echo", "pts/0"); a leading /dev/ is allowed. Errors: ENOENT, EMFILE,
  // File::open's.
  Sys<int> open(std::string_view path, int oflags);
  // The driver's d_close may come later, from a call on `fd` that is in progress.
  Sys<void> close(int fd);
  Sys<size_t> read(int fd, std::span<std::byte> buffer, int64_t offset = File::kOwnOffset) {
    return transfer<UIO_READ>(fd, buffer.data(), buffer.size(), offset);
  }
  Sys<size_t> write(int fd, std::span<const std::byte> buffer, int64_t offset = File::kOwnOffset) {
    // Only read from: uiomove goes by the direction.
    return transfer<UIO_WRITE>(fd, const_cast<std::byte*>(buffer.data()), buffer.size(), offset);
  }
  Sys<int> ioctl(int fd, uint32_t cmd, void* argument);
  Sys<void> set_status_flags(int fd, int oflags);
  // poll(2): how many of `fds` have revents; waits until `timeout` (nullopt: for ever). Errors:
  // EINTR.
  Sys<size_t> poll(std::span<::pollfd> fds, std::optional<Duration> timeout);
  Sys<std::vector<std::byte*>> map(int fd, int64_t offset, size_t length, int prot);

  // With `shared`, its knotes are within what that allows. Errors: EMFILE.
  Sys<int> kqueue(event::Allowance* shared = nullptr);
  Sys<size_t> kevent(int kq, std::span<const ::kevent> changes, std::span<::kevent> events,
                     std::optional<Duration> timeout);

  // Null when it is no open device.
  std::shared_ptr<File> file(int fd) const;
  std::shared_ptr<event::Selectable> selectable(uintptr_t ident) override;

 private:
  struct Queue;
  class Pin;
  class Call;
  class FileCall;
  struct Entry {
    std::shared_ptr<File> file;  // One or the other. Shared with calls in progress.
    std::shared_ptr<Queue> queue;
    bool is_closing() const { return file == nullptr && queue == nullptr; }
  };
  // A file is found without a lock and used without counting: the thread pins it (thread::pinned).
  // A file is closed, and later goes, only when no thread has it pinned: close() does it, or else
  // the last of those threads. A row stays until the process goes.
  static constexpr size_t kRow = 256, kRows = 256, kRetired = 64;
  using Row = std::array<std::atomic<File*>, kRow>;

  template <::uio_rw kDirection>
  Transferred transfer(int fd, std::byte* buffer, size_t length, int64_t offset);
  Sys<int> install(Entry entry);
  std::shared_ptr<Queue> queue(int fd) const;
  std::vector<std::shared_ptr<Queue>> queues() const;
  std::atomic<File*>* place_of(int fd) const;
  void publish(int fd, File* file);
  std::set<const File*> pinned() const;
  void close_unused();
  void retire(std::shared_ptr<File> file);

  Kernel& kernel_;
  const Limits limits_;
  std::map<int, Entry> table_;                  // Under the machine's lock.
  std::vector<std::shared_ptr<Queue>> queues_;  // Until nothing is on them any more.
  int first_free_ = 3;                          // No descriptor from 3 to before it is free.
  std::array<std::atomic<Row*>, kRows> rows_{};
  std::deque<Row> row_store_;
  std::vector<std::shared_ptr<File>> closing_;  // Without a descriptor, to be closed.
  std::atomic<size_t> closing_count_{0};
  std::vector<std::shared_ptr<File>> retired_;  // Closed, and perhaps pinned.
  size_t sweep_at_ = kRetired;
};

// Bytes of a text, and back.
inline std::span<const std::byte> bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}
inline std::string text(std::span<const std::byte> data) {
  return {reinterpret_cast<const char*>(data.data()), data.size()};
}

}  // namespace wh::dev
