// A ring by which one thread gives packets to another.
//
//   writer: push(packet, to) ---> [ bytes and notes of one packet | .. | .. ]
//                                      reader: pop(pool) <---'
//
// A packet and its chunks belong to one loop, so what crosses is a copy: its notes, its link header
// if that was pulled off, and its bytes. `to` is the writer's word for the reader, who knows what
// it means. The ring holds a fixed number of bytes; what finds it full is not taken, and counted.
// Neither side ever waits for the other.
//
// Threads: push() from one, pop() from one other.
#pragma once

#include <atomic>
#include <memory>

#include "net/packet.h"

namespace wh::net {

class HandoffRing {
 public:
  static constexpr uint32_t kLargest = 80 << 10;  // Bytes of a packet: any segment, and headers.

  static constexpr uint32_t kUsualSize = 1 << 20;  // Bytes, of packets and what is said of each.

  // REQUIRES: a power of two, at least twice the largest.
  explicit HandoffRing(uint32_t bytes = kUsualSize);

  // False, and counted, when it is full or the packet too long. From the writer's thread.
  bool push(const Packet& packet, uint8_t to);
  // The next packet from `pool`, and what was said with it; nullptr when there is none, or the pool
  // is exhausted (then it stays). From the reader's thread.
  PacketPtr pop(PacketPool& pool, uint8_t& to);
  // From either thread; to the writer true may be out of date at once, to the reader false not.
  bool is_empty() const {
    return head_.load(std::memory_order_acquire) == tail_.load(std::memory_order_acquire);
  }
  uint64_t full() const { return full_.load(std::memory_order_relaxed); }

 private:
  // What stands before a packet's bytes. Records begin at multiples of its size.
  struct alignas(64) Record {
    uint32_t size = 0;  // Of the bytes behind it; kSkip: the rest of the memory is unused.
    uint32_t adjacency = 0;
    uint16_t l2_size = 0, l3_offset = 0, l4_offset = 0, gso_size = 0;
    uint16_t interface = 0, rx_interface = 0, table = 0;
    Checksum checksum = Checksum::Unknown;
    uint8_t ecn = 0, to = 0;
  };
  static_assert(sizeof(Record) == 64);

 public:
  static constexpr size_t kMostPackets = kUsualSize / (2 * sizeof(Record));  // None is empty.

 private:
  static constexpr uint32_t kSkip = ~0u;
  static uint32_t room_for(uint32_t size) {
    return static_cast<uint32_t>(sizeof(Record) +
                                 (size + sizeof(Record) - 1) / sizeof(Record) * sizeof(Record));
  }
  Record& at(uint32_t position) { return memory_[(position & mask_) / sizeof(Record)]; }

  uint32_t mask_;
  std::unique_ptr<Record[]> memory_;
  alignas(64) std::atomic<uint32_t> head_{0};  // Where the writer goes on; wraps with the integer.
  alignas(64) std::atomic<uint32_t> tail_{0};  // Where the reader does.
  alignas(64) std::atomic<uint64_t> full_{0};
};

}  // namespace wh::net
