#include "net/link/trace_transmitter.h"

#include <algorithm>

namespace wh::net {

TraceTransmitter::TraceTransmitter(std::shared_ptr<const Trace> trace, Loop& loop,
                                   std::unique_ptr<Queue> queue, LinkCounters& counters, Wire& wire)
    : Transmitter(loop, std::move(queue), counters, wire),
      trace_(std::move(trace)),
      origin_(loop.now()),
      period_start_(loop.now()),
      due_(loop, [this] { use_due(); }) {
  CHECK(trace_ != nullptr);
}

void TraceTransmitter::accept(PacketPtr packet) {
  // Opportunities until now are not for this packet, in whatever order the loop got here.
  if (due_.deadline() <= loop_.now()) use_due();
  enqueue(std::move(packet));
  arm();
}

void TraceTransmitter::arm() {
  if (!up_ || due_.is_armed() || !has_work()) return;
  skip_to_now();
  due_.arm(next_time());
}

// Passes over the opportunities until now, which found nothing to carry.
void TraceTransmitter::skip_to_now() {
  const Duration elapsed = loop_.now() - origin_;
  const Duration period = trace_->period();
  period_start_ = origin_ + elapsed / period * period;
  next_ = trace_->first_after(elapsed % period);
}

void TraceTransmitter::use_due() {
  due_.disarm();
  while (has_work() && next_time() <= loop_.now()) {
    if (++next_ == trace_->size()) {
      next_ = 0;
      period_start_ += trace_->period();
    }
    use_one();
  }
  arm();
}

void TraceTransmitter::use_one() {
  auto left = static_cast<uint32_t>(Trace::kOpportunity.count());
  while (left > 0) {
    if (serving_ == nullptr) {
      serving_ = dequeue();
      if (serving_ == nullptr) return;
      remaining_ = serving_->size();
    }
    const uint32_t sent = std::min(left, remaining_);
    left -= sent;
    remaining_ -= sent;
    if (remaining_ == 0) depart(std::move(serving_), loop_.now());
  }
}

void TraceTransmitter::set_up(bool up) {
  up_ = up;
  if (up) {
    arm();
  } else {
    due_.disarm();
  }
}

double TraceTransmitter::capacity_bytes() const {
  return static_cast<double>(trace_->count_until(loop_.now() - origin_)) *
         static_cast<double>(Trace::kOpportunity.count());
}

double TraceTransmitter::sent_bytes() const {
  const uint32_t part = serving_ == nullptr ? 0 : serving_->size() - remaining_;
  return static_cast<double>(counters_.transmitted.bytes + part);
}

Tally TraceTransmitter::in_service() const {
  return serving_ == nullptr ? Tally{} : Tally{1, serving_->size()};
}

}  // namespace wh::net
