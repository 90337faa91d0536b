#include "pacing/path_capacity.h"

#include <algorithm>

namespace wh::pacing {
namespace {

constexpr uint32_t kLeastAcks = 3;  // Two gaps.

}  // namespace

void PathCapacity::on_sent(Instant now, uint64_t begin, uint64_t end, Bytes mss) {
  const auto size = Bytes(static_cast<int64_t>(end - begin));
  if (open_ == kMostOpen || size < mss * kLeastSegments) return;
  if (now - last_at_ < config_.period) return;
  trains_[open_++] = Train{.begin = begin, .end = end};
  last_at_ = now;
}

void PathCapacity::on_acked(Instant now, uint64_t una, Bytes mss) {
  while (open_ > 0 && una > trains_[0].begin) {
    Train& t = trains_[0];
    if (una <= t.end) {
      if (t.acks++ == 0) {
        t.first_at = now;
        t.first_una = una;
      }
      t.last_at = now;
      t.last_una = una;
    }
    if (una + static_cast<uint64_t>(mss.count()) < t.end) return;
    if (t.acks >= kLeastAcks && t.last_at > t.first_at) {
      add(Rate::of(Bytes(static_cast<int64_t>(t.last_una - t.first_una)), t.last_at - t.first_at));
    }
    drop_front();
  }
}

void PathCapacity::on_loss(uint64_t una) {
  if (open_ > 0 && trains_[0].begin <= una) drop_front();
}

void PathCapacity::drop_front() {
  std::move(trains_.begin() + 1, trains_.begin() + open_, trains_.begin());
  --open_;
}

void PathCapacity::add(Rate rate) {
  rates_[count_ % kKept] = rate;
  ++count_;
  std::array<Rate, kKept> sorted = rates_;
  const uint32_t n = std::min(count_, kKept);
  std::sort(sorted.begin(), sorted.begin() + n);
  median_ = sorted[n / 2];
}

Rate PathCapacity::fcc(Rate wire) {
  const Rate wanted = std::clamp(wire.percent(config_.share), config_.least, config_.most);
  const bool is_near = wanted <= held_.percent(100 + config_.hysteresis) &&
                       wanted >= held_.percent(100 - config_.hysteresis);
  if (!is_near) held_ = wanted;
  return held_;
}

}  // namespace wh::pacing
