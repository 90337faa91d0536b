#include "lab/sampler.h"

#include <algorithm>

namespace wh::lab {
namespace {

// The order of a track's channels. What a flow never has is left out of its track.
constexpr const char* kFlowChannels[] = {"goodput_mbps", "rtt_ms",     "cwnd_kb",   "flight_kb",
                                         "pace_mbps",    "gpest_mbps", "ltbw_mbps", "timely",
                                         "fillcw_mbps",  "fcc_mbps",   "won"};
constexpr const char* kLinkChannels[] = {"queue_ms", "used_percent", "drops"};

Track make_track(std::string name, std::span<const char* const> channels) {
  Track track{.name = std::move(name)};
  for (const char* channel : channels) track.channels.push_back({.name = channel});
  return track;
}

void append(Track& track, std::span<const double> values) {
  for (size_t i = 0; i < values.size(); ++i) track.channels[i].values.push_back(values[i]);
}

}  // namespace

Sampler::Sampler(Loop& loop, Duration every, const std::vector<std::unique_ptr<Flow>>& flows,
                 std::vector<Direction> links)
    : loop_(loop),
      every_(every),
      links_(std::move(links)),
      marks_(links_.size()),
      started_(loop.clock()),
      next_(loop, [this] { take(); }) {
  for (const auto& flow : flows) {
    if (flows_.size() == kMaxFlows) break;
    flows_.push_back(flow.get());
    series_.flows.push_back(make_track(flow->name(), kFlowChannels));
  }
  delivered_.resize(flows_.size());
  for (const Direction& link : links_) {
    series_.links.push_back(make_track(link.name, kLinkChannels));
  }
  next_.arm(started_ + every_);
}

void Sampler::take() {
  series_.seconds.push_back(to_seconds(loop_.now() - started_));
  for (size_t i = 0; i < flows_.size(); ++i) take_flow(i);
  for (size_t i = 0; i < links_.size(); ++i) take_link(i);
  next_.arm(loop_.now() + every_);
}

void Sampler::take_flow(size_t i) {
  const FlowSample s = flows_[i]->sample();
  const uint64_t arrived = s.delivered - std::exchange(delivered_[i], s.delivered);
  const bool has_begun = loop_.now() > started_ + flows_[i]->spec().start;
  const double goodput = static_cast<double>(arrived) * 8e-6 / to_seconds(every_);
  const double rtt = s.rtt.count == 0 ? kNone : to_ms(s.rtt.sum) / static_cast<double>(s.rtt.count);
  const double values[] = {has_begun ? goodput : kNone,
                           rtt,
                           s.cwnd_kb,
                           s.flight_kb,
                           s.pace_mbps,
                           s.parts.gp_est,
                           s.parts.lt_bw,
                           s.parts.timely,
                           s.parts.fill_cw,
                           s.parts.fcc,
                           s.parts.won};
  append(series_.flows[i], values);
}

void Sampler::take_link(size_t i) {
  const net::LinkDirection& d = *links_[i].direction;
  const net::LinkCounters& c = d.counters();
  const LinkMark now{.packets = c.queue_ns.count(),
                     .drops = c.all_dropped().packets,
                     .wait_ns = c.queue_ns.mean() * static_cast<double>(c.queue_ns.count()),
                     .sent_bytes = d.sent_bytes(),
                     .capacity_bytes = d.capacity_bytes()};
  const LinkMark before = std::exchange(marks_[i], now);
  const auto packets = static_cast<double>(now.packets - before.packets);
  const double capacity = now.capacity_bytes - before.capacity_bytes;
  const double values[] = {
      // Nothing left: nothing waited, or whatever waits got no turn in this stretch.
      packets > 0 ? (now.wait_ns - before.wait_ns) / packets * 1e-6
                  : (c.backlog.packets == 0 ? 0 : kNone),
      capacity > 0 ? 100 * (now.sent_bytes - before.sent_bytes) / capacity : kNone,
      static_cast<double>(now.drops - before.drops)};
  append(series_.links[i], values);
}

}  // namespace wh::lab
