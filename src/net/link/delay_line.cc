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
  const Instant now = loop_.now();
  while (left != 0 && fifo_.front()->deliver <= now) {
    Frame frame;
    do {
      counters_.delivered.add(fifo_.front()->size());
      frame.push(fifo_.pop());
    } while (--left != 0 && fifo_.front()->deliver <= now && !frame.full());
    out_.accept(std::move(frame));
  }
  if (!fifo_.empty()) due_.arm(fifo_.front()->deliver);
}

}  // namespace wh::net
