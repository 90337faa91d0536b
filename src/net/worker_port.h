// One device as several workers see it: each has an interface of its own, and what the owner of the
// device's queue must send, or another worker must handle, crosses by a ring.
//
//   worker 0: vnet, "eth0" (owner of the device)         worker 1: vnet, "eth0" (a WorkerPort)
//     device <---- send ---- [ring] <-------------------------- transmit
//     device ---- frames whose flow is worker 1's ---> [ring] ---> receive
//
// A worker is one thread with its own loop, packet pool and vnet, and shares nothing with another
// but rings. A ring has one writer and one reader; packets are copied through it, since a packet
// and its chunks belong to one loop. It holds a fixed number of packets of a fixed size; what finds
// it full is dropped and counted by the writer. Neither side ever waits for the other.
//
// Threads: push() from one, pop() from one other. A WorkerPort belongs to its worker's thread; the
// owner calls drain() for what it is to send and hand_in() for what the worker is to get, the
// worker calls poll(). Who calls them when (an eventfd, a busy loop) is the program's matter.
#pragma once

#include <atomic>
#include <memory>

#include "net/interface.h"

namespace wh::net {

// A ring of packets as bytes between two threads.
class PacketRing {
 public:
  static constexpr uint32_t kSlotSize = 2048;  // Bytes of one packet at most.

  // REQUIRES: slots is a power of two.
  explicit PacketRing(uint32_t slots);

  // False, and counted, when it is full or the packet too long. From the writer's thread.
  bool push(const Packet& packet);
  // The next packet from `pool`; nullptr when there is none, or the pool is exhausted (then it
  // stays). From the reader's thread.
  PacketPtr pop(PacketPool& pool);
  // From either thread; true may be out of date at once, false for the reader not.
  bool is_empty() const {
    return head_.load(std::memory_order_acquire) == tail_.load(std::memory_order_acquire);
  }
  uint64_t full() const { return full_.load(std::memory_order_relaxed); }

 private:
  struct Slot {
    uint32_t size = 0;
    Checksum checksum = Checksum::Unknown;
    uint16_t gso_size = 0, l3_offset = 0, l4_offset = 0;
    uint8_t bytes[kSlotSize];
  };
  uint32_t mask_;
  std::unique_ptr<Slot[]> slots_;
  alignas(64) std::atomic<uint32_t> head_{0};  // Next to be written.
  alignas(64) std::atomic<uint32_t> tail_{0};  // Next to be read.
  alignas(64) std::atomic<uint64_t> full_{0};
};

class WorkerPort final : public Interface {
 public:
  static constexpr uint32_t kSlots = 1024;

  WorkerPort(Config config, Loop& loop, PacketPool& pool)
      : Interface(std::move(config), loop), pool_(pool), out_(kSlots), in_(kSlots) {}

  // --- from the worker's thread ---
  // Receives what was handed in, up to a frame. False when there was nothing.
  bool poll();

  // --- from the owner's thread ---
  // Sends what the worker transmitted by the device, up to a frame. False when there was nothing.
  bool drain(Interface& device, PacketPool& pool);
  // Gives the worker a frame from the device. False, and counted, when its ring is full.
  bool hand_in(const Packet& packet) { return in_.push(packet); }

  uint64_t handed_in_full() const { return in_.full(); }
  uint64_t transmit_full() const { return out_.full(); }

 private:
  void send(Frame frame) override;
  PacketPool& pool_;
  PacketRing out_, in_;
};

}  // namespace wh::net
