#include "net/link/link_direction.h"

#include "net/link/corrupt.h"
#include "net/link/delay_line.h"
#include "net/link/drop_tail.h"
#include "net/link/duplicate.h"
#include "net/link/keep_last_ack.h"
#include "net/link/loss.h"
#include "net/link/rate_transmitter.h"
#include "net/link/scatter_line.h"
#include "net/link/slot_transmitter.h"
#include "net/link/trace_transmitter.h"

namespace wh::net {

LinkDirection::LinkDirection(const DirectionConfig& config, Loop& loop, PacketPool& pool,
                             const Random& random, FrameSink& out)
    : config_(config) {
  CHECK(config.trace_file.empty() || config.trace != nullptr);
  wire_ = &build_wire(loop, random, out);
  transmitter_ = &build_transmitter(loop, random, *wire_);
  first_ = &build_impairments(loop, pool, random, *transmitter_);
}

void LinkDirection::accept(Frame&& frame) {
  for (Packet* p : frame.release()) {
    PacketPtr packet(p);
    counters_.accepted.add(packet->size());
    first_->accept(std::move(packet));
  }
}

void LinkDirection::set_rate(Rate rate) {
  transmitter_->set_rate(rate);
  if (config_.trace != nullptr) return;
  config_.rate = rate;
  transmitter_->queue().set_limit(queue_limit(config_, rate));
}

Tally LinkDirection::in_transit() const {
  const Tally held_back = reorder_ == nullptr ? Tally{} : reorder_->held();
  return held_back + transmitter_->in_service() + wire_->held();
}

Result<void> LinkDirection::check_conservation() const {
  const LinkCounters& c = counters_;
  const Tally in = c.accepted + c.duplicated;
  const Tally out = c.delivered + c.all_dropped() + queued() + in_transit();
  if (in == out) return {};
  return fail(
      "link does not conserve: accepted {} + duplicated {} != delivered {} + dropped {} + "
      "queued {} + in transit {} packets ({} and {} bytes)",
      c.accepted.packets, c.duplicated.packets, c.delivered.packets, c.all_dropped().packets,
      queued().packets, in_transit().packets, in.bytes, out.bytes);
}

template <class Stage, class... Args>
Stage& LinkDirection::add(Args&&... args) {
  auto stage = std::make_unique<Stage>(std::forward<Args>(args)...);
  Stage& added = *stage;
  stages_.push_back(std::move(stage));
  return added;
}

Wire& LinkDirection::build_wire(Loop& loop, const Random& random, FrameSink& out) {
  const DelayConfig delay{.delay = config_.delay, .jitter = config_.jitter};
  const Random jitter = random.fork("jitter");
  if (config_.jitter > 0ns && config_.jitter_order == JitterOrder::Free) {
    return add<ScatterLine>(delay, loop, jitter, counters_, out);
  }
  return add<DelayLine>(delay, loop, jitter, counters_, out);
}

std::unique_ptr<Queue> LinkDirection::make_queue(const Random& random) {
  const QueueLimit limit = queue_limit(config_, config_.buffer_rate());
  switch (config_.queue) {
    case Discipline::Codel: return std::make_unique<Codel>(config_.aqm.codel, limit, counters_);
    case Discipline::FqCodel:
      return std::make_unique<FqCodel>(config_.aqm, limit, random.fork("fq_codel"), counters_);
    case Discipline::DropTail: break;
  }
  if (config_.ack == AckPolicy::KeepLast) return std::make_unique<KeepLastAck>(limit, counters_);
  return std::make_unique<DropTail>(limit, counters_);
}

Transmitter& LinkDirection::build_transmitter(Loop& loop, const Random& random, Wire& wire) {
  auto queue = make_queue(random);
  if (config_.trace != nullptr) {
    return add<TraceTransmitter>(config_.trace, loop, std::move(queue), counters_, wire);
  }
  if (config_.slot) {
    return add<SlotTransmitter>(*config_.slot, config_.rate, loop, std::move(queue), counters_,
                                wire);
  }
  return add<RateTransmitter>(config_.rate, loop, std::move(queue), counters_, wire);
}

PacketSink& LinkDirection::build_impairments(Loop& loop, PacketPool& pool, const Random& random,
                                             PacketSink& next) {
  PacketSink* first = &next;
  if (!config_.reorder.chance.is_zero()) {
    auto& reorder = add<Reorder>(config_.reorder, loop, random.fork("reorder"), counters_, *first);
    reorder_ = &reorder;
    first = &reorder;
  }
  if (!config_.corrupt.is_zero()) {
    first = &add<Corrupt>(config_.corrupt, random.fork("corrupt"), counters_, *first);
  }
  if (!config_.duplicate.is_zero()) {
    first = &add<Duplicate>(config_.duplicate, pool, random.fork("dup"), counters_, *first);
  }
  if (!config_.loss.is_zero()) {
    first = &add<Loss>(config_.loss, random.fork("loss"), counters_, *first);
  }
  if (config_.ge) {
    first = &add<GilbertElliott>(*config_.ge, random.fork("ge"), counters_, *first);
  }
  return *first;
}

}  // namespace wh::net
