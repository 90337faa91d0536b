#include "lab/lab_flow.h"

#include <algorithm>

namespace wh::lab {

namespace {

// The n-th stream of an experiment: neighbours begin far from each other, and the first 65521 all
// elsewhere, as the period is a prime.
Pattern stream(const Pattern& bytes, uint64_t n) {
  return {bytes, static_cast<uint32_t>(n * 40503 % Pattern::kPeriod)};
}

}  // namespace

LabFlow::LabFlow(FlowSpec flow, std::string label, Place place, Loop& loop)
    : Flow(std::move(flow), std::move(label)),
      place_(place),
      loop_(loop),
      pattern_(stream(place.bytes, uint64_t{place.number} * 2)),
      requests_(stream(place.bytes, uint64_t{place.number} * 2 + 1)),
      sender_({.sends = &pattern_,
               .total = spec().bytes ? std::optional(static_cast<uint64_t>(spec().bytes->count()))
                                     : std::nullopt,
               .allowed = spec().is_bulk() ? ~uint64_t{0} : 0,
               .receives = &requests_}),
      receiver_(
          {.sends = spec().is_bulk() ? nullptr : &requests_, .allowed = 0, .receives = &pattern_}),
      program_(make_program(spec().workload, {loop, sender_, receiver_})),
      start_(loop, [this] { start(); }) {
  if (spec().bytes || program_ != nullptr) receiver_.on_received = [this] { on_received(); };
  if (program_ != nullptr) sender_.on_received = [this] { program_->on_request(); };
}

void LabFlow::begin(Instant now) {
  measured_from_ = now;
  started_at_ = now + spec().start;
  start_.arm(started_at_);
}

void LabFlow::start() {
  tcp::TcpStack::Batch batch(place_.from.tcp());
  const auto connected = place_.from.tcp().connect(
      {place_.to_address, place_.to_port}, {.local = {place_.from_address, place_.from_port},
                                            .observer = &sender_,
                                            .congestion = spec().cc,
                                            .on_create = [this](tcp::Connection& c) {
                                              trace(c, place_.from.name(), c.local().port);
                                              set_pace(spec(), c);
                                            }});
  if (!connected) {
    start_failure_ = connected.error().text;
    return;
  }
  sender_.attach(**connected);
  if (program_ != nullptr) program_->start();
}

void LabFlow::on_received() {
  if (spec().bytes && static_cast<int64_t>(receiver_.received()) == spec().bytes->count()) {
    finished_at_ = loop_.now();
  }
  if (program_ != nullptr) program_->on_received();
}

void LabFlow::begin_measuring() {
  measured_from_ = loop_.now();
  before_ = totals();
}

std::string LabFlow::failure() const {
  if (!start_failure_.empty()) return start_failure_;
  return sender_.failure().empty() ? receiver_.failure() : sender_.failure();
}

FlowReport LabFlow::report() const {
  FlowReport report = totals();
  report.leave_out(before_);
  const Instant from = std::max(measured_from_, started_at_);
  const Instant to = std::min(loop_.now(), finished_at_);
  if (to > from) report.goodput = Rate::of(report.delivered, to - from);
  return report;
}

FlowReport LabFlow::totals() const {
  const tcp::Info info = sender_.info();
  FlowReport report = blank_report(sender_.is_dgp());
  report.delivered = Bytes(static_cast<int64_t>(receiver_.received()));
  report.sent = info.sent;
  report.retransmitted = info.retransmitted;
  report.rtt = sender_.rtt();
  report.cwnd = info.cwnd;
  if (!spec().rate && !info.pace.is_infinite()) report.pace = info.pace;  // A control's choice.
  report.failure = failure();
  if (program_ != nullptr) program_->report(report);
  return report;
}

}  // namespace wh::lab
