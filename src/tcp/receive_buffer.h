// What has arrived: bytes in order that wait for the application, and islands that wait for a hole
// to fill.
//
//   read by the application | ready | hole | island | hole | island |
//                           ^       ^ rcv_nxt                        ^ right edge of the window
//
// Payload is referred to where the packet holds it in a chunk and copied where it lies in the
// packet's head or little of it is news, so tiny pieces share chunks instead of pinning one each,
// whatever order they come in. Bytes that arrive twice are kept as they arrived first.
//
// Bounded: the caller trims segments to the window, which bounds bytes; islands are bounded by
// `max_islands`, beyond which a segment that would found a new one is refused and counted by the
// caller. An island may pin a chunk of 2 KiB for one byte. A segment finds its island by bisection.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "net/packet.h"
#include "tcp/ring.h"
#include "tcp/types.h"

namespace wh::tcp {

// A run of bytes made of slices.
class SliceQueue {
 public:
  size_t size() const { return size_; }
  // Appends the bytes [from, from + n) of a packet, counted from data().
  void append(const net::Packet& packet, uint32_t from, uint32_t n);
  void append(SliceQueue&& other);  // `other` is left empty.
  void drop_front(size_t n);
  size_t peek(std::span<uint8_t> out) const;  // Copies as many as read() would move.
  // Moves up to out.size() bytes out; returns how many.
  size_t read(std::span<uint8_t> out);
  // Takes the next contiguous bytes, at most `most`, as a slice; empty when there are none.
  net::Slice read_slice(size_t most);
  void clear();

 private:
  static constexpr uint32_t kLeastChunk = 2048;
  static constexpr uint32_t kLeastReferred = 512;  // Less is copied.
  void copy(std::span<const uint8_t> bytes);
  uint32_t room_in_tail() const;

  Ring<net::Slice> slices_;
  size_t size_ = 0;
  bool owns_tail_ = false;  // The last slice's chunk is ours to write behind it.
};

class ReceiveBuffer {
 public:
  static constexpr size_t kMaxSackBlocks = 4;

  struct Insertion {
    uint32_t advance = 0;     // By how much rcv_nxt moves.
    uint32_t duplicate = 0;   // Bytes that were here before,
    SeqRange repeated{};      // and the first run of them (RFC 2883 section 4).
    bool is_refused = false;  // It would have been an island too many.
  };

  // Takes bytes [from, from + n) of the packet, the first of which is `seq`.
  // REQUIRES: rcv_nxt <= seq, n > 0, and the range is within the window.
  Insertion insert(SeqNum rcv_nxt, SeqNum seq, const net::Packet& packet, uint32_t from, uint32_t n,
                   size_t max_islands);

  size_t readable() const { return ready_.size(); }
  size_t read(std::span<uint8_t> out) { return ready_.read(out); }
  size_t peek(std::span<uint8_t> out) const { return ready_.peek(out); }
  net::Slice read_slice(size_t most) { return ready_.read_slice(most); }
  size_t discard(size_t most);

  bool has_islands() const { return !islands_.empty(); }
  size_t islands() const { return islands_.size(); }
  // Ranges to report, the one that changed last first (RFC 2018 section 4). Returns how many were
  // written.
  size_t sack_blocks(std::span<SeqRange> out) const;

  void clear();
  void clear_islands();
  void check_invariants(SeqNum rcv_nxt) const;

 private:
  struct Island {
    SeqNum begin, end;
    SliceQueue bytes;
  };
  size_t first_island_to(SeqNum seq) const;  // The first that ends at `seq` or later.
  Insertion place(SeqNum rcv_nxt, SeqNum seq, const net::Packet& packet, uint32_t from, uint32_t n,
                  size_t max_islands);
  Insertion insert_ready(SeqNum rcv_nxt, const net::Packet& packet, uint32_t from, uint32_t n);
  void note_change(const SeqRange& range);

  SliceQueue ready_;
  Ring<Island> islands_;  // Ascending, with a hole before each.
  std::array<SeqRange, kMaxSackBlocks> recent_{};
  size_t recent_count_ = 0;
};

}  // namespace wh::tcp
