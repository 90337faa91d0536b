// CUBIC (RFC 9438) with HyStart++ in slow start.
//
//   W(t) = C (t - K)^3 + W_max,  K = cbrt((W_max - cwnd_epoch) / C)        windows in segments, t
//   in seconds
//
// After a loss the window keeps 70 %, climbs fast towards where the loss was, lingers there, then
// probes. Where Reno would have a larger window (short round trips) it follows Reno's estimate
// W_est. Floating point is used for the curve only; what is set is whole bytes.
#pragma once

#include "tcp/congestion/congestion.h"
#include "tcp/congestion/hystart.h"

namespace wh::tcp {

class Cubic final : public CongestionControl {
 public:
  static constexpr double kC = 0.4, kBeta = 0.7;
  static constexpr double kAlpha = 3 * (1 - kBeta) / (1 + kBeta);  // RFC 9438 section 4.3

  explicit Cubic(bool with_hystart = true) : with_hystart_(with_hystart) {}

  std::string_view name() const override { return "cubic"; }
  void on_ack(CongestionState& state, const AckEvent& event) override;
  void on_loss(CongestionState& state, const LossEvent& event) override;
  void on_timeout(CongestionState& state, const LossEvent& event, bool is_first) override;
  void on_idle(CongestionState& state) override;
  void on_spurious(CongestionState& state) override;

  // W(t) in segments, `t` after the epoch began; for tests.
  double window_at(Duration t) const;
  double k() const { return curve_.k; }
  double w_max() const { return curve_.w_max; }

 private:
  struct Curve {
    double w_max = 0;       // Segments, where the last loss was.
    double k = 0;           // Seconds from the epoch to w_max.
    double w_est = 0;       // What Reno would have.
    double cwnd_prior = 0;  // Before the last reduction.
    bool has_epoch = false;
    Instant epoch{};
    Instant paused_at = kNever;  // Since when the window has not been used.
    double fraction = 0;         // Bytes of growth not yet whole.
  };

  void avoid(CongestionState& state, const AckEvent& event);
  void begin_epoch(const CongestionState& state, Instant now);
  void reduce(CongestionState& state);

  bool with_hystart_;
  HyStart hystart_;
  bool had_loss_ = false;  // HyStart++ is for the first slow start only.
  Curve curve_, before_;   // `before_` for a reduction that proves spurious.
};

}  // namespace wh::tcp
