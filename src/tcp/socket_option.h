// FreeBSD's socket options of the RACK stack, by their names and numbers (netinet/tcp.h), as
// setsockopt(sd, IPPROTO_TCP, ...) takes them:
//
//   uint64_t fcc = 50000000 / 8;                                  // bytes a second
//   connection.set_option(TCP_FILLCW_RATE_CAP, &fcc, sizeof fcc);
//
// Values are of C's int, or uint64_t where a rate in bytes a second is meant. Options about
// goodput, Timely and gains want TCP_RACK_PROFILE set to 1 before them. Options that stand for a
// tunable (net.inet.tcp.rack.*) hold for the one connection, whatever the tunable becomes.
#pragma once

#include <span>
#include <string_view>

#include "core/result.h"

namespace wh::tcp {

struct Tunables;

enum SocketOption : int {
  TCP_RACK_PACE_MAX_SEG = 1054,     // Segments, 1 to 63: the largest burst.
  TCP_RACK_PACE_ALWAYS = 1055,      // Bool: paced, by the goodput alone when nothing else is set.
  TCP_RACK_MIN_TO = 1058,           // ms: least time of any timer (timers.minto).
  TCP_RACK_REORD_THRESH = 1061,     // 1 to 30: rtt >> this more while reordering is live.
  TCP_RACK_REORD_FADE = 1062,       // ms: how long it is live; 0 for ever.
  TCP_RACK_TLP_THRESH = 1063,       // 1 or more: a tail loss probe after rtt + rtt / this.
  TCP_RACK_PKT_DELAY = 1064,        // ms: the packet delay of RACK's threshold (tlp.pktdelay).
  TCP_BBR_RACK_INIT_RATE = 1112,    // kbit/s of payload, before it is measured; 0: none.
  TCP_RACK_GP_INCREASE_CA = 1114,   // Percent: the multiplier in congestion avoidance now,
  TCP_RACK_GP_INCREASE_SS = 1115,   // in slow start,
  TCP_RACK_GP_INCREASE_REC = 1116,  // in recovery.
  TCP_RACK_FORCE_MSEG = 1117,       // Bool: bursts of the largest size whatever the rate.
  TCP_RACK_PACE_RATE_CA = 1118,     // u64 or int, bytes/s: a fixed rate in congestion avoidance,
  TCP_RACK_PACE_RATE_SS = 1119,     // in slow start (also after a timeout),
  TCP_RACK_PACE_RATE_REC = 1120,    // in recovery. The first that is set is that of all three.
  TCP_NO_PRR = 1122,                // Bool: in a recovery cwnd is ssthresh, if paced.
  TCP_TIMELY_DYN_ADJ = 1125,        // Bool: Timely moves the multiplier.
  TCP_RACK_NO_PUSH_AT_MAX = 1126,   // 0 to 2: pacing/timely.h.
  TCP_RACK_PACE_TO_FILL = 1127,     // Bool: pace at cwnd / RTT.
  TCP_RACK_PROFILE = 1129,          // 0 none, 1 Dynamic Goodput Pacing, 6 with discounted FillCwBw.
  TCP_PACING_RATE_CAP = 1131,       // u64 bytes/s: never faster; 0 for no cap.
  TCP_RACK_ABC_VAL = 1133,          // Segments: slow start's growth an acknowledgment.
  TCP_RACK_MEASURE_CNT = 1135,      // 1 to 255: goodput measurements before they are trusted.
  TCP_RACK_TIMER_SLOP = 1140,       // us, added to the retransmission timeout.
  TCP_RACK_DSACK_OPT = 1141,        // Bits: misc.rack_dsack_ctl.
  TCP_RACK_ENABLE_HYSTART = 1142,   // Bool: HyStart++ in NewReno and CUBIC.
  TCP_RACK_HI_BETA = 1144,          // Percent, 50 to 100: what NewReno keeps at a loss.
  TCP_RACK_PACING_DIVISOR = 1146,   // 50 or more: a burst is this part of a second.
  TCP_RACK_PACE_MIN_SEG = 1147,     // Segments, 0 to 63: the least burst.
  TCP_RACK_DGP_IN_REC = 1148,       // Bool: FillCwBw counts in recovery too.
  TCP_SS_EEXIT = 1152,              // Bool: slow start ends when the goodput stops growing.
  TCP_DGP_UPPER_BOUNDS = 1153,      // Percent: slow start's bound in the high 16 bits, then
                                    // avoidance's; 0 for none.
  TCP_NO_TIMELY = 1154,             // Bool.
  TCP_HONOR_HPTS_MIN = 1155,        // 0 repays lateness at once and keeps no least delay; 1 repays
                                    // slowly; 2 to 80 so many percent of each delay.
  TCP_REC_IS_DYN = 1156,            // Bool: Timely moves recovery's multiplier too.
  TCP_FILLCW_RATE_CAP = 1158,       // u64 bytes/s: FCC; 0 for no cap.
  TCP_GP_USE_LTBW = 1162,           // 0 goodput only, 1 the lesser, 2 the greater.
};
bool is_pacing_option(int option);        // Whether it is one of these.
int option_named(std::string_view name);  // "TCP_RACK_PROFILE"; 0 when it is none of these.
// The value given for one. Errors: another option; the wrong size; out of range, with the range.
Result<uint64_t> read_pacing_option(int option, std::span<const uint8_t> value);
// The article's listing gives FCC, a uint64_t, to TCP_RACK_PROFILE, whose value is an int: what it
// means is TCP_FILLCW_RATE_CAP (docs/dgp.md). Any other option means itself.
int meant_option(int option, size_t size);
// Whether it wants a fixed pace.
bool is_fixed_pace(int option);
// Whether it wants, with this value, a pace that is chosen, which a fixed one excludes.
bool is_chosen_pace(int option, uint64_t value);
// What a connection has before it is set. REQUIRES: is_pacing_option(option).
uint64_t usual_option(int option, const Tunables& tunables);
// Writes it as the option's C type, or as much as there is room for; returns the bytes written.
// REQUIRES: is_pacing_option(option).
size_t write_pacing_option(int option, uint64_t value, std::span<uint8_t> out);

}  // namespace wh::tcp
