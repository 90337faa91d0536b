// What FCC a path should have, and what would come of others.
//
// FCC is the rate up to which each DGP connection pushes against others by its loss-based half
// (article "Dynamic Goodput Pacing", "How to Set Parameters?"). When the pushes of all connections
// together reach what the path carries, they push against each other, and the buffer fills. The
// rule is what both of the article's sites follow: as many connections as are expected shall fit,
// seven at least, with room for one more; and the default is enough for any path that allows it.
//
//   FCC = min(30 Mbps, up / (max(connections, 7) + 1)), and no less than the slowest pace there is
//
// FCC counts Ethernet frames, as `up` does. 40 Mbps up: 5 Mbps, and from the 8th connection on they
// push against each other. 1 Gbps: the default of 30 Mbps, 3 % of the path.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "lab/path_facts.h"
#include "lab/report.h"

namespace wh::lab {

struct Advice {
  Rate fcc;
  bool is_default = false;    // The stack's default stays.
  bool is_slowest = false;    // The slowest pace (64 kbps); the rule has less.
  uint32_t pushing_from = 0;  // The number of connections whose pushes together reach the path.
  // The most whose pushes leave a twentieth of it. Between this and pushing_from what is left
  // empties a queue so slowly that it seldom goes: 33 x 30 Mbps on 1 Gbps stand behind the queue of
  // their beginning for more than two minutes.
  uint32_t room_for = 0;
};
// Two digits of the rule's rate, rounded down. REQUIRES: up is finite and above 80 kbps.
Advice advise(const PathFacts& path);

// As rates are written for people: 19'876'543 bps is 19.9 Mbps.
Rate three_digits(Rate rate);

// A situation that was tried: so many connections of one kind on the path.
struct Trial {
  std::string label;
  std::string flow;  // As --flow takes it.
  uint32_t connections = 0;
  Rate fcc;
  bool is_advised = false;
  Estimate total_mbps, each_mbps, rtt_p50_ms, rtt_p95_ms, retransmitted_percent;
  Estimate beside_cubic_mbps;  // What one of them keeps beside one CUBIC flow; NaN: not tried.
};

// Near the number at which connections push against each other little of the path is left, and the
// queue of the beginning needs a long time to go. Two thirds of a crowd's trial do not count.
constexpr int kCrowdLasts = 3;
struct TrialPlan {
  PathFacts path;
  Duration duration = 60s;  // Of a candidate's trial; a crowd's lasts kCrowdLasts times as long.
  uint32_t repeat = 3;
  unsigned jobs = 1;
};
// A minute, six of DGP's probes of the round trip; fast paths cost more to run: 45 s above 100
// Mbps, 30 s above 300.
Duration usual_duration(Rate up);
// What is left out of a trial's figures: 30 s, but no more than two thirds of it. Several
// connections that begin together need that long to find a round trip without their own queue in
// it.
Duration warmup_of(Duration duration);

struct Trials {
  std::vector<Trial> candidates;  // Other FCCs, and CUBIC unpaced, with the connections expected.
  // The advised FCC with room_for connections, and with one less than pushing_from, so many, and
  // one more.
  std::vector<Trial> crowd;
};
// Runs them in virtual time. Errors: as Experiment::make; operation_canceled when `stop` turns
// true.
Result<Trials> try_out(const TrialPlan& plan, const Advice& advice,
                       const std::function<void(double)>& progress, const std::atomic<bool>& stop);

// Why, in sentences.
std::string explain(const PathFacts& path, const Advice& advice);
std::string to_table(const Trials& trials);
// Ends with a newline. `trials` may be empty.
std::string to_json(const PathFacts& path, const Advice& advice, const Trials& trials);

}  // namespace wh::lab
