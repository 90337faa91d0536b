#include "net/link/reorder.h"

namespace wh::net {

Reorder::Reorder(ReorderConfig config, Loop& loop, Random random, LinkCounters& counters,
                 PacketSink& next)
    : config_(config),
      loop_(loop),
      random_(random),
      counters_(counters),
      next_(next),
      overdue_(loop, [this] { release_overdue(); }) {
  CHECK(config.delay > 0ns);
}

void Reorder::accept(PacketPtr packet) {
  if (config_.chance.happens(random_)) {
    if (held_.packets < kMaxHeld) {
      ++counters_.reordered;
      held_.add(packet->size());
      const uint64_t leaves_at = config_.gap == 0 ? ~uint64_t{0} : passed_ + config_.gap;
      late_.push_back({std::move(packet), loop_.now() + config_.delay, leaves_at});
      if (!overdue_.is_armed()) overdue_.arm(late_.front().deadline);
      return;
    }
    ++counters_.reorder_failed;
  }
  next_.accept(std::move(packet));
  ++passed_;
  while (!late_.empty() && late_.front().leaves_at <= passed_) release_front();
}

void Reorder::release_overdue() {
  while (!late_.empty() && late_.front().deadline <= loop_.now()) release_front();
  if (!late_.empty()) overdue_.arm(late_.front().deadline);
}

void Reorder::release_front() {
  PacketPtr packet = std::move(late_.front().packet);
  late_.pop_front();
  held_.subtract(packet->size());
  if (late_.empty()) overdue_.disarm();
  next_.accept(std::move(packet));
}

}  // namespace wh::net
