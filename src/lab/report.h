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

namespace wh::lab {

struct FlowReport {
  std::string name, cc;
  std::string profile;        // "unpaced" or "fixed": how the pace is chosen.
  Rate goodput;               // Payload delivered to the receiving program in the measured time.
  Bytes delivered;            // The same as a count, over the whole run.
  Bytes sent, retransmitted;  // Payload put on the wire, and the part of it that was sent again.
  Histogram rtt;              // Samples of the sender, ns; from the measured time only.
  Bytes cwnd;                 // When the run ended.
  std::optional<Rate> pace;   // The rate asked for; nothing when unpaced.
  std::string failure;        // Why the connection ended early; empty when it did not.
};

struct LinkReport {
  std::string name;
  Rate rate;  // Infinite: a wire. Of a trace: its mean.
  double utilization =
      0;            // Delivered share of what the rate allows in the measured time; 0 for a wire.
  Histogram queue;  // How long delivered packets waited for the transmitter, ns.
  std::map<std::string, uint64_t> drops;  // By reason; only those above zero.
};

struct Report {
  std::vector<FlowReport> flows;
  std::vector<LinkReport> links;  // Both directions of each link.
  uint64_t seed = 0;
  Duration duration{};  // How long it ran, shorter than asked when interrupted.
  Duration warmup{};
  bool interrupted = false;
  bool real_time = false;
  std::string lab;  // The lab file that repeats it.

  double jain() const;  // (sum x)^2 / (n sum x^2) over the flows' goodputs; 1 when nothing flowed.
};

// One row a flow, one a link's direction, columns aligned; ends with Jain's index and the seed.
std::string to_table(const Report& report);
// Ends with a newline. The same report gives the same bytes.
std::string to_json(const Report& report);

}  // namespace wh::lab
