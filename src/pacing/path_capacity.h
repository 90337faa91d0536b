// Path Capacity Measurement: what the bottleneck can carry, seen from bursts, and the share of it
// that is FCC.
//
// A burst leaves back to back, the bottleneck spreads it, and the acknowledgments come back at its
// pace: what they acknowledge after the first, over the time from the first to the last, is the
// rate of the bottleneck while it served this connection. Paced bursts that are long enough serve;
// when they are not (at low rates a burst is two segments), one of ten segments is sent now and
// then, and pacing makes up for it. The capacity is the median of the last measurements, so that
// single compressed or delayed acknowledgments do not move it. But what the path has just carried
// twice in a row, it has: the goodput of the last two windows is a floor, the lesser of them.
//
//   burst of n segments      | | | | | |                  |   |   |   |   |   |
//   sent back to back   -----+-+-+-+-+-+---> bottleneck ---+---+---+---+---+---> acks, t1 - t0
//
// FCC then is a share of the capacity, within bounds, and held until the share has moved by more
// than a tenth.
// Source: "Dynamic Goodput Pacing", section "Future Work"; the probe is FreeBSD's (rack_pcm.c), the
// estimator is not: FreeBSD only logs.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "core/units.h"

namespace wh::pacing {

class PathCapacity {
 public:
  static constexpr uint32_t kAutoShare = 25;  // Percent, of `fcc=auto`.
  static constexpr int64_t kTrainSegments = 10, kLeastSegments = 6;
  static constexpr uint32_t kMostOpen = 8;
  struct Config {
    uint32_t share = kAutoShare;  // Percent of the capacity.
    Rate least = Rate::bits_per_second(500'000), most = Rate::bits_per_second(1'000'000'000);
    uint32_t hysteresis = 10;  // Percent.
    Duration period = 250ms;   // Between measurements, at least; twice that for bursts made for
                               // it.
  };
  explicit PathCapacity(const Config& config) : config_(config) {}

  // Whether the next burst should be kTrainSegments long.
  bool wants_train(Instant now) const {
    return open_ < kMostOpen && now - last_at_ >= 2 * config_.period;
  }
  // [begin, end) of the stream left back to back.
  void on_sent(Instant now, uint64_t begin, uint64_t end, Bytes mss);
  // The cumulative acknowledgment moved to `una`.
  void on_acked(Instant now, uint64_t una, Bytes mss);
  // Something was lost, and the cumulative acknowledgment stands at `una`: what is measured there
  // would count the repair.
  void on_loss(uint64_t una);

  // So much goodput is certain of the window that ended.
  void on_goodput(Rate rate) {
    goodput_before_ = goodput_;
    goodput_ = rate;
  }

  // Of payload; zero before a burst was measured.
  Rate capacity() const {
    return median_.is_zero() ? Rate() : std::max(median_, std::min(goodput_, goodput_before_));
  }
  // The share of `wire`, the capacity in frames. REQUIRES: wire > 0.
  Rate fcc(Rate wire);
  uint32_t measurements() const { return count_; }

 private:
  static constexpr uint32_t kKept = 9;
  void drop_front();
  void add(Rate rate);

  Config config_;
  struct Train {  // A burst under way.
    uint64_t begin = 0, end = 0, first_una = 0, last_una = 0;
    Instant first_at{}, last_at{};  // Of its first and its last acknowledgment.
    uint32_t acks = 0;
  };
  // Oldest first; more than one where the round trip is longer than the period.
  std::array<Train, kMostOpen> trains_{};
  uint32_t open_ = 0;
  Instant last_at_{};  // When a measurement last began.
  std::array<Rate, kKept> rates_{};
  uint32_t count_ = 0;
  Rate median_, held_;
  Rate goodput_, goodput_before_;  // Of the last window and of the one before it.
};

}  // namespace wh::pacing
