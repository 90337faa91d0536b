#include "net/link/scatter_line.h"

#include <algorithm>

namespace wh::net {

ScatterLine::ScatterLine(DelayConfig config, Loop& loop, Random random, LinkCounters& counters,
                         FrameSink& out)
    : config_(config),
      loop_(loop),
      random_(random),
      counters_(counters),
      out_(out),
      due_(loop, [this] { deliver(); }) {
  CHECK(config.delay >= 0ns && config.jitter >= 0ns);
}

ScatterLine::~ScatterLine() {
  for (const Entry& e : heap_) PacketRelease{}(e.packet);
}

bool ScatterLine::is_later(const Entry& a, const Entry& b) {
  const Instant at = a.packet->deliver, bt = b.packet->deliver;
  return at != bt ? at > bt : a.arrival > b.arrival;
}

void ScatterLine::carry(PacketPtr packet, Instant left) {
  if (held_.packets >= config_.limit) {
    counters_.drop(DropReason::WireFull, *packet);
    return;
  }
  const auto extra = random_.between(0, static_cast<uint64_t>(config_.jitter.count()));
  packet->deliver = left + config_.delay + Duration(static_cast<int64_t>(extra));
  held_.add(packet->size());
  heap_.push_back({arrivals_++, packet.release()});
  std::push_heap(heap_.begin(), heap_.end(), is_later);
  due_.arm(heap_.front().packet->deliver);
}

void ScatterLine::deliver() {
  for (size_t left = heap_.size(); left != 0;) {
    Frame frame;
    for (; left != 0 && !frame.full() && heap_.front().packet->deliver <= loop_.now(); --left) {
      std::pop_heap(heap_.begin(), heap_.end(), is_later);
      PacketPtr packet(heap_.back().packet);
      heap_.pop_back();
      held_.subtract(packet->size());
      counters_.delivered.add(packet->size());
      frame.push(std::move(packet));
    }
    if (frame.empty()) break;
    out_.accept(std::move(frame));
  }
  if (!heap_.empty()) due_.arm(heap_.front().packet->deliver);
}

}  // namespace wh::net
