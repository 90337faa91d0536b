#include "tcp/congestion/cubic.h"

#include <cmath>
#include <utility>

namespace wh::tcp {
namespace {

double segments(Bytes size, Bytes mss) {
  return static_cast<double>(size.count()) / static_cast<double>(mss.count());
}

}  // namespace

void Cubic::on_ack(CongestionState& state, const AckEvent& event) {
  if (state.in_slow_start()) {
    const bool use_hystart = !had_loss_ && state.uses_hystart(with_hystart_);
    const bool is_over = use_hystart && hystart_.on_ack(event.rtt, event.is_round_start);
    if (is_over) {
      state.ssthresh = state.cwnd;
    } else if (event.is_cwnd_limited) {
      const Bytes limit = event.is_after_timeout ? state.mss : event.acked;
      const Bytes growth =
          use_hystart ? hystart_.growth(event.acked, state.mss, state.is_paced)
                      : std::min(event.acked, state.mss * (state.abc_l > 0 ? state.abc_l : 2));
      state.cwnd = std::min(state.cwnd + std::min(growth, limit), state.max_cwnd);
      return;
    }
  }
  if (state.in_slow_start()) return;
  // The curve's time stands still while the window is not used: W(t) would run away from a window
  // that does not grow (section 4.2, "t does not include application-limited periods").
  if (!event.is_cwnd_limited) {
    if (curve_.paused_at == kNever) curve_.paused_at = event.now;
    return;
  }
  const Instant paused_at = std::exchange(curve_.paused_at, kNever);
  if (paused_at != kNever) curve_.epoch += event.now - paused_at;
  avoid(state, event);
}

void Cubic::begin_epoch(const CongestionState& state, Instant now) {
  const double cwnd = segments(state.cwnd, state.mss);
  curve_.has_epoch = true;
  curve_.epoch = now;
  curve_.w_est = cwnd;
  curve_.fraction = 0;
  if (curve_.w_max <= cwnd) {  // No loss to climb back to, or beyond it: probe from here.
    curve_.w_max = cwnd;
    curve_.k = 0;
  } else {
    curve_.k = std::cbrt((curve_.w_max - cwnd) / kC);
  }
  if (curve_.cwnd_prior == 0) curve_.cwnd_prior = cwnd;
}

double Cubic::window_at(Duration t) const {
  const double from_k = to_seconds(t) - curve_.k;
  return kC * from_k * from_k * from_k + curve_.w_max;
}

// RFC 9438 sections 4.2 to 4.5.
void Cubic::avoid(CongestionState& state, const AckEvent& event) {
  if (!curve_.has_epoch) begin_epoch(state, event.now);
  const double cwnd = segments(state.cwnd, state.mss);
  const double acked = segments(event.acked, state.mss);
  const Duration t = event.now - curve_.epoch;
  curve_.w_est += (curve_.w_est < curve_.cwnd_prior ? kAlpha : 1.0) * acked / cwnd;
  double wanted = cwnd;
  if (window_at(t) < curve_.w_est) {
    wanted = std::max(cwnd, curve_.w_est);
  } else {
    const double target = std::clamp(window_at(t + event.srtt), cwnd, 1.5 * cwnd);
    wanted = cwnd + (target - cwnd) / cwnd * acked;
  }
  curve_.fraction += (wanted - cwnd) * static_cast<double>(state.mss.count());
  const double whole = std::floor(curve_.fraction);
  curve_.fraction -= whole;
  state.cwnd = std::min(state.cwnd + Bytes(static_cast<int64_t>(whole)), state.max_cwnd);
}

void Cubic::reduce(CongestionState& state) {
  before_ = curve_;
  had_loss_ = true;
  const double cwnd = segments(state.cwnd, state.mss);
  // Fast convergence (section 4.7): a flow that is losing ground gives way.
  curve_.w_max = cwnd < curve_.w_max ? cwnd * (1 + kBeta) / 2 : cwnd;
  curve_.cwnd_prior = cwnd;
  curve_.has_epoch = false;
  const auto kept = static_cast<int64_t>(static_cast<double>(state.cwnd.count()) * kBeta);
  state.ssthresh = std::max(Bytes(kept), state.mss * 2);
}

void Cubic::on_loss(CongestionState& state, const LossEvent&) {
  reduce(state);
}

void Cubic::on_timeout(CongestionState& state, const LossEvent&, bool is_first) {
  if (is_first) reduce(state);
  // Section 4.8: avoidance then begins at K = 0, from whatever window slow start leaves.
  curve_.w_max = 0;
  curve_.has_epoch = false;
  state.cwnd = state.mss;
}

void Cubic::on_idle(CongestionState& state) {
  CongestionControl::on_idle(state);
  curve_.has_epoch = false;
}

void Cubic::on_spurious(CongestionState&) {
  curve_ = before_;
}

}  // namespace wh::tcp
