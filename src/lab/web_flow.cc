#include "lab/web_flow.h"

#include <algorithm>
#include <cmath>

namespace wh::lab {

struct WebFlow::Transfer {
  Transfer(const Pattern& pattern, uint64_t size)
      : sender({.sends = &pattern, .total = size}), receiver({.receives = &pattern}) {}
  StreamEnd sender, receiver;
  Instant started;
  uint16_t port = 0;
  bool has_all = false;  // The whole of it has arrived.
};

WebFlow::WebFlow(FlowSpec flow, std::string label, LabFlow::Place place, Loop& loop,
                 const Random& random)
    : Flow(std::move(flow), std::move(label)),
      place_(place),
      loop_(loop),
      pattern_(random.fork(name())),
      random_(random.fork(name() + " arrivals")),
      next_(loop, [this] { begin_next(); }) {}

WebFlow::~WebFlow() = default;

void WebFlow::begin(Instant now) {
  measured_from_ = now;
  started_at_ = now + spec().start;
  next_.arm(started_at_);
}

void WebFlow::begin_next() {
  bury();
  constexpr double kSigma = 1.5;
  const auto mean = static_cast<double>(web().size.count());
  const double size = mean * std::exp(kSigma * random_.normal() - kSigma * kSigma / 2);
  const auto gap =
      Duration(static_cast<int64_t>(random_.exponential(static_cast<double>(web().every.count()))));
  next_.arm(loop_.now() + std::max<Duration>(gap, 1ns));
  if (transfers_.size() >= kMaxWebConnections) {
    ++counts_.failed;
    return;
  }
  begin_one(static_cast<uint64_t>(std::clamp(size, 1.0, mean * 1000)));
}

void WebFlow::begin_one(uint64_t size) {
  auto transfer = std::make_unique<Transfer>(pattern_, size);
  tcp::TcpStack::Batch batch(place_.from.tcp());
  const auto connected = place_.from.tcp().connect({place_.to_address, place_.to_port},
                                                   {.local = {place_.from_address, 0},
                                                    .observer = &transfer->sender,
                                                    .congestion = spec().cc,
                                                    .on_create = [this](tcp::Connection& c) {
                                                      trace(c, place_.from.name(), c.local().port);
                                                      set_pace(spec(), c);
                                                    }});
  if (!connected) {
    start_failure_ = connected.error().text;
    ++counts_.failed;
    return;
  }
  transfer->sender.attach(**connected);
  is_dgp_ = transfer->sender.is_dgp();
  transfer->started = loop_.now();
  transfer->port = (*connected)->local().port;
  ++counts_.started;
  transfer->receiver.on_received = [this, t = transfer.get(), size] {
    if (t->receiver.received() == size && !std::exchange(t->has_all, true)) {
      ++counts_.completed;
      counts_.completion.record(static_cast<uint64_t>((loop_.now() - t->started).count()));
    }
  };
  transfers_[transfer->port] = std::move(transfer);
}

void WebFlow::accept(tcp::Connection& connection) {
  const auto it = transfers_.find(connection.remote().port);
  if (it == transfers_.end()) {  // Its sender has given up meanwhile.
    connection.abort();
    return;
  }
  it->second->receiver.attach(connection);
  it->second->receiver.on_ready(connection, tcp::kConnected | tcp::kReadable | tcp::kWritable);
}

// Takes the figures of a transfer that is over into the flow's own.
void WebFlow::finish(Transfer& t) {
  const tcp::Info info = t.sender.info();
  delivered_ += t.receiver.received();
  sent_ += info.sent;
  retransmitted_ += info.retransmitted;
  rtt_.merge(t.sender.rtt());
  const RttWindow w = t.sender.take_rtt_window();
  window_.count += w.count;
  window_.sum += w.sum;
}

void WebFlow::bury() {
  for (auto it = transfers_.begin(); it != transfers_.end();) {
    Transfer& t = *it->second;
    const bool has_failed = !t.sender.failure().empty() || !t.receiver.failure().empty();
    if (!has_failed && !(t.sender.is_done() && t.receiver.is_done())) {
      ++it;
      continue;
    }
    if (has_failed) ++counts_.failed;
    finish(t);
    it = transfers_.erase(it);
  }
}

void WebFlow::begin_measuring() {
  bury();
  measured_from_ = loop_.now();
  before_ = totals();
}

uint64_t WebFlow::delivered() const {
  uint64_t n = delivered_;
  for (const auto& [port, t] : transfers_) n += t->receiver.received();
  return n;
}

// It buries nobody: that would end what failed at one side sooner than without samples.
FlowSample WebFlow::sample() {
  FlowSample s{.delivered = delivered(), .rtt = std::exchange(window_, {})};
  for (auto& [port, t] : transfers_) {
    const RttWindow w = t->sender.take_rtt_window();
    s.rtt.count += w.count;
    s.rtt.sum += w.sum;
  }
  return s;
}

FlowReport WebFlow::report() const {
  FlowReport report = totals();
  report.leave_out(before_);
  const Instant from = std::max(measured_from_, started_at_);
  if (loop_.now() > from) report.goodput = Rate::of(report.delivered, loop_.now() - from);
  return report;
}

FlowReport WebFlow::totals() const {
  FlowReport report = blank_report(is_dgp_);
  report.delivered = Bytes(static_cast<int64_t>(delivered()));
  report.sent = sent_;
  report.retransmitted = retransmitted_;
  report.rtt = rtt_;
  for (const auto& [port, t] : transfers_) {
    const tcp::Info info = t->sender.info();
    report.sent += info.sent;
    report.retransmitted += info.retransmitted;
    report.rtt.merge(t->sender.rtt());
  }
  report.failure = failure();
  report.web = counts_;
  return report;
}

}  // namespace wh::lab
