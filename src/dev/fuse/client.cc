#include "dev/fuse/client.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "dev/fuse/control.h"

namespace wh::dev {
namespace {

tl::unexpected<Error> system_error(const std::string& attempt) {
  return fail_with(static_cast<std::errc>(errno), attempt);
}

}  // namespace

Result<Client> Client::open(const std::string& directory) {
  const std::string path = directory + "/" + kControlName;
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) {
    return system_error(fmt::format("{}: no device file system there (see `wh dev mount`)", path));
  }
  return Client(fd);
}

Result<Client> Client::open_above(const std::string& device_file) {
  std::error_code ignored;
  const auto start = std::filesystem::absolute(device_file, ignored).parent_path();
  for (auto folder = start; folder.has_relative_path(); folder = folder.parent_path()) {
    if (std::filesystem::exists(folder / kControlName, ignored)) return open(folder.string());
  }
  return open(start.string());  // Its error says it.
}

void Client::close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

Result<std::string> Client::command(const std::string& line) {
  ControlText text{};
  if (line.size() > sizeof text.text) return fail("{}: too long", line.substr(0, 40));
  text.length = static_cast<uint32_t>(line.copy(text.text, sizeof text.text));
  if (::ioctl(fd_, kControlCommand, &text) != 0) return system_error(line);
  const int code = text.code;
  std::string answer;
  for (;;) {
    answer.append(text.text, std::min<size_t>(text.length, sizeof text.text));
    if (text.rest == 0) break;
    if (::ioctl(fd_, kControlRest, &text) != 0) return system_error(line);
  }
  if (code != 0) return tl::unexpected(Error{static_cast<std::errc>(code), answer});
  return answer;
}

Result<size_t> Client::kevent(std::span<const ::kevent> changes, std::span<::kevent> events,
                              std::optional<Duration> timeout) {
  ControlEvents call{};
  CHECK_LE(changes.size(), ControlEvents::kMax);
  std::copy(changes.begin(), changes.end(), call.changes);
  call.changes_count = static_cast<uint32_t>(changes.size());
  call.events_count = static_cast<uint32_t>(std::min<size_t>(events.size(), ControlEvents::kMax));
  call.timeout_ns = timeout ? timeout->count() : -1;
  if (::ioctl(fd_, kControlEvents, &call) != 0) return system_error("kevent");
  std::copy(call.events, call.events + call.events_count, events.begin());
  return call.events_count;
}

Result<uintptr_t> Client::descriptor_of(int fd) {
  uint64_t id = 0;
  if (::ioctl(fd, kDescriptorOf, &id) != 0) {
    return system_error("not a device of a mounted devfs");
  }
  return static_cast<uintptr_t>(id);
}

}  // namespace wh::dev
