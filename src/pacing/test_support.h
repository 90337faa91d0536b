// What the tests of pacing count with.
#pragma once

#include "core/loop.h"
#include "core/units.h"
#include "pacing/hpts_time.h"

namespace wh::pacing {

constexpr Bytes kMss(1448);
// An Ethernet frame of IPv4 and TCP with timestamps, beyond a segment's payload.
constexpr Bytes kOverhead(66);
// How long the frames of `len` bytes take at `rate`, as RACK counts it: whole microseconds.
constexpr Microseconds interval_of(Bytes len, Rate rate) {
  const int64_t segments = (len + kMss - Bytes(1)) / kMss;
  return std::chrono::floor<Microseconds>(rate.transfer_time(len + kOverhead * segments));
}
constexpr Instant kT0 = Instant(1000s);

}  // namespace wh::pacing
