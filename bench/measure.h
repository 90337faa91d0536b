// What the comparisons share: processor time of this process, and a line for a figure that says
// whether the goal is met.
#pragma once

#include <sys/resource.h>

#include <cstdio>

namespace wh::bench {

// Processor time of this process, in seconds.
struct CpuTime {
  double user = 0, system = 0;
  CpuTime operator-(const CpuTime& o) const { return {user - o.user, system - o.system}; }
};
inline CpuTime cpu_time() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return {seconds(used.ru_utime), seconds(used.ru_stime)};
}
inline double cpu_seconds() {
  const CpuTime t = cpu_time();
  return t.user + t.system;
}

// "at most 0.30: 0.27, met".
inline void print_at_most(const char* what, double value, double goal) {
  std::printf("%-58s %8.3f   goal: at most %g, %s\n", what, value, goal,
              value <= goal ? "met" : "MISSED");
}
inline void print_at_least(const char* what, double value, double goal) {
  std::printf("%-58s %8.3f   goal: at least %g, %s\n", what, value, goal,
              value >= goal ? "met" : "MISSED");
}

// For tables with figures of their own: the word for one, and whether all so far were reached.
inline bool all_reached = true;
inline const char* verdict(bool reached) {
  all_reached = all_reached && reached;
  return reached ? "reached" : "MISSED";
}

}  // namespace wh::bench
