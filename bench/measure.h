// What the comparisons share: processor time of this process, and a line for a figure that says
// whether the goal is met.
#pragma once

#include <sys/resource.h>

#include <cstdio>

namespace wh::bench {

// User and system time of this process, in seconds.
inline double cpu_seconds() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
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

}  // namespace wh::bench
