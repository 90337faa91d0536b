// FreeBSD's socket options for pacing, by their names and numbers (netinet/tcp.h), as
// setsockopt(sd, IPPROTO_TCP, ...) takes them:
//
//   uint64_t fcc = 50000000 / 8;                                  // bytes a second
//   connection.set_option(TCP_FILLCW_RATE_CAP, &fcc, sizeof fcc);
//
// Values are of C's int, or uint64_t where a rate in bytes a second is meant. Options about
// goodput, Timely and gains want TCP_RACK_PROFILE set to 1 before them.
#pragma once

#include <span>
#include <string_view>

#include "core/result.h"

namespace wh::tcp {

enum SocketOption : int {
  TCP_RACK_PACE_MAX_SEG = 1054,     // Segments, 1 to 63: the largest burst.
  TCP_RACK_GP_INCREASE_CA = 1114,   // Percent: the multiplier in congestion avoidance now,
  TCP_RACK_GP_INCREASE_SS = 1115,   // in slow start,
  TCP_RACK_GP_INCREASE_REC = 1116,  // in recovery.
  TCP_RACK_FORCE_MSEG = 1117,       // Bool: bursts of the largest size whatever the rate.
  TCP_RACK_PACE_RATE_CA = 1118,     // u64 bytes/s: a fixed rate in congestion avoidance,
  TCP_RACK_PACE_RATE_SS = 1119,     // in slow start (also after a timeout),
  TCP_RACK_PACE_RATE_REC = 1120,    // in recovery. The first that is set is that of all three.
  TCP_TIMELY_DYN_ADJ = 1125,        // Bool: Timely moves the multiplier.
  TCP_RACK_PACE_TO_FILL = 1127,     // Bool: pace at cwnd / RTT.
  TCP_RACK_PROFILE = 1129,          // 0 none, 1 Dynamic Goodput Pacing, 6 with discounted FillCwBw.
  TCP_PACING_RATE_CAP = 1131,       // u64 bytes/s: never faster; 0 for no cap.
  TCP_RACK_MEASURE_CNT = 1135,      // 1 to 255: goodput measurements before they are trusted.
  TCP_RACK_PACING_DIVISOR = 1146,   // 50 or more: a burst is this part of a second.
  TCP_RACK_PACE_MIN_SEG = 1147,     // Segments, 0 to 63: the least burst.
  TCP_RACK_DGP_IN_REC = 1148,       // Bool: FillCwBw counts in recovery too.
  TCP_DGP_UPPER_BOUNDS = 1153,      // Percent: slow start's bound in the high 16 bits, then
                                    // avoidance's; 0 for none.
  TCP_NO_TIMELY = 1154,             // Bool.
  TCP_HONOR_HPTS_MIN = 1155,        // 0 repays lateness at once and keeps no least delay; 1 repays
                                    // slowly; 2 to 80 so many percent of each delay.
  TCP_REC_IS_DYN = 1156,            // Bool: Timely moves recovery's multiplier too.
  TCP_FILLCW_RATE_CAP = 1158,       // u64 bytes/s: FCC; 0 for no cap.
  TCP_GP_USE_LTBW = 1162,           // 0 goodput only, 1 the lesser, 2 the greater.
};
bool is_pacing_option(int option);  // Whether it is one of these.
// The value given for one. Errors: another option; the wrong size; out of range, with the range.
Result<uint64_t> read_pacing_option(int option, std::span<const uint8_t> value);

}  // namespace wh::tcp
