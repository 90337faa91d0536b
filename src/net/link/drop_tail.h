// First in, first out, and what does not fit is dropped on arrival.
#pragma once

#include "net/link/packet_fifo.h"
#include "net/link/queue.h"

namespace wh::net {

class DropTail final : public Queue {
 public:
  DropTail(QueueLimit limit, LinkCounters& counters) : limit_(limit), counters_(counters) {}

  void enqueue(PacketPtr packet) override {
    if (!limit_.admits(fifo_.held(), packet->size())) {
      counters_.drop(DropReason::QueueFull, *packet);
      return;
    }
    fifo_.push(std::move(packet));
  }
  PacketPtr dequeue(Instant) override { return fifo_.pop(); }
  void set_limit(const QueueLimit& limit) override { limit_ = limit; }
  const Tally& held() const override { return fifo_.held(); }

 private:
  QueueLimit limit_;
  LinkCounters& counters_;
  PacketFifo fifo_;
};

}  // namespace wh::net
