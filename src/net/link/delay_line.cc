#include "net/link/delay_line.h"

#include <algorithm>

namespace wh::net {

DelayLine::DelayLine(DelayConfig config, Loop& loop, Random random, LinkCounters& counters,
                     FrameSink& out)
    : config_(config),
      loop_(loop),
      random_(random),
      counters_(counters),
      out_(out),
      due_(loop, [this] { deliver(); }) {
  CHECK(config.delay >= 0ns && config.jitter >= 0ns);
}

void DelayLine::carry(PacketPtr packet, Instant left) {
  if (fifo_.held().packets >= config_.limit) {
    counters_.drop(DropReason::WireFull, *packet);
    return;
  }
  Instant when = left + config_.delay;
  if (config_.jitter > 0ns) {
    when += Duration(
        static_cast<int64_t>(random_.between(0, static_cast<uint64_t>(config_.jitter.count()))));
    when = std::max(when, latest_);
    latest_ = when;
  }
  packet->deliver = when;
  const bool was_empty = fifo_.empty();
  fifo_.push(std::move(packet));
  if (was_empty) due_.arm(when);
}

void DelayLine::deliver() {
  // Only what is due when this begins: what the receiver sends at once comes back through the loop.
  uint64_t left = fifo_.held().packets;
  const auto is_due = [&] { return left != 0 && fifo_.front()->deliver <= loop_.now(); };
  while (is_due()) {
    Frame frame;
    for (; is_due() && !frame.full(); --left) {
      PacketPtr packet = fifo_.pop();
      counters_.delivered.add(packet->size());
      frame.push(std::move(packet));
    }
    out_.accept(std::move(frame));
  }
  if (const Packet* next = fifo_.front()) {
    due_.arm(next->deliver);
    __builtin_prefetch(next->link);  // It has been out of mind for as long as the delay is.
  }
}

}  // namespace wh::net
