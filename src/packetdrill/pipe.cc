#include "packetdrill/pipe.h"

#include <algorithm>

namespace wh::packetdrill {

uint32_t PipeEnd::ready() const {
  if (is_reader_) {
    if (!shared_->bytes.empty()) return POLLIN | POLLRDNORM;
    return shared_->has_writer ? 0 : POLLHUP;
  }
  if (!shared_->has_reader) return POLLERR;
  return shared_->bytes.size() < kCapacity ? POLLOUT | POLLWRNORM : 0;
}

Outcome PipeEnd::receive(World::Lock& lock, std::span<const iovec> parts, int flags,
                         tcp::Endpoint&) {
  if (!is_reader_) return error(EBADF);
  const auto is_ready = [this] { return !shared_->bytes.empty() || !shared_->has_writer; };
  if (!is_ready() && (nonblocking || (flags & MSG_DONTWAIT) != 0 || !world_.block(lock, is_ready)))
    return error(EAGAIN);
  std::deque<uint8_t>& held = shared_->bytes;
  const auto got = static_cast<std::ptrdiff_t>(std::min(size_of(parts), held.size()));
  const std::vector<uint8_t> bytes(held.begin(), held.begin() + got);
  if ((flags & MSG_PEEK) == 0) held.erase(held.begin(), held.begin() + got);
  scatter(bytes, parts);
  return got;
}

Outcome PipeEnd::send(World::Lock& lock, std::span<const iovec> parts, int flags,
                      const tcp::Endpoint*) {
  if (is_reader_) return error(EBADF);
  const auto is_ready = [this] {
    return shared_->bytes.size() < kCapacity || !shared_->has_reader;
  };
  if (!is_ready() && (nonblocking || (flags & MSG_DONTWAIT) != 0 || !world_.block(lock, is_ready)))
    return error(EAGAIN);
  if (!shared_->has_reader) return error(EPIPE);
  std::vector<uint8_t> bytes = gather(parts);
  bytes.resize(std::min(bytes.size(), kCapacity - shared_->bytes.size()));
  shared_->bytes.insert(shared_->bytes.end(), bytes.begin(), bytes.end());
  return static_cast<int64_t>(bytes.size());
}

}  // namespace wh::packetdrill
