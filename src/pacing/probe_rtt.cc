#include "pacing/probe_rtt.h"

#include <algorithm>

namespace wh::pacing {

bool ProbeRtt::on_minimum(Instant now, Duration before, Duration after) {
  if (before == Duration::zero()) {
    restart(now);
    return false;
  }
  if (before - after < config_.must_move) return false;
  const Duration late = config_.time_between - config_.time_between / 100 * config_.lower_within;
  const bool is_late = !is_active_ && config_.mode != Mode::Off && now - lowered_at_ >= late;
  restart(now);
  return is_late;
}

Bytes ProbeRtt::target(const Situation& s) const {
  const Bytes least = s.mss * kLeastSegments;
  if (kind_ == Mode::Cwnd4) return least;
  const Bytes held = s.bandwidth.bytes_in(s.min_rtt);
  return std::max(s.mss * ((held + s.mss - Bytes(1)) / s.mss), least);
}

void ProbeRtt::enter(Instant now, bool has_risen) {
  kind_ = config_.mode != Mode::Auto ? config_.mode : has_risen ? Mode::Cwnd4 : Mode::Gain;
  is_active_ = true;
  is_holding_ = false;
  entered_at_ = now;
}

uint32_t ProbeRtt::gain(const Situation& s) const {
  if (kind_ != Mode::Gain) return 0;
  if (is_holding_ || s.goodput_rtt <= Duration::zero()) return config_.gp_per_mul;
  const int64_t trips = (s.now - entered_at_) / s.goodput_rtt;
  const int64_t gain = int64_t{config_.gp_per_mul} - trips * config_.gp_per_reduce;
  return static_cast<uint32_t>(std::max<int64_t>(gain, config_.gp_per_low));
}

bool ProbeRtt::update(const Situation& s) {
  const Duration so_far = s.now - entered_at_;
  bool is_over = so_far >= config_.safety;
  if (!is_holding_) {
    const int64_t must = config_.must_drain_srtts + 1;
    const bool has_drained = !s.is_highly_buffered || so_far >= s.goodput_rtt * must;
    if (s.flight <= target(s) && has_drained) {
      is_holding_ = true;
      holding_since_ = s.now;
    }
  }
  if (is_holding_) {
    const Duration hold =
        kind_ == Mode::Cwnd4 ? std::max(config_.cwnd4_hold, s.min_rtt) : config_.hold;
    is_over = is_over || s.now - holding_since_ >= hold;
  }
  if (!is_over) return false;
  is_active_ = is_holding_ = false;
  restart(s.now);
  return true;
}

}  // namespace wh::pacing
