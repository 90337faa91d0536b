// CoDel: a queue that drops by how long packets wait, not by how many there are (RFC 8289).
//
// A packet's wait is known when it leaves. Once every packet for a whole `interval` has waited
// `target` or longer, one is dropped (or marked), and while that goes on the next after interval /
// sqrt(2), then interval / sqrt(3) ... The first packet that has waited less than the target ends
// it, and so does a queue of no more than one full frame. When dropping begins again soon after it
// ended, it begins at nearly the rate it had reached.
//
// CodelControl is that law alone, over any FIFO; Codel is a queue discipline of one FIFO under it,
// and fq_codel.h has one for each flow.
#pragma once

#include <optional>

#include "net/link/packet_fifo.h"
#include "net/link/queue.h"

namespace wh::net {

enum class Ecn : uint8_t { Off, On };

struct CodelConfig {
  Duration target = 5ms;      // RFC 8289 section 4.4
  Duration interval = 100ms;  // RFC 8289 section 4.3
  Ecn ecn = Ecn::Off;
  bool operator==(const CodelConfig&) const = default;
};

class CodelControl {
 public:
  // The next packet of `fifo` to send, or null when it is empty. What the law drops is counted and
  // freed; what it marks is counted and returned.
  PacketPtr dequeue(PacketFifo& fifo, const CodelConfig& config, Instant now,
                    LinkCounters& counters);

  bool is_dropping() const { return dropping_; }
  uint32_t count() const { return count_; }

 private:
  struct Candidate {
    PacketPtr packet;
    bool ok_to_drop = false;  // Waits have been at or above the target for an interval.
  };
  Candidate take(PacketFifo& fifo, const CodelConfig& config, Instant now);
  PacketPtr punish(Candidate& candidate, PacketFifo& fifo, const CodelConfig& config, Instant now,
                   LinkCounters& counters);
  Instant control_law(Instant from, const CodelConfig& config) const;

  // Names as in RFC 8289 section 5.1.
  std::optional<Instant> first_above_time_;
  Instant drop_next_{};
  uint32_t count_ = 0;
  uint32_t lastcount_ = 0;
  bool dropping_ = false;
};

class Codel final : public Queue {
 public:
  Codel(CodelConfig config, QueueLimit limit, LinkCounters& counters)
      : config_(config), limit_(limit), counters_(counters) {}

  void enqueue(PacketPtr packet) override;
  PacketPtr dequeue(Instant now) override {
    PacketPtr packet = control_.dequeue(fifo_, config_, now, counters_);
    held_.set(fifo_.held());
    return packet;
  }
  void set_limit(const QueueLimit& limit) override { limit_ = limit; }

 private:
  CodelConfig config_;
  QueueLimit limit_;
  LinkCounters& counters_;
  PacketFifo fifo_;
  CodelControl control_;
};

}  // namespace wh::net
