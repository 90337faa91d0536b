// A link whose transmitter follows a recording: each opportunity of the trace carries up to
// Trace::kOpportunity bytes.
//
// As mahimahi's link does (link_queue.cc, LinkQueue::rationalize): small packets share an
// opportunity, a packet that does not fit in what is left of one goes on in the next and leaves
// when its last byte does; what is left when nothing waits is lost, and so are opportunities that
// find nothing. A packet that comes at the very instant of an opportunity cannot use it. The trace
// begins when the link is made and repeats.
//
// Down, opportunities pass unused, and a packet of which a part was sent keeps what it has.
#pragma once

#include "net/link/trace.h"
#include "net/link/transmitter.h"

namespace wh::net {

class TraceTransmitter final : public Transmitter {
 public:
  // `trace` is shared with the configuration that it came from.
  TraceTransmitter(std::shared_ptr<const Trace> trace, Loop& loop, std::unique_ptr<Queue> queue,
                   LinkCounters& counters, Wire& wire);

  void accept(PacketPtr packet) override;
  void set_up(bool up) override;
  bool is_up() const override { return up_; }
  void set_rate(Rate) override {}
  double capacity_bytes() const override;
  double sent_bytes() const override;
  Tally in_service() const override;

 private:
  bool has_work() const { return serving_ != nullptr || queue().held().packets != 0; }
  Instant next_time() const { return period_start_ + trace_->at(next_); }
  void skip_to_now();
  void arm();
  void use_due();
  void use_one();

  std::shared_ptr<const Trace> trace_;
  Instant origin_;
  Instant period_start_;  // Of the period in which the next opportunity is.
  size_t next_ = 0;       // Its index in the trace.
  PacketPtr serving_;
  uint32_t remaining_ = 0;  // Bytes of serving_ that are not sent yet.
  bool up_ = true;
  Timer due_;
};

}  // namespace wh::net
