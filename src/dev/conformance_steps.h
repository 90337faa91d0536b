// What the checks of the conformance suite are made of: calls, each a step that must come back.
//
// The checks about sleeping and waking are in conformance_sleep.cc, the others in conformance.cc.
#pragma once

#include <cerrno>

#include "dev/trial.h"

namespace wh::dev {

constexpr int kReadable = POLLIN | POLLRDNORM, kWritable = POLLOUT | POLLWRNORM;

std::vector<std::byte> some_bytes(size_t n);

int code_of(const auto& result) {
  return result ? 0 : static_cast<int>(result.error());
}

// Opens a device; -1 when it cannot be opened so.
int open_device(Trial& t, const std::string& device, int flags);
// What poll(2) says of those of `events`, without waiting.
int poll_now(Trial& t, int fd, int events);
// Whether poll(2) says what the driver knows: without d_poll, a device is always ready.
bool has_poll(Trial& t, const std::string& device);

// Reads or writes on a descriptor that does not block, a piece at a time, until nothing moves.
// Returns the bytes that moved, and the last error.
struct Moved {
  size_t bytes = 0;
  int error = 0;
};
constexpr size_t kPiece = 4096;
Moved exhaust(Trial& t, int fd, ::uio_rw direction, size_t piece = kPiece);

// ---- Checks: conformance_sleep.cc

void every_sleeper_is_woken(Trial& t);
void signals_end_sleeps(Trial& t);
void unload_while_blocked(Trial& t);

}  // namespace wh::dev
