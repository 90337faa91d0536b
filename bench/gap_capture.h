// When data packets came to a kernel's interface: their arrival times as the kernel noted them.
//
// A packet socket with a filter takes the first bytes of each long frame; nothing is read until the
// run is over, so capturing takes no processor from what is measured.
#pragma once

#include <vector>

#include "core/result.h"
#include "core/units.h"
#include "host/netns.h"

namespace wh::bench {

class GapCapture {
 public:
  // Of frames over 1000 bytes that come in on the device. Errors: no right to.
  static Result<GapCapture> open(const host::Netns& space, const std::string& device);
  // Arrival times so far, in order; of whole packets, ns since some moment.
  std::vector<int64_t> arrivals();

 private:
  explicit GapCapture(host::Fd fd) : fd_(std::move(fd)) {}
  host::Fd fd_;
};

// How far gaps are from the ideal, and the rate over all of them.
struct GapStatistics {
  size_t packets = 0;
  double median_us = 0, p90_us = 0, p99_us = 0;  // Of |gap - ideal|.
  double rate_error = 0;                         // (got - asked) / asked.
};
// The first `skip` are left out.
GapStatistics statistics_of(const std::vector<int64_t>& arrivals, Duration ideal, Duration skip);

}  // namespace wh::bench
