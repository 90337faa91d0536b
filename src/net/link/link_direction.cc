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
  PacketSink& wire = build_wire(loop, random, out);
  PacketSink& transmitter = build_transmitter(loop, random, wire);
  first_ = &build_impairments(pool, random, transmitter);
}

void LinkDirection::accept(Frame frame) {
  for (uint32_t i = 0; i < frame.size(); ++i) {
    PacketPtr packet = frame.take(i);
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
  Tally sum = transmitter_->in_service();
  for (const auto& held : held_after_queue_) sum = sum + held();
  return sum;
}

double LinkDirection::utilization() const {
  const double capacity = transmitter_->capacity_bytes();
  return capacity <= 0 ? 0 : static_cast<double>(counters_.transmitted.bytes) / capacity;
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

PacketSink& LinkDirection::build_wire(Loop& loop, const Random& random, FrameSink& out) {
  const DelayConfig delay{.delay = config_.delay, .jitter = config_.jitter};
  const Random jitter = random.fork("jitter");
  PacketSink* first = nullptr;
  const auto line = [&](auto& stage) {
    held_after_queue_.emplace_back([&stage] { return stage.held(); });
    first = &stage;
  };
  if (config_.jitter > 0ns && config_.jitter_order == JitterOrder::Free) {
    line(add<ScatterLine>(delay, loop, jitter, counters_, out));
  } else {
    line(add<DelayLine>(delay, loop, jitter, counters_, out));
  }
  if (!config_.reorder.chance.is_zero()) {
    line(add<Reorder>(config_.reorder, loop, random.fork("reorder"), counters_, *first));
  }
  return *first;
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

PacketSink& LinkDirection::build_transmitter(Loop& loop, const Random& random, PacketSink& next) {
  auto queue = make_queue(random);
  if (config_.trace != nullptr) {
    transmitter_ = &add<TraceTransmitter>(config_.trace, loop, std::move(queue), counters_, next);
  } else if (config_.slot) {
    transmitter_ =
        &add<SlotTransmitter>(*config_.slot, config_.rate, loop, std::move(queue), counters_, next);
  } else {
    transmitter_ = &add<RateTransmitter>(config_.rate, loop, std::move(queue), counters_, next);
  }
  return *transmitter_;
}

PacketSink& LinkDirection::build_impairments(PacketPool& pool, const Random& random,
                                             PacketSink& next) {
  PacketSink* first = &next;
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
