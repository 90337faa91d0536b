// The wheel's unit of time, and the conversions a TCP stack asks HPTS for, under the article's
// names.
//
// One slot is 10 us. A slot number on the wheel is a tick (10 us since the loop's epoch) modulo
// 102,400, so a wheel spans 1.024 s. FreeBSD's `struct timeval` is a Duration here; where the
// article returns a 32-bit count, so do these functions, and it wraps as theirs does (10 us ticks
// after 11.9 h, us after 71.6 min).
//
// Source: "Pacing in the FreeBSD TCP Stack" (FreeBSD Journal, 2024-09), section "Details".
#pragma once

#include <compare>
#include <cstdint>

#include "core/loop.h"
#include "core/units.h"

namespace wh::pacing {

using Microseconds = std::chrono::microseconds;

constexpr Duration kHptsSlot = 10us;
constexpr uint32_t kHptsWheelSlots = 102'400;

// A number of slots. Distinct from a Duration because "n slots from now" is counted on the wheel:
// it ends at a slot's edge, which is up to one slot sooner than n x 10 us from now.
class HptsSlots {
 public:
  constexpr HptsSlots() = default;
  constexpr explicit HptsSlots(int64_t count) : count_(count) {}
  constexpr int64_t count() const { return count_; }
  constexpr Duration duration() const { return count_ * kHptsSlot; }
  constexpr auto operator<=>(const HptsSlots&) const = default;

 private:
  int64_t count_ = 0;
};

// The slots that a delay takes, rounded up: 0 stays 0, 1 us is 1, 551 us is 56. REQUIRES: d >= 0.
constexpr HptsSlots hpts_usec_to_slots(Duration d) {
  CHECK(d >= Duration::zero());
  return HptsSlots((d.count() + kHptsSlot.count() - 1) / kHptsSlot.count());
}
// FreeBSD's coarse form for milliseconds: always one slot more.
constexpr HptsSlots hpts_msec_to_slots(std::chrono::milliseconds d) {
  return HptsSlots(d.count() * 100 + 1);
}

// Parts of a time since the loop's epoch, each rounded down.
constexpr uint32_t tcp_tv_to_hptstick(Duration tv) {  // Slots of 10 us.
  return static_cast<uint32_t>(tv / kHptsSlot);
}
constexpr uint32_t tcp_tv_to_usectick(Duration tv) {
  return static_cast<uint32_t>(tv / 1us);
}
constexpr uint64_t tcp_tv_to_lusectick(Duration tv) {
  return static_cast<uint64_t>(tv / 1us);
}
constexpr uint32_t tcp_tv_to_msectick(Duration tv) {
  return static_cast<uint32_t>(tv / 1ms);
}

// The time now, read afresh; stored in *tv too when that is given.
inline uint32_t tcp_gethptstick(Loop& loop, Instant* tv = nullptr) {
  const Instant now = loop.clock();
  if (tv != nullptr) *tv = now;
  return tcp_tv_to_hptstick(now.time_since_epoch());
}
inline uint64_t tcp_get_u64_usecs(Loop& loop, Instant* tv = nullptr) {
  const Instant now = loop.clock();
  if (tv != nullptr) *tv = now;
  return tcp_tv_to_lusectick(now.time_since_epoch());
}

}  // namespace wh::pacing
