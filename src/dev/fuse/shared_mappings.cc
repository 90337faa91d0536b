#define FUSE_USE_VERSION 312
#include "dev/fuse/shared_mappings.h"

#include <fcntl.h>
#include <fuse3/fuse_lowlevel.h>
#include <linux/fuse.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <span>
#include <vector>

namespace wh::dev {
namespace {

constexpr uint32_t kDirectIoAllowMmap = 1u << 4;  // FUSE_DIRECT_IO_ALLOW_MMAP, of flags2.
constexpr size_t kRoom = (size_t{1} << 20) + 4096;

tl::unexpected<Error> system_error(const char* attempt) {
  return fail_with(static_cast<std::errc>(errno), attempt);
}

bool offers_shared_mappings(const std::vector<char>& request) {
  ::fuse_in_header header;
  ::fuse_init_in init;
  if (request.size() < sizeof header + sizeof init) return false;
  std::memcpy(&header, request.data(), sizeof header);
  std::memcpy(&init, request.data() + sizeof header, sizeof init);
  return header.opcode == FUSE_INIT && (init.flags & FUSE_INIT_EXT) != 0 &&
         (init.flags2 & kDirectIoAllowMmap) != 0;
}

void process(::fuse_session* session, std::vector<char>& request) {
  ::fuse_buf buffer{};
  buffer.size = request.size();
  buffer.mem = request.data();
  ::fuse_session_process_buf(session, &buffer);
}

// Adds the flag to an answer that agrees to what was asked.
void allow(std::span<char> answer) {
  ::fuse_out_header header;
  ::fuse_init_out init;
  if (answer.size() < sizeof header + sizeof init) return;
  std::memcpy(&header, answer.data(), sizeof header);
  if (header.error != 0) return;
  std::memcpy(&init, answer.data() + sizeof header, sizeof init);
  init.flags |= FUSE_INIT_EXT;
  init.flags2 |= kDirectIoAllowMmap;
  std::memcpy(answer.data() + sizeof header, &init, sizeof init);
}

}  // namespace

Result<void> begin_session(::fuse_session* session) {
  const int device = ::fuse_session_fd(session);
  std::vector<char> request(kRoom);
  ssize_t n = 0;
  do n = ::read(device, request.data(), request.size());
  while (n < 0 && errno == EINTR);
  if (n < 0) return system_error("read the kernel's first request from /dev/fuse");
  request.resize(static_cast<size_t>(n));
  if (!offers_shared_mappings(request)) {
    process(session, request);
    return {};
  }
  std::array<int, 2> pair{};
  const int kept = ::fcntl(device, F_DUPFD_CLOEXEC, 0);
  if (kept < 0 || ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) != 0) {
    return system_error("make a socket");
  }
  ::dup3(pair[1], device, O_CLOEXEC);
  process(session, request);
  ::dup3(kept, device, O_CLOEXEC);
  std::array<char, 4096> answer{};
  n = ::recv(pair[0], answer.data(), answer.size(), MSG_DONTWAIT);
  for (const int fd : {kept, pair[0], pair[1]}) ::close(fd);
  if (n < 0) return system_error("answer the kernel's first request");
  const auto size = static_cast<size_t>(n);
  allow(std::span(answer).first(size));
  if (::write(device, answer.data(), size) != n) {
    return system_error("answer the kernel's first request");
  }
  return {};
}

}  // namespace wh::dev
