// What waits in front of a transmitter: a queue discipline decides what is kept, in which order it
// leaves, and what is dropped or marked. A transmitter asks for the next packet when it can send
// one.
//
// Every discipline is bounded by a QueueLimit, in bytes, packets, or both; the packet that is being
// transmitted is not in the queue. Drops are counted with their reason in the direction's
// LinkCounters.
#pragma once

#include <limits>

#include "net/link/counters.h"

namespace wh::net {

// The largest Ethernet frame of an MTU of 1500 bytes, and so the smallest buffer that passes every
// packet.
constexpr Bytes kFullFrame{1514};

struct QueueLimit {
  Bytes bytes = Bytes::max();
  uint64_t packets = std::numeric_limits<uint64_t>::max();

  bool operator==(const QueueLimit&) const = default;
  // Whether `size` more bytes fit beside what is held.
  bool admits(const Tally& held, uint32_t size) const {
    return held.packets < packets && held.bytes + size <= static_cast<uint64_t>(bytes.count());
  }
};

class Queue {
 public:
  virtual ~Queue() = default;
  // Takes a packet whose `enqueued` is now; drops it, or another, when there is no room.
  virtual void enqueue(PacketPtr packet) = 0;
  // The packet to send at `now`, or null when nothing waits. May drop others on the way.
  virtual PacketPtr dequeue(Instant now) = 0;
  // From now on; what waits already stays.
  virtual void set_limit(const QueueLimit& limit) = 0;
  // What waits.
  const Tally& held() const { return held_; }

 protected:
  Tally held_;
};

}  // namespace wh::net
