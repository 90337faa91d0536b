// GPest: how fast the cumulative acknowledgment moves.
//
// Goodput is not delivery rate. What is SACKed behind a hole does not count until the hole is
// filled, and the time to fill it does: a loss lowers the estimate. It is measured in windows,
//
//   start                                            end (1 to 2 round trips of data)
//     |==================================================|
//     ^ time base: the acknowledgment that reached it     ^ bytes / time = one measurement
//
// one after the other while data is in transit. The first window begins with the initial window,
// sent in a burst; whenever a window begins with a send (not with an acknowledgment) the first
// acknowledgment only sets its base, or the round trip before it would count. A window ends at its
// end, after one round trip (two when a loss is being repaired) once it has an initial window of
// data, and when the sender runs out of data; being limited by the congestion window or the
// receiver's does not end it. The first three measurements are averaged, later ones enter with an
// eighth (less when shorter than a round trip).
//
// Each window has a round-trip time of its own (curGpRTT; that of the window before is prevGpRTT):
// Timely's input. Positions are bytes from the beginning of the stream.
// Source: "Dynamic Goodput Pacing", section "Goodput (GPest)"; FreeBSD RACK, 2024.
#pragma once

#include <cstdint>
#include <optional>

#include "core/units.h"

namespace wh::pacing {

// The estimate: an average of three, then a weighted moving average.
class GoodputFilter {
 public:
  static constexpr uint32_t kAveraged = 3;  // The seed counts as the first.
  struct Config {
    uint32_t divisor = 8;  // net.inet.tcp.rack.measure.wma_divisor
  };
  GoodputFilter() = default;
  explicit GoodputFilter(Config config) : config_(config) {}

  // `took`: the length of the measurement. It weighs min(took / srtt, 1) / 8. (FreeBSD divides
  // whole numbers there, so that 39 ms of a 20 ms round trip weigh twice as much as 40 ms do; not
  // here.)
  void add(Rate measured, Duration took, Duration srtt);
  // The estimate was plainly too low.
  void replace(Rate rate);

  Rate estimate() const { return estimate_; }  // Zero before the first measurement.
  uint32_t measurements() const { return count_; }

 private:
  Config config_;
  Rate estimate_, sum_;
  uint32_t count_ = 0;
};

class GoodputWindow {
 public:
  static constexpr int64_t kLeastSegments = 6;  // Of a measurement; two more of a target.
  struct Config {
    uint32_t goal_bdp = 2;     // net.inet.tcp.rack.measure.goal_bdp
    uint32_t min_target = 20;  // Segments; net.inet.tcp.rack.measure.min_target
  };
  enum class Quality : uint8_t { High, AllAcked, AppLimited };
  struct Situation {
    Instant now{};
    uint64_t una = 0, snd_max = 0;
    Bytes mss{0}, rwnd{0}, initial_window{0};
    Rate estimate;  // Zero: none yet.
    Duration srtt{0};
    bool in_recovery = false;
  };
  struct Acked {
    Instant sent_at{};        // First transmission of the last byte acknowledged.
    Instant next_sent_at{};   // First transmission of what is outstanding now,
    bool next_is_new = true;  // which was not sent again.
    Duration rtt{0};          // Sample of this acknowledgment; 0 for none.
  };
  struct Measurement {
    Rate rate;
    Bytes bytes{0};
    Duration took{0};
    Duration rtt{0};  // curGpRTT; 0 when the window had no sample.
    Quality quality = Quality::High;
  };

  GoodputWindow() = default;
  explicit GoodputWindow(Config config) : config_(config) {}

  // New data left, beginning at `begin`: a window begins when none is open.
  void on_sent(const Situation& s, uint64_t begin);
  // The cumulative acknowledgment moved. Returns the measurement that this ends; a next window
  // begins where it ended when there is data in transit.
  std::optional<Measurement> on_acked(const Situation& s, const Acked& a);
  // Ends the window here, if there is enough of it.
  std::optional<Measurement> finish(const Situation& s, const Acked& a);
  // The sender has no more data: the window ends with what was sent.
  void on_app_limited(const Situation& s);
  // The window's data is not to be trusted (two timeouts or probes in a row).
  void abandon() { is_open_ = false; }
  // Nor is what has been sent so far: windows begin behind it.
  void abandon_until(uint64_t snd_max) {
    is_open_ = false;
    limited_until_ = snd_max;
  }

  bool is_open() const { return is_open_; }
  uint64_t start() const { return start_; }
  uint64_t end() const { return end_; }
  Duration rtt() const { return rtt_; }  // curGpRTT so far.
  // How much a window is to cover (bytes).
  Bytes target(const Situation& s) const;

 private:
  void open(uint64_t start, const Situation& s);
  std::optional<Quality> is_over(const Situation& s) const;
  std::optional<Measurement> measure(const Situation& s, const Acked& a, Quality quality) const;

  Config config_;
  bool is_open_ = false;
  bool needs_base_ = false;  // The next acknowledgment sets the time base.
  bool is_first_ = false;    // No estimate when it began: two segments less are enough.
  uint64_t start_ = 0, end_ = 0;
  uint64_t limited_until_ = 0;  // What had been sent when the application last had no more.
  Instant acked_base_{}, sent_base_{};
  Duration rtt_{0}, lowest_rtt_{0};
  Bytes highest_rwnd_{0};
};

}  // namespace wh::pacing
