// How much to send at once, and at which rate: pacing arithmetic that knows nothing of TCP's state.
//
// A paced sender sends a burst of pace_len() bytes, then waits as long as its frames take at the
// pace (Rate::transfer_time). Bursts grow with the rate: one packet every millisecond at 12 Mbps
// would be smooth but costs too much processor time, so the burst is what passes in 1/divisor
// second, within bounds. A rate counts Ethernet frames, hence the overhead added to each segment.
//
// All arithmetic is in integers and rounds down, as FreeBSD's RACK stack does; but where that takes
// a wait in whole microseconds, one here is of nanoseconds: at 1 Gbps a microsecond is 0.2 % of a
// burst's time.
// Source: "Pacing in the FreeBSD TCP Stack" (FreeBSD Journal, 2024-09); the rules of
// rack_pacing_delay and tcp_get_pacing_burst_size in FreeBSD, 2024.
#pragma once

#include <cstdint>

#include "core/units.h"

namespace wh::pacing {

// What a segment costs on the wire beyond its `segsiz` bytes of payload: TCP options that fill it
// up to t_maxseg, a TCP header, an IP header (20 or 40 bytes) and an Ethernet header. 66 bytes for
// IPv4 with timestamps (t_maxseg 1460, segsiz 1448), so that each segment counts 1514.
constexpr Bytes pacing_overhead(Bytes t_maxseg, Bytes segsiz, Bytes ip_header) {
  constexpr Bytes kTcpHeader(20), kEthernetHeader(14);
  return t_maxseg - segsiz + kTcpHeader + ip_header + kEthernetHeader;
}

struct BurstLimits {
  uint32_t divisor = 250;  // A burst is 1/divisor second long; below 50 means 1000.
  uint32_t user_max = 40;  // Segments; TCP_RACK_PACE_MAX_SEG.
  uint32_t user_min = 0;   // Segments; TCP_RACK_PACE_MIN_SEG. 1 also permits bursts of one.
  uint32_t floor = 0;      // Segments; net.inet.tcp.rl.floor_mss.
  bool force_max = false;  // user_max whatever the rate, as fixed-rate pacing does.
};

// The most bytes to send at once at `bandwidth` ("pace_max_segs"). REQUIRES: mss > 0.
Bytes pace_len(Rate bandwidth, Bytes mss, const BurstLimits& limits = {});

// The rate that DGP paces at before caps: a gain applied to the estimated bandwidth, at least 64
// kbps.
constexpr Rate kLeastPaceRate = 64_kbps;
constexpr Rate gained_pace_rate(Rate bandwidth, uint32_t gain_percent) {
  const Rate rate = bandwidth.percent(gain_percent);
  return rate < kLeastPaceRate ? kLeastPaceRate : rate;
}

// Goodput counts payload, pacing counts frames: the wire's rate when payload moves at `goodput`.
Rate line_rate(Rate goodput, Bytes t_maxseg, Bytes segsiz, Bytes ip_header);

// The other way round: the payload that passes when the wire carries `wire`.
Rate payload_rate(Rate wire, Bytes t_maxseg, Bytes segsiz, Bytes ip_header);

}  // namespace wh::pacing
