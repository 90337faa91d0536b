// Vegas: keeps between one and three segments in the bottleneck's queue.
//
//   Expected = cwnd / BaseRTT     Actual = cwnd / CurrentRTT     Diff = Expected - Actual
//
// BaseRTT is the lowest round trip seen. Diff times BaseRTT is how many segments wait in the queue:
// fewer than alpha, one segment is added each round trip; more than beta, one is taken away. Slow
// start doubles every other round trip only; in between nothing grows and Diff is measured, and
// when more than gamma, one router buffer, waits, slow start is over. Losses are NewReno's.
// Source: Brakmo and Peterson, IEEE JSAC 13(8), 1995; "Dynamic Goodput Pacing", section "Delay
// Based".
#pragma once

#include "tcp/congestion/newreno.h"

namespace wh::tcp {

class Vegas final : public CongestionControl {
 public:
  struct Config {
    int64_t alpha = 1, beta = 3, gamma = 1;  // Segments in the queue.
  };
  Vegas() = default;
  explicit Vegas(const NewReno::Config& losses) : losses_(losses) {}

  std::string_view name() const override { return "vegas"; }
  void on_ack(CongestionState& state, const AckEvent& event) override;
  void on_loss(CongestionState& state, const LossEvent& event) override;
  void on_ecn(CongestionState& state, const LossEvent& event) override;
  void on_timeout(CongestionState& state, const LossEvent& event, bool is_first) override;

  // Diff as bytes in the queue: cwnd (rtt - base) / rtt. REQUIRES: rtt > 0.
  static Bytes queued(Bytes cwnd, Duration base, Duration rtt);

 private:
  void end_round(CongestionState& state, const AckEvent& event);
  void end_slow_start_round(CongestionState& state, Duration base, Duration rtt);
  void forget_round();

  Config config_;
  NewReno losses_;
  Duration round_rtt_{0};        // Least of this round; 0: no sample.
  bool may_grow_ = true;         // In slow start: this is a round that grows,
  Bytes held_{0};                // and began with this window; 0: not known.
  uint32_t rounds_to_skip_ = 0;  // After a reduction the round under way says nothing.
};

}  // namespace wh::tcp
