#include "net/link/codel.h"

#include <cmath>

#include "net/link/glance.h"

namespace wh::net {

// RFC 8289 section 5.6: the oldest packet, and whether it may be dropped.
CodelControl::Candidate CodelControl::take(PacketFifo& fifo, const CodelConfig& config,
                                           Instant now) {
  Candidate c{fifo.pop()};
  if (c.packet == nullptr) {
    first_above_time_.reset();
    return c;
  }
  const Duration sojourn = now - c.packet->enqueued;
  if (sojourn < config.target || fifo.held().bytes <= static_cast<uint64_t>(kFullFrame.count())) {
    first_above_time_.reset();
  } else if (!first_above_time_) {
    first_above_time_ = now + config.interval;
  } else {
    c.ok_to_drop = now >= *first_above_time_;
  }
  return c;
}

// RFC 8289 section 5.5, with marking as section 5 allows: a marked packet is sent, a dropped one
// gives way to the next.
PacketPtr CodelControl::dequeue(PacketFifo& fifo, const CodelConfig& config, Instant now,
                                LinkCounters& counters) {
  Candidate c = take(fifo, config, now);
  if (dropping_) {
    if (!c.ok_to_drop) dropping_ = false;
    // A large backlog may call for several drops at once.
    while (dropping_ && now >= drop_next_) {
      ++count_;
      if (PacketPtr marked = punish(c, fifo, config, now, counters)) {
        drop_next_ = control_law(drop_next_, config);
        return marked;
      }
      if (!c.ok_to_drop) {
        dropping_ = false;
      } else {
        drop_next_ = control_law(drop_next_, config);
      }
    }
    return std::move(c.packet);
  }
  if (!c.ok_to_drop) return std::move(c.packet);
  PacketPtr marked = punish(c, fifo, config, now, counters);
  dropping_ = true;
  // The rate that tamed the queue a short while ago is a good one to begin with.
  const uint32_t delta = count_ - lastcount_;
  count_ = delta > 1 && now - drop_next_ < 16 * config.interval ? delta : 1;
  drop_next_ = control_law(now, config);
  lastcount_ = count_;
  return marked != nullptr ? std::move(marked) : std::move(c.packet);
}

// Marks the candidate and returns it; or drops it, puts the next in its place and returns null.
PacketPtr CodelControl::punish(Candidate& candidate, PacketFifo& fifo, const CodelConfig& config,
                               Instant now, LinkCounters& counters) {
  if (config.ecn == Ecn::On && mark_congestion(*candidate.packet)) {
    ++counters.marked;
    return std::move(candidate.packet);
  }
  counters.drop(DropReason::Codel, *candidate.packet);
  candidate = take(fifo, config, now);
  return nullptr;
}

// RFC 8289 section 5.3.
Instant CodelControl::control_law(Instant from, const CodelConfig& config) const {
  const double ns = static_cast<double>(config.interval.count()) / std::sqrt(count_);
  return from + Duration(static_cast<int64_t>(ns));
}

void Codel::enqueue(PacketPtr packet) {
  if (!limit_.admits(held_, packet->size())) {
    counters_.drop(DropReason::QueueFull, *packet);
    return;
  }
  fifo_.push(std::move(packet));
  held_.set(fifo_.held());
}

}  // namespace wh::net
