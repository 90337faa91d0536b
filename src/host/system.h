// System calls as Results: where errno becomes an Error.
//
// An error's text is the attempt and the system's word for why it failed: "open /dev/net/tun:
// Permission denied". A call that a signal interrupts is made again. Every descriptor made here
// closes on exec. Hot paths (tap.cc) make their own calls through uninterrupted() and look at
// errno, because an Error is a string.
#pragma once

#include <cerrno>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"
#include "host/fd.h"

namespace wh::host {

// The error of the system call that has just failed; the arguments say what was attempted.
template <class... Args>
tl::unexpected<Error> os_error(fmt::format_string<Args...> attempt, Args&&... args) {
  const auto code = static_cast<std::errc>(errno);
  return fail_with(code, fmt::format(attempt, std::forward<Args>(args)...));
}

// Makes a system call until no signal interrupts it; yields what it returned, with errno as it left
// it.
template <class Call>
auto uninterrupted(Call call) {
  for (;;) {
    const auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

// Opens what is closed of standard input, output and error, for nothing: whoever reads or writes it
// fails, as if it were closed, and no file that is opened later is taken for it.
void open_standard_descriptors();

// Closes every descriptor from 3 on but those: whoever stays behind holds nothing that is
// another's.
Result<void> close_all_but(std::vector<int> keep);

// `flags` as open(2) takes them. A file that is made gets mode 0666 less the umask.
Result<Fd> open_file(const std::string& path, int flags);
Result<std::string> read_file(const std::string& path);
// For programs that must not stand still. Error: it is a named FIFO, on which opening, reading and
// writing wait for whoever will have its other end.
Result<void> check_no_fifo(const std::string& path);
// With the folders above it. Nothing when it is there.
Result<void> make_folder(const std::string& path);
Result<void> write_file(const std::string& path, std::string_view text);
// Waits for the lock that serialises those who make, remove and look for what is in a folder; it is
// held for as long as the descriptor is.
Result<Fd> lock_folder(const std::string& folder);

struct Pipe {
  Fd read_end, write_end;
};
Result<Pipe> make_pipe();
// Two connected AF_UNIX sockets; `type` is SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET, with
// SOCK_NONBLOCK if wished.
Result<std::pair<Fd, Fd>> make_socket_pair(int type);
Result<void> set_nonblocking(int fd);
// Goes on as another program, with these words for its argv. Returns only when that failed, and
// why.
Error become(const std::string& program, std::span<char* const> words);

Result<size_t> read_some(int fd, std::span<uint8_t> into);  // 0 at the end.
// Error: also when it does not end within 256 MiB, as /dev/zero does not. So read_file().
Result<std::string> read_to_end(int fd);
Result<void> write_all(int fd, std::string_view text);
// The same to a socket: whose other end has gone is an error, and no signal.
Result<void> send_all(int socket, std::string_view text);

// Passes a copy of a descriptor to whoever reads the other end of a socket pair; the sender keeps
// its own.
Result<void> send_fd(int socket, int fd);
Result<Fd> receive_fd(int socket);

// Whether the calling thread may run on a core, and keeping it there. Error: it may not.
Result<void> check_core(uint32_t core);
Result<void> run_on_core(uint32_t core);

}  // namespace wh::host
