// What an experiment found, as a table for a person and a JSON document for a program.
//
// Units in the document: bits per second, bytes, milliseconds; absent values are null. Goodput
// counts payload that reached the receiving program; a link's rate and a paced rate count Ethernet
// frames without preamble and frame check sequence, so one full flow's goodput is 1448/1514 of the
// rate.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/histogram.h"
#include "core/units.h"
#include "lab/series.h"
#include "lab/spread.h"

namespace wh::lab {

// How a video played (lab/workload.h).
struct VideoReport {
  // From the connection's start to the first picture; max: that did not come in the measured time.
  Duration play_delay = Duration::max();
  uint64_t chunks = 0, rebuffers = 0;
  Duration stalled{};  // Time without a picture after the first one.
  Histogram fetch;     // From asking for a chunk to having it, ns.
};

// How a flow of short connections went.
struct WebReport {
  uint64_t started = 0, completed = 0, failed = 0;
  Histogram completion;  // From a connection's start to its last byte, ns.
};

// Counts are of the measured time.
struct FlowReport {
  std::string name, cc;
  std::string profile;        // "unpaced", "fixed", "dgp": how the pace is chosen.
  Rate goodput;               // Payload delivered to the receiving program in the measured time.
  Bytes delivered;            // The same as a count.
  Bytes sent, retransmitted;  // Payload put on the wire, and the part of it that was sent again.
  Histogram rtt;              // Samples of the sender, ns.
  Bytes cwnd;                 // When the run ended.
  std::optional<Rate> pace;   // The rate asked for; nothing when unpaced.
  std::string failure;        // Why the connection ended early; empty when it did not.
  bool background = false;    // Traffic for the others' sake: not in jain().
  std::string workload = {};  // As it was asked for; "" for a bulk transfer.
  std::optional<VideoReport> video = {};
  std::optional<WebReport> web = {};

  // Takes what the flow had counted when the warm-up ended out of what it has counted now; goodput
  // is the flow's own affair.
  void leave_out(const FlowReport& warmup);
};

struct LinkReport {
  std::string name;
  Rate rate;  // Infinite: a wire. Of a trace: its mean.
  double utilization =
      0;            // Delivered share of what the rate allows in the measured time; 0 for a wire.
  Histogram queue;  // How long delivered packets waited for the transmitter, ns.
  std::map<std::string, uint64_t> drops;  // By reason; only those above zero.
  // What else befell packets, by its name; only what is above zero.
  std::map<std::string, uint64_t> events = {};
};

// What the TCP of a host of ours counted in the measured time, by the names below
// net.inet.tcp.stats; only what is above zero.
struct HostReport {
  std::string name;
  std::map<std::string, uint64_t> tcp;

  void leave_out(const HostReport& warmup);
};

struct Report {
  std::vector<FlowReport> flows;
  std::vector<LinkReport> links;  // Both directions of each link.
  std::vector<HostReport> hosts = {};
  uint64_t seed = 0;
  Duration duration{};  // How long it ran, shorter than asked when interrupted.
  Duration warmup{};
  bool interrupted = false;
  bool real_time = false;
  Duration behind{};             // In real time: how late anything was done, at most.
  bool alone = false;            // Each flow that is no background had the path for itself.
  std::string lab;               // The lab file that repeats it.
  Series series;                 // Empty when nobody asked for it.
  std::optional<Spread> spread;  // When it was run several times.

  // The machine did not keep up with real time, so far that it shows in all figures.
  bool is_behind() const;
  // (sum x)^2 / (n sum x^2) over the goodputs of flows that are no background; 1 when nothing
  // flowed.
  double jain() const;
};

// One row a flow, one a link's direction, columns aligned; with a spread, the first repetition and
// then the means of all. Ends with Jain's index and the seed.
std::string to_table(const Report& report);
// Ends with a newline. The same report gives the same bytes.
std::string to_json(const Report& report);
// A header line, and one row for each flow with the figures of the JSON document's flows. What a
// flow does not have is empty.
std::string csv_head();
std::string csv_rows(const Report& report);

}  // namespace wh::lab
