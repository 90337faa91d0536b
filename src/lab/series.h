// What an experiment looked like over time: figures of every flow and link, taken at equal
// distances.
//
// A sample stands for the stretch of time that ends at it: goodput is what arrived in it, the round
// trip and the queue are means of what was measured in it. Taking samples changes nothing in the
// run. Figures that do not exist (no round trip was measured; the flow is not paced) are NaN.
#pragma once

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "core/units.h"

namespace wh::lab {

// The round-trip samples of a stretch of time.
struct RttWindow {
  uint64_t count = 0;
  Duration sum{0};
};

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

// The parts of a DGP rate (article "Dynamic Goodput Pacing", the formula of PaceRate), in Mbps.
struct PaceParts {
  double gp_est = kNone, lt_bw = kNone;
  double timely = kNone;  // The multiplier: 1 is 100 %.
  double fill_cw = kNone;
  double fcc = kNone;  // 0: no cap.
  double won = kNone;  // Which part the pace is: an index into kPaceWinners.
};
constexpr const char* kPaceWinners[] = {"goodput x Timely", "FillCwBw", "FCC",
                                        "probeRTT",         "recovery", "other"};

struct FlowSample {
  uint64_t delivered = 0;
  RttWindow rtt;
  double cwnd_kb = kNone, flight_kb = kNone, pace_mbps = kNone;
  PaceParts parts;
};

// One figure over time; as many values as the series has instants.
struct Channel {
  std::string name;  // "goodput_mbps": what, and its unit.
  std::vector<double> values;
};

struct Track {
  std::string name;  // Of the flow or link.
  std::vector<Channel> channels;
};

struct Series {
  std::vector<double> seconds;  // Since the run began.
  std::vector<Track> flows, links;

  bool empty() const { return seconds.empty(); }
  // Puts another run's tracks beside these. REQUIRES: sampled at the same distances.
  void append(Series other);
};

// Columns: time_s, then one for each channel, named "NAME: CHANNEL".
std::string to_csv(const Series& series);

}  // namespace wh::lab
