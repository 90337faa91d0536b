// What the application has written and the peer has not acknowledged, referred to but never copied
// again.
//
//   front() = snd_una                                       end() = where the next write lands
//     |  piece 7   |  piece 8              |  piece 9   |
//
// A write lands once in chunks that the buffer owns, or is taken by reference (append(Slice)) from
// a sender that already holds its bytes in chunks. Segments refer to those chunks; so does every
// retransmission. A Position names a byte by piece and offset and stays good until that byte is
// acknowledged, which is what lets the sendmap remember where a segment's bytes are.
//
// Bounded: append() takes what fits below the limit and says how much that was.
#pragma once

#include <cstdint>
#include <span>

#include "net/packet.h"
#include "tcp/ring.h"

namespace wh::tcp {

class SendBuffer {
 public:
  struct Position {
    uint32_t piece = 0;   // A running number, modulo 2^32.
    uint32_t offset = 0;  // Within the piece.
  };

  explicit SendBuffer(Bytes limit) : limit_(limit) {}

  // Both return how many bytes were taken, from the front: all, or as many as there is room for.
  size_t append(std::span<const uint8_t> bytes);
  size_t append(const net::Slice& slice);
  // Forgets the first n bytes: they were acknowledged. REQUIRES: n <= size().
  void drop_front(size_t n);
  void clear();

  size_t size() const { return size_; }
  size_t space() const {
    const auto limit = static_cast<size_t>(limit_.count());
    return size_ >= limit ? 0 : limit - size_;
  }
  Bytes limit() const { return limit_; }
  void set_limit(Bytes limit) { limit_ = limit; }  // Bytes already held stay.

  Position front() const { return {first_piece_, trimmed_}; }
  // The byte n further on. It may be the end. REQUIRES: `from` is good and n bytes follow it.
  Position advance(Position from, size_t n) const;
  // Appends the n bytes from `at` to the packet as slices, and moves `at` past them. Bytes
  // scattered over more pieces than a packet has slices are gathered into a chunk of their own
  // (counted in gathers()).
  void attach(net::Packet& packet, Position& at, size_t n);

  uint64_t gathers() const { return gathers_; }

 private:
  static constexpr size_t kLeastChunk = 2048;
  static constexpr size_t kMostChunk = 65536;

  const net::Slice& piece(uint32_t number) const { return pieces_[number - first_piece_]; }
  // `at` at the beginning of the next piece when it stands at the end of one that has a successor.
  Position normal(Position at) const {
    // The end of a piece that is gone is the beginning of what is left.
    if (static_cast<int32_t>(at.piece - first_piece_) < 0) return front();
    while (at.piece - first_piece_ + 1 < pieces_.size() && at.offset >= piece(at.piece).size) {
      at.offset -= piece(at.piece).size;
      ++at.piece;
    }
    return at;
  }
  size_t room_in_tail() const;
  void gather(net::Packet& packet, Position& at, size_t n);

  Bytes limit_;
  size_t size_ = 0;
  Ring<net::Slice> pieces_;
  uint32_t first_piece_ = 0;  // The number of pieces_[0].
  uint32_t trimmed_ = 0;      // Bytes of pieces_[0] that were acknowledged.
  bool owns_tail_ = false;    // The last piece's chunk is ours to write behind it.
  uint64_t gathers_ = 0;
};

}  // namespace wh::tcp
