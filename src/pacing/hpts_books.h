// What the wheels of one stack share: the article's tunables and HPTS' own counters, as sysctls.
//
// Names are the article's (`net.inet.tcp.hpts.min_sleep`); where the code of FreeBSD says it
// otherwise
// (`minsleep`), that name reaches the same value. Units are as FreeBSD has them, which is mixed:
// sleeps are in microseconds, but max_sleep, less_sleep and more_sleep count slots of 10 us.
//
// Ownership: outlives the wheels that use it and the tree's last use of it.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "core/sysctl.h"
#include "pacing/hpts_time.h"

namespace wh::pacing {

struct HptsTunables {
  int64_t no_wake_over_thresh = 1;  // bool
  int64_t less_sleep = 1000;        // slots
  int64_t more_sleep = 100;         // slots
  int64_t min_sleep = 250;          // us
  int64_t max_sleep = 51'200;       // slots
  int64_t loop_max = 10;            // further passes
  int64_t dyn_maxsleep = 5000;      // us
  int64_t dyn_minsleep = 250;       // us
  int64_t cnt_thresh = 100;         // connections
  int64_t precise = 0;              // bool; ours, see hpts.h
};

struct HptsCounters {
  // FreeBSD's own.
  uint64_t hopeless = 0, loops = 0, no_tcbsfound = 0, comb_wheel_wrap = 0, wheel_wrap = 0;
  uint64_t direct_call = 0, timeout_wakeup = 0, direct_awakening = 0, back_tosleep = 0;
  uint64_t cpusel_flowid = 0, cpusel_random = 0;
  // Of the 2025 code, and ours.
  uint64_t inserts = 0, removes = 0, calls = 0, moves = 0, long_timers = 0, soft_noop = 0;
  uint64_t max_queued = 0;
  // Calls by how late their slot was served: [0] on time, [k] from 2^(k-1) to 2^k - 1 slots late.
  std::array<uint64_t, 33> late_calls{};
};

struct HptsBooks {
  HptsTunables tunables;
  HptsCounters counters;

  // Registers all of the above below `net.inet.tcp.hpts`. REQUIRES: not registered in `tree` yet.
  void add_sysctls(SysctlTree& tree);
};

}  // namespace wh::pacing
