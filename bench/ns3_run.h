// One run of ns-3, kept in a translation unit of its own: its headers and ours do not meet.
#pragma once

#include <cstdint>

namespace wh::bench {

struct Dumbbell {
  uint32_t flows = 1;
  uint64_t bits_per_second = 40'000'000;
  double seconds = 10;  // Simulated.
  // The same in all runs: 10 ms one way, 100 ms of drop-tail buffer, CUBIC, segments of 1448 bytes,
  // SACK, timestamps, an acknowledgment for every second segment.
};

struct RunCost {
  double cpu_seconds = 0;
  uint64_t packets = 0;  // Across the bottleneck, both ways.
  double goodput_bps = 0;
  double ns_per_packet() const { return cpu_seconds * 1e9 / static_cast<double>(packets); }
};

RunCost run_ns3(const Dumbbell& dumbbell);

// Processor time of an event of ns-3's default scheduler with so many pending, in ns.
double ns3_event_ns(uint32_t pending, uint64_t events);

}  // namespace wh::bench
