#include "tcp/send_buffer.h"

#include <algorithm>

namespace wh::tcp {

size_t SendBuffer::append(std::span<const uint8_t> bytes) {
  bytes = bytes.first(std::min(bytes.size(), space()));
  const size_t taken = bytes.size();
  while (!bytes.empty()) {
    if (room_in_tail() == 0) {
      const size_t capacity = std::clamp(bytes.size(), kLeastChunk, kMostChunk);
      pieces_.push_back({net::ChunkRef::make(static_cast<uint32_t>(capacity)), 0, 0});
      owns_tail_ = true;
    }
    net::Slice& tail = pieces_.back();
    const size_t n = std::min(bytes.size(), room_in_tail());
    std::memcpy(tail.chunk->bytes() + tail.offset + tail.size, bytes.data(), n);
    tail.size += static_cast<uint32_t>(n);
    bytes = bytes.subspan(n);
  }
  size_ += taken;
  return taken;
}

size_t SendBuffer::append(const net::Slice& slice) {
  const size_t taken = std::min<size_t>(slice.size, space());
  if (taken == 0) return 0;
  pieces_.push_back(slice.sub(0, static_cast<uint32_t>(taken)));
  owns_tail_ = false;
  size_ += taken;
  return taken;
}

void SendBuffer::drop_front(size_t n) {
  CHECK(n <= size_);
  size_ -= n;
  n += trimmed_;
  while (!pieces_.empty() && n >= pieces_.front().size) {
    // The last piece is kept while there is room behind it: the next write continues in its chunk.
    if (pieces_.size() == 1 && room_in_tail() > 0) break;
    n -= pieces_.front().size;
    pieces_.pop_front();
    ++first_piece_;
  }
  trimmed_ = static_cast<uint32_t>(n);
  if (size_ == 0 && pieces_.size() == 1) clear();
}

void SendBuffer::clear() {
  first_piece_ += static_cast<uint32_t>(pieces_.size());
  pieces_.clear();
  size_ = trimmed_ = 0;
  owns_tail_ = false;
}

SendBuffer::Position SendBuffer::advance(Position from, size_t n) const {
  if (pieces_.empty()) {
    CHECK_EQ(n, 0u);
    return front();
  }
  from = normal(from);
  if (n == 0) return from;
  from.offset += static_cast<uint32_t>(n);
  from = normal(from);
  CHECK(from.offset <= piece(from.piece).size);
  return from;
}

void SendBuffer::attach(net::Packet& packet, Position& at, size_t n) {
  at = normal(at);
  const net::Slice& first = piece(at.piece);
  const size_t here = std::min<size_t>(n, first.size - at.offset);
  if (here == n) {
    const bool fits = packet.append(first.sub(at.offset, static_cast<uint32_t>(n)));
    CHECK(fits);
    at.offset += static_cast<uint32_t>(n);
    return;
  }
  CHECK(at.piece - first_piece_ + 1 < pieces_.size());
  const net::Slice& next = piece(at.piece + 1);
  if (n - here > next.size) return gather(packet, at, n);
  const bool fits = packet.append(first.sub(at.offset, static_cast<uint32_t>(here))) &&
                    packet.append(next.sub(0, static_cast<uint32_t>(n - here)));
  CHECK(fits);
  at = {at.piece + 1, static_cast<uint32_t>(n - here)};
}

void SendBuffer::gather(net::Packet& packet, Position& at, size_t n) {
  ++gathers_;
  net::Slice whole{net::ChunkRef::make(static_cast<uint32_t>(n)), 0, static_cast<uint32_t>(n)};
  for (size_t done = 0; done < n;) {
    at = normal(at);
    const net::Slice& from = piece(at.piece);
    const size_t here = std::min<size_t>(n - done, from.size - at.offset);
    CHECK(here > 0);
    std::memcpy(whole.chunk->bytes() + done, from.data() + at.offset, here);
    at.offset += static_cast<uint32_t>(here);
    done += here;
  }
  const bool fits = packet.append(std::move(whole));
  CHECK(fits);
}

size_t SendBuffer::room_in_tail() const {
  if (pieces_.empty() || !owns_tail_) return 0;
  const net::Slice& tail = pieces_.back();
  return tail.chunk->capacity() - tail.offset - tail.size;
}

}  // namespace wh::tcp
