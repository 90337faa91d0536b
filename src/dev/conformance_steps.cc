#include "dev/conformance_steps.h"

namespace wh::dev {
namespace {

constexpr int kMaxPieces = 256;  // What a device must take before it counts as endless.

}  // namespace

std::vector<std::byte> some_bytes(size_t n) {
  return std::vector<std::byte>(n, std::byte{'w'});
}

int open_device(Trial& t, const std::string& device, int flags) {
  int fd = -1;
  t.must("d_open of " + device, [&] { fd = t.process().open(device, flags).value_or(-1); });
  return fd;
}

int poll_now(Trial& t, int fd, int events) {
  int revents = 0;
  t.must("d_poll", [&] {
    ::pollfd p = {fd, static_cast<short>(events), 0};
    static_cast<void>(t.process().poll({&p, 1}, Duration::zero()));
    revents = p.revents;
  });
  return revents;
}

Moved exhaust(Trial& t, int fd, ::uio_rw direction, size_t piece) {
  Moved all;
  const char* name = direction == UIO_READ ? "d_read with O_NONBLOCK" : "d_write with O_NONBLOCK";
  std::vector<std::byte> buffer = some_bytes(piece);
  for (int i = 0; i < kMaxPieces; ++i) {
    Sys<size_t> n = 0;
    t.must(name, [&] {
      n = direction == UIO_READ ? t.process().read(fd, buffer) : t.process().write(fd, buffer);
    });
    all.error = code_of(n);
    if (n.value_or(0) == 0) break;
    all.bytes += *n;
  }
  return all;
}

bool has_poll(Trial& t, const std::string& device) {
  const auto found = t.kernel().devfs().find(device);
  return found != nullptr && found->driver()->d_poll != nullptr;
}

}  // namespace wh::dev
