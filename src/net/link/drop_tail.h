// First in, first out, and what does not fit is dropped on arrival.
#pragma once

#include "net/link/packet_fifo.h"
#include "net/link/queue.h"

namespace wh::net {

class DropTail final : public Queue {
 public:
  DropTail(QueueLimit limit, LinkCounters& counters) : limit_(limit), counters_(counters) {}

  void enqueue(PacketPtr packet) override {
    if (!limit_.admits(held_, packet->size())) {
      counters_.drop(DropReason::QueueFull, *packet);
      return;
    }
    fifo_.push(std::move(packet));
    held_.set(fifo_.held());
  }
  PacketPtr dequeue(Instant) override {
    PacketPtr packet = fifo_.pop();
    held_.set(fifo_.held());
    return packet;
  }
  void set_limit(const QueueLimit& limit) override { limit_ = limit; }

 private:
  QueueLimit limit_;
  LinkCounters& counters_;
  PacketFifo fifo_;
};

}  // namespace wh::net
