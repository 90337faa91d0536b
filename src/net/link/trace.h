// A recorded link: the instants at which it could have delivered a full-sized packet.
//
// The file format is mahimahi's (Netravali et al., "Mahimahi: Accurate Record-and-Replay for HTTP",
// USENIX ATC 2015; its manual page mm-link(1)): one whole number a line, in milliseconds from the
// start of the recording, not decreasing; a number that stands n times is n opportunities. At its
// end the trace begins again, shifted by its last number, which is the period and therefore must be
// above zero.
//
//   0          two opportunities at once,
//   0
//   3          one 3 ms later, and one 5 ms after the start,
//   5          where the trace begins again: two more at 5 ms, one at 8 ms ...
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/units.h"
#include "net/link/queue.h"

namespace wh::net {

class Trace {
 public:
  // What one opportunity carries. mahimahi counts 1504 bytes: an IP packet of 1500 and the header
  // of its tunnel device (link_queue.hh, PACKET_SIZE). Here packets have an Ethernet header
  // instead.
  static constexpr Bytes kOpportunity = kFullFrame;
  static constexpr size_t kMaxLines = 50'000'000;
  static constexpr uint32_t kMaxMs = 1'000'000'000;  // Eleven days.

  // Errors name the line and what is accepted: whole numbers from 0 to kMaxMs, not decreasing, the
  // last above zero, up to kMaxLines of them. The last line's end may be missing, a carriage return
  // may stand before each.
  static Result<Trace> parse(std::string_view text);

  size_t size() const { return ms_.size(); }
  // REQUIRES: i < size(). Since the start of the trace.
  Duration at(size_t i) const { return std::chrono::milliseconds(ms_[i]); }
  Duration period() const { return at(ms_.size() - 1); }
  // Over one period.
  Rate mean_rate() const { return Rate::of(kOpportunity * static_cast<int64_t>(size()), period()); }
  // The first opportunity of the trace later than `offset`; size() when there is none in this
  // period.
  size_t first_after(Duration offset) const;
  // Opportunities from the start until `elapsed`, inclusive, through as many periods as that takes.
  uint64_t count_until(Duration elapsed) const;

 private:
  std::vector<uint32_t> ms_;
};

}  // namespace wh::net
