// The program's side of a mounted devfs: commands to its server, and a kqueue across it.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "core/result.h"
#include "core/units.h"
#include "event/kevent.h"

namespace wh::dev {

class Client {
 public:
  // Errors: `directory` is no mount of ours.
  static Result<Client> open(const std::string& directory);
  // Of the mount that a device file is in, at whatever depth. Errors: it is in none.
  static Result<Client> open_above(const std::string& device_file);
  ~Client() { close(); }
  Client(Client&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Client& operator=(Client&&) = delete;

  // One line to the server ("kldload echo"); its answer. Errors: the server's, with its text.
  Result<std::string> command(const std::string& line);

  void close();  // Before the mount goes.

  // kevent(2) on this client's queue; device idents are from descriptor_of().
  Result<size_t> kevent(std::span<const ::kevent> changes, std::span<::kevent> events,
                        std::optional<Duration> timeout);
  // The server's number for a device file that this program has open.
  static Result<uintptr_t> descriptor_of(int fd);

 private:
  explicit Client(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace wh::dev
