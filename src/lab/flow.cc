#include "lab/flow.h"

#include <algorithm>

namespace wh::lab {

Flow::Flow(FlowSpec spec, std::string name, Place place, Loop& loop, const Random& random)
    : spec_(std::move(spec)),
      name_(std::move(name)),
      place_(place),
      loop_(loop),
      pattern_(random.fork(name_)),
      sender_({.sends = &pattern_,
               .total = spec_.bytes ? std::optional(static_cast<uint64_t>(spec_.bytes->count()))
                                    : std::nullopt}),
      receiver_({.receives = &pattern_}),
      start_(loop, [this] { start(); }),
      measured_from_(loop.now()),
      started_at_(loop.now() + spec_.start) {
  receiver_.on_received = [this] {
    if (spec_.bytes && static_cast<int64_t>(receiver_.received()) == spec_.bytes->count()) {
      finished_at_ = loop_.now();
    }
  };
  start_.arm(started_at_);
}

Flow::~Flow() = default;

void Flow::start() {
  tcp::TcpStack::Batch batch(place_.from.tcp());
  const auto connected = place_.from.tcp().connect(
      {place_.to_address, place_.to_port}, {.local = {place_.from_address, place_.from_port},
                                            .observer = &sender_,
                                            .congestion = spec_.cc,
                                            .on_create = [this](tcp::Connection& c) {
                                              if (spec_.rate) c.set_pace_rate(*spec_.rate);
                                            }});
  if (!connected) {
    start_failure_ = connected.error().text;
    return;
  }
  sender_.attach(**connected);
}

void Flow::begin_measuring() {
  measured_from_ = loop_.now();
  received_before_ = receiver_.received();
  rtt_before_ = sender_.rtt();
}

std::string Flow::failure() const {
  if (!start_failure_.empty()) return start_failure_;
  return sender_.failure().empty() ? receiver_.failure() : sender_.failure();
}

FlowReport Flow::report() const {
  const tcp::Info info = sender_.info();
  FlowReport report{.name = name_, .cc = spec_.cc, .profile = spec_.rate ? "fixed" : "unpaced"};
  const Instant from = std::max(measured_from_, started_at_);
  const Instant to = std::min(loop_.now(), finished_at_);
  if (to > from) {
    report.goodput =
        Rate::of(Bytes(static_cast<int64_t>(receiver_.received() - received_before_)), to - from);
  }
  report.delivered = Bytes(static_cast<int64_t>(receiver_.received()));
  report.sent = info.sent;
  report.retransmitted = info.retransmitted;
  report.rtt = sender_.rtt().since(rtt_before_);
  report.cwnd = info.cwnd;
  report.pace = spec_.rate;
  report.failure = failure();
  return report;
}

}  // namespace wh::lab
