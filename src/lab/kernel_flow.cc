#include "lab/kernel_flow.h"

#include <algorithm>

namespace wh::lab {
namespace {

// The kernel calls NewReno "reno".
std::string kernel_name(const std::string& cc) {
  return cc == "newreno" ? "reno" : cc;
}

std::optional<uint64_t> size_of(const FlowSpec& flow) {
  if (!flow.bytes) return std::nullopt;
  return static_cast<uint64_t>(flow.bytes->count());
}

}  // namespace

// The connecting side's stream has the flow's seed, and the side that sends is the one that
// connects.
KernelFlow::KernelFlow(FlowSpec flow, std::string label, Way way, Place place, Times times,
                       host::RealLoop& loop)
    : Flow(std::move(flow), std::move(label)),
      way_(way),
      place_(place),
      times_(times),
      loop_(loop),
      pattern_(StreamPattern(place.seed)),
      ours_(way == Way::ToKernel ? StreamPlan{.sends = &pattern_, .total = size_of(spec())}
                                 : StreamPlan{.receives = &pattern_}),
      start_(loop, [this] { start(); }) {
  ours_.on_done = [this] { finished_at_ = loop_.now(); };
}

void KernelFlow::begin(Instant now) {
  measured_from_ = now;
  started_at_ = now + spec().start;
  start_.arm(started_at_);
}

Result<std::unique_ptr<KernelFlow>> KernelFlow::make(FlowSpec flow, std::string label, Way way,
                                                     Place place, Times times,
                                                     host::RealLoop& loop) {
  std::unique_ptr<KernelFlow> made(
      new KernelFlow(std::move(flow), std::move(label), way, place, times, loop));
  TRY(made->start_peer());
  return made;
}

Result<void> KernelFlow::start_peer() {
  host::PeerConfig config{.port = place_.port, .seed = place_.seed};
  if (way_ == Way::ToKernel) {
    config.role = host::PeerRole::Listen;
    config.address = place_.kernel_address;
  } else {
    config.role = host::PeerRole::Connect;
    config.waits = true;
    config.address = place_.our_address;
    config.congestion = kernel_name(spec().cc);
    config.send = spec().bytes.value_or(Bytes(int64_t{1} << 60));
    config.send_for = times_.duration - spec().start;
    config.warmup = std::max<Duration>(times_.warmup - spec().start, 0ns);
    if (spec().rate) config.pace = *spec().rate;
  }
  peer_ = TRY(host::KernelPeer::start(place_.kernel.space(), config));
  return {};
}

void KernelFlow::start() {
  if (way_ == Way::FromKernel) return peer_->go();
  tcp::TcpStack::Batch batch(place_.ours.tcp());
  const auto connected = place_.ours.tcp().connect({place_.kernel_address, place_.port},
                                                   {.local = {place_.our_address, 0},
                                                    .observer = &ours_,
                                                    .congestion = spec().cc,
                                                    .on_create = [this](tcp::Connection& c) {
                                                      trace(c, place_.ours.name(), c.local().port);
                                                      set_pace(spec(), c);
                                                    }});
  if (!connected) {
    peer_failure_ = connected.error().text;
    return;
  }
  ours_.attach(**connected);
}

uint64_t KernelFlow::moved() const {
  return way_ == Way::FromKernel ? ours_.received()
                                 : static_cast<uint64_t>(ours_.info().acknowledged.count());
}

void KernelFlow::begin_measuring() {
  measured_from_ = loop_.now();
  moved_before_ = moved();
  before_ = totals();
}

void KernelFlow::end() {
  if (peer_report_) return;
  peer_->stop();
  auto report = peer_->wait();
  if (report) {
    peer_report_ = std::move(*report);
  } else if (peer_failure_.empty()) {
    peer_failure_ = report.error().text;
  }
}

std::string KernelFlow::failure() const {
  if (!ours_.failure().empty()) return ours_.failure();
  if (peer_report_ && !peer_report_->is_intact()) {
    return fmt::format("wrong bytes reached the kernel at position {} of the stream",
                       *peer_report_->first_wrong_byte);
  }
  return peer_failure_;
}

uint64_t KernelFlow::delivered() const {
  if (way_ == Way::ToKernel && peer_report_) {
    return static_cast<uint64_t>(peer_report_->received.count());
  }
  return moved();
}

FlowSample KernelFlow::sample() {
  if (way_ == Way::ToKernel) return sample_of(ours_, moved());
  return {.delivered = moved()};
}

FlowReport KernelFlow::report() const {
  FlowReport report = totals();
  report.leave_out(before_);
  const Instant from = std::max(measured_from_, started_at_);
  const Instant to = std::min(loop_.now(), finished_at_);
  if (to > from) {
    report.goodput = Rate::of(Bytes(static_cast<int64_t>(moved() - moved_before_)), to - from);
  }
  return report;
}

FlowReport KernelFlow::totals() const {
  FlowReport report = blank_report(ours_.is_dgp());
  report.delivered = Bytes(static_cast<int64_t>(delivered()));
  report.failure = failure();
  if (way_ == Way::ToKernel) {
    const tcp::Info info = ours_.info();
    report.sent = info.sent;
    report.retransmitted = info.retransmitted;
    report.rtt = ours_.rtt();
    report.cwnd = info.cwnd;
    if (!spec().rate && !info.pace.is_infinite()) report.pace = info.pace;  // A control's choice.
  } else if (peer_report_ && peer_report_->elapsed > 0ns) {
    // The kernel has left the warm-up out by itself, and tells its smoothed round trip at the end,
    // which is one sample.
    report.sent = peer_report_->sent + peer_report_->retransmitted;
    report.retransmitted = peer_report_->retransmitted;
    if (peer_report_->rtt > 0ns)
      report.rtt.record(static_cast<uint64_t>(peer_report_->rtt.count()));
    report.cwnd = Bytes(int64_t{peer_report_->cwnd_segments} * peer_report_->mss);
  }
  return report;
}

}  // namespace wh::lab
