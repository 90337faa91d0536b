// The bottleneck of a direction: a queue, and something that takes packets from it when they may be
// sent.
//
// What the transmitters share is here: stamping and counting at the queue's two ends. When a packet
// may leave is the derived class's business: at a fixed rate (rate_transmitter.h), at recorded
// opportunities (trace_transmitter.h), or all together at a time slot (slot_transmitter.h).
//
// A transmitter that is down sends nothing more; the queue fills, and drops by its own rule. A
// packet whose transmission has begun, and those on the wire, still arrive. When it is up again it
// goes on with what waits.
#pragma once

#include <memory>

#include "core/loop.h"
#include "net/link/queue.h"
#include "net/link/wire.h"

namespace wh::net {

class Transmitter : public PacketSink {
 public:
  Transmitter(Loop& loop, std::unique_ptr<Queue> queue, LinkCounters& counters, Wire& wire)
      : loop_(loop), queue_(std::move(queue)), counters_(counters), wire_(wire) {}

  virtual void set_up(bool up) = 0;
  virtual bool is_up() const = 0;
  // Changes the rate for every packet whose transmission has not begun. REQUIRES: not zero. Nothing
  // where the rate is not ours to choose (a trace).
  virtual void set_rate(Rate rate) = 0;
  // Bytes that could have been sent since the beginning; time at an infinite rate does not count.
  virtual double capacity_bytes() const = 0;
  // Bytes sent until now: of a packet that is being sent, the part that has left.
  virtual double sent_bytes() const { return static_cast<double>(counters_.transmitted.bytes); }
  // A packet of which only a part could be sent yet, and which is neither in the queue nor on the
  // wire.
  virtual Tally in_service() const { return {}; }

  Queue& queue() { return *queue_; }
  const Queue& queue() const { return *queue_; }

 protected:
  void enqueue(PacketPtr packet) {
    packet->enqueued = loop_.now();
    queue_->enqueue(std::move(packet));
    note_backlog();
    counters_.peak.packets = std::max(counters_.peak.packets, counters_.backlog.packets);
    counters_.peak.bytes = std::max(counters_.peak.bytes, counters_.backlog.bytes);
  }
  PacketPtr dequeue() {
    PacketPtr packet = queue_->dequeue(loop_.now());
    note_backlog();
    if (packet != nullptr) {
      counters_.queue_ns.record(static_cast<uint64_t>((loop_.now() - packet->enqueued).count()));
    }
    return packet;
  }
  // Sends a packet that will have left at `when`.
  void depart(PacketPtr packet, Instant when) {
    counters_.transmitted.add(packet->size());
    wire_.carry(std::move(packet), when);
  }

  Loop& loop_;

 private:
  void note_backlog() { counters_.backlog.set(queue_->held()); }

  std::unique_ptr<Queue> queue_;

 protected:
  LinkCounters& counters_;

 private:
  Wire& wire_;
};

}  // namespace wh::net
