#include "pacing/pace.h"

#include <algorithm>

namespace wh::pacing {
namespace {

constexpr Bytes kMostPaced(65'535);  // What one send may carry, before rounding to segments.
constexpr Bytes kMostBurst(65'536);
constexpr int64_t kMostSegments = 43;                           // 64 KiB in full-sized segments.
constexpr uint32_t kLeastDivisor = 50, kDefaultDivisor = 1000;  // net.inet.tcp.rl.divisor

int64_t segments_in(Bytes len, Bytes segsiz) {
  CHECK(segsiz > Bytes(0) && len >= Bytes(0));
  return (len.count() + segsiz.count() - 1) / segsiz.count();
}

}  // namespace

Bytes pace_len(Rate bandwidth, Bytes mss, const BurstLimits& limits) {
  CHECK(mss > Bytes(0));
  int64_t segments = limits.user_max;
  if (!limits.force_max) {
    const uint32_t divisor = limits.divisor < kLeastDivisor ? kDefaultDivisor : limits.divisor;
    const auto raw = static_cast<int64_t>(
        std::min(bandwidth.bytes_per_second() / divisor, uint64_t(kMostPaced.count())));
    segments = segments_in(Bytes(raw), mss);
    if (segments > 4 && segments % 2 == 1) ++segments;  // Even, for delayed acknowledgments.
    segments = std::max({segments, int64_t{limits.user_min == 1 ? 1 : 2}, int64_t{limits.floor}});
    segments = std::min({segments, kMostSegments, int64_t{limits.user_max}});
    segments = std::max(segments, int64_t{limits.user_min});
  }
  return std::min(mss * segments, kMostBurst);
}

Rate line_rate(Rate goodput, Bytes t_maxseg, Bytes segsiz, Bytes ip_header) {
  CHECK(segsiz > Bytes(0));
  if (goodput.is_infinite()) return goodput;
  const Bytes frame = segsiz + pacing_overhead(t_maxseg, segsiz, ip_header);
  const Uint128 bps = Uint128(goodput.bps()) * static_cast<uint64_t>(frame.count()) /
                      static_cast<uint64_t>(segsiz.count());
  return bps >= Rate::infinite().bps() ? Rate::infinite()
                                       : Rate::bits_per_second(static_cast<uint64_t>(bps));
}

Rate payload_rate(Rate wire, Bytes t_maxseg, Bytes segsiz, Bytes ip_header) {
  CHECK(segsiz > Bytes(0));
  if (wire.is_infinite()) return wire;
  const Bytes frame = segsiz + pacing_overhead(t_maxseg, segsiz, ip_header);
  return Rate::bits_per_second(
      static_cast<uint64_t>(Uint128(wire.bps()) * static_cast<uint64_t>(segsiz.count()) /
                            static_cast<uint64_t>(frame.count())));
}

}  // namespace wh::pacing
