#include "host/system.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>

namespace wh::host {

void open_standard_descriptors() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    // The lowest that is closed is the one that is opened. If it cannot be, nothing else can.
    if (::fcntl(fd, F_GETFD) >= 0) continue;
    if (::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0) return;
  }
}

Result<void> close_all_but(std::vector<int> keep) {
  std::sort(keep.begin(), keep.end());
  unsigned first = 3;
  for (const int fd : keep) {
    const auto kept = static_cast<unsigned>(fd);
    if (fd < 3 || kept < first) continue;
    if (kept > first && ::close_range(first, kept - 1, 0) != 0) return os_error("close_range");
    first = kept + 1;
  }
  if (::close_range(first, ~0u, 0) != 0) return os_error("close_range");
  return {};
}

Result<Fd> open_file(const std::string& path, int flags) {
  const int raw = uninterrupted([&] { return ::open(path.c_str(), flags | O_CLOEXEC, 0666); });
  if (raw < 0) return os_error("open {}", path);
  return Fd(raw);
}

Result<std::string> read_file(const std::string& path) {
  const Fd file = TRY(open_file(path, O_RDONLY));
  auto text = read_to_end(file.raw());
  if (!text) return tl::unexpected(std::move(text).error().within(path));
  return text;
}

Result<void> check_no_fifo(const std::string& path) {
  std::error_code error;  // What cannot be looked at is refused by who opens it.
  if (!std::filesystem::is_fifo(path, error)) return {};
  struct statfs where = {};  // /dev/fd/3 of a shell's `3<<END` leads to a pipe that has no name.
  if (::statfs(path.c_str(), &where) == 0 && where.f_type == PIPEFS_MAGIC) return {};
  return fail("{}: a FIFO, which waits for its other end; accepted: a file", path);
}

Result<void> make_folder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return fail_with(static_cast<std::errc>(error.value()), fmt::format("make {}", path));
  return {};
}

Result<void> write_file(const std::string& path, std::string_view text) {
  const Fd file = TRY(open_file(path, O_WRONLY | O_CREAT | O_TRUNC));
  auto written = write_all(file.raw(), text);
  if (!written) return tl::unexpected(std::move(written).error().within(path));
  return {};
}

Result<Fd> lock_folder(const std::string& folder) {
  Fd file = TRY(open_file(folder, O_RDONLY | O_DIRECTORY));
  if (uninterrupted([&] { return ::flock(file.raw(), LOCK_EX); }) != 0) {
    return os_error("lock {}", folder);
  }
  return file;
}

Result<Pipe> make_pipe() {
  std::array<int, 2> raw{};
  if (::pipe2(raw.data(), O_CLOEXEC) != 0) return os_error("make a pipe");
  return Pipe{Fd(raw[0]), Fd(raw[1])};
}

Result<std::pair<Fd, Fd>> make_socket_pair(int type) {
  std::array<int, 2> raw{};
  if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, raw.data()) != 0) {
    return os_error("make a socket pair");
  }
  return std::pair(Fd(raw[0]), Fd(raw[1]));
}

Result<void> set_nonblocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) return os_error("set O_NONBLOCK");
  return {};
}

Result<size_t> read_some(int fd, std::span<uint8_t> into) {
  const ssize_t n = uninterrupted([&] { return ::read(fd, into.data(), into.size()); });
  if (n < 0) return os_error("read");
  return static_cast<size_t>(n);
}

// More than anybody means to read at once: /dev/zero named by mistake must not fill the memory.
constexpr size_t kMostRead = size_t{256} << 20;

Result<std::string> read_to_end(int fd) {
  std::string text;
  std::array<uint8_t, 65536> part;
  for (;;) {
    const size_t n = TRY(read_some(fd, part));
    if (n == 0) return text;
    text.append(reinterpret_cast<const char*>(part.data()), n);  // Sound: bytes as characters.
    if (text.size() > kMostRead) return fail("it goes on and on; accepted: at most 256 MiB");
  }
}

namespace {

// `put` writes what it can of a text, and says how much that was.
Result<void> put_all(std::string_view text, const char* what, auto put) {
  while (!text.empty()) {
    const ssize_t n = uninterrupted([&] { return put(text); });
    if (n < 0) return os_error("{}", what);
    text.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

}  // namespace

Result<void> write_all(int fd, std::string_view text) {
  return put_all(text, "write",
                 [fd](std::string_view s) { return ::write(fd, s.data(), s.size()); });
}

Result<void> send_all(int socket, std::string_view text) {
  return put_all(text, "send", [socket](std::string_view s) {
    return ::send(socket, s.data(), s.size(), MSG_NOSIGNAL);
  });
}

namespace {

// Room for one descriptor in a message's control part, aligned as the macros of cmsg(3) want it.
struct FdControl {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> bytes{};
};

msghdr one_byte_message(iovec& byte, FdControl& control) {
  msghdr message{};
  message.msg_iov = &byte;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes.data();
  message.msg_controllen = control.bytes.size();
  return message;
}

}  // namespace

Result<void> send_fd(int socket, int fd) {
  char byte = 0;
  iovec part{&byte, 1};
  FdControl control;
  msghdr message = one_byte_message(part, control);
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof fd);
  std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  if (uninterrupted([&] { return ::sendmsg(socket, &message, MSG_NOSIGNAL); }) < 0) {
    return os_error("pass a descriptor");
  }
  return {};
}

Result<Fd> receive_fd(int socket) {
  char byte = 0;
  iovec part{&byte, 1};
  FdControl control;
  msghdr message = one_byte_message(part, control);
  const ssize_t n = uninterrupted([&] { return ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC); });
  if (n < 0) return os_error("receive a descriptor");
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) {
    return fail("receive a descriptor: the other end sent none");
  }
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return Fd(fd);
}

Error become(const std::string& program, std::span<char* const> words) {
  std::vector<char*> argv(words.begin(), words.end());
  argv.push_back(nullptr);
  ::execv(program.c_str(), argv.data());
  return os_error("run {}", program).value();
}

Result<void> check_core(uint32_t core) {
  cpu_set_t set;
  CHECK(core < CPU_SETSIZE && ::sched_getaffinity(0, sizeof set, &set) == 0);
  if (!CPU_ISSET(core, &set)) return fail("core {}: not one that this process may run on", core);
  return {};
}

Result<void> run_on_core(uint32_t core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CHECK(core < CPU_SETSIZE);
  CPU_SET(core, &set);
  if (::sched_setaffinity(0, sizeof set, &set) != 0) return os_error("run on core {}", core);
  return {};
}

}  // namespace wh::host
