// Ticks: the wheel's absolute time, in slots of 10 us since the loop's epoch. For the wheel's own
// files.
#pragma once

#include "pacing/hpts_time.h"

namespace wh::pacing {

inline int64_t tick_of(Instant t) {
  // Unsigned, since time is never negative and the division is then a multiplication.
  return static_cast<int64_t>(static_cast<uint64_t>(t.time_since_epoch().count()) /
                              static_cast<uint64_t>(kHptsSlot.count()));
}
inline int64_t tick_at_or_after(Instant t) {
  return tick_of(t + (kHptsSlot - 1ns));
}
inline Instant start_of(int64_t tick) {
  return Instant(tick * kHptsSlot);
}
inline uint32_t slot_of(int64_t tick) {
  return static_cast<uint32_t>(static_cast<uint64_t>(tick) % kHptsWheelSlots);
}

}  // namespace wh::pacing
