// BBR's model of the path: "Updating Network Path Model Parameters".
#include <algorithm>

#include "tcp/congestion/bbr.h"

namespace wh::tcp {
namespace {

constexpr int64_t kLossThreshold = 2;  // Percent of what is in flight.
constexpr uint32_t kBeta = 70;         // Percent.
constexpr Duration kMinRttFilter = 10s, kProbeRttInterval = 5s;
constexpr uint32_t kFullBwRounds = 3, kFullBwGrowth = 125;
constexpr uint64_t kExtraAckedRounds = 5;  // Two windows of five: the draft's ten rounds.

Bytes beta_of(Bytes b) {
  return b == Bytes::max() ? b : b * kBeta / 100;
}

}  // namespace

void Bbr::update_latest_delivery_signals(const Now& n) {
  loss_round_start_ = false;
  bw_latest_ = std::max(bw_latest_, n.rs.delivery_rate);
  inflight_latest_ = std::max(inflight_latest_, n.rs.delivered);
  if (n.rs.has_data && n.rs.prior_delivered >= loss_round_delivered_) {
    loss_round_delivered_ = samples_.delivered();
    loss_round_start_ = true;
  }
}

void Bbr::update_round(const Now& n) {
  round_start_ = n.rs.has_data && n.rs.prior_delivered >= next_round_delivered_;
  if (!round_start_) return;
  start_round();
  ++round_count_;
  ++rounds_since_probe_up_;
}

void Bbr::update_max_bw(const Now& n) {
  update_round(n);
  const Rate sample = n.rs.delivery_rate;
  if (!sample.is_zero() && (sample >= max_bw() || !n.rs.is_app_limited)) {
    max_bw_[1] = std::max(max_bw_[1], sample);
  }
}

void Bbr::advance_max_bw_filter() {
  if (max_bw_[1].is_zero()) return;
  max_bw_[0] = std::exchange(max_bw_[1], Rate());
}

void Bbr::update_congestion_signals(const Now& n) {
  update_max_bw(n);
  if (!loss_round_start_) return;
  adapt_lower_bounds(n);
  is_loss_in_round_ = false;
}

// "When not Probing for Bandwidth".
void Bbr::adapt_lower_bounds(const Now& n) {
  if (is_probing_bw() || !is_loss_in_round_) return;
  if (bw_shortterm_.is_infinite()) bw_shortterm_ = max_bw();
  if (inflight_shortterm_ == Bytes::max()) inflight_shortterm_ = n.state.cwnd;
  bw_shortterm_ = std::max(bw_latest_, bw_shortterm_.percent(kBeta));
  inflight_shortterm_ = std::max(inflight_latest_, beta_of(inflight_shortterm_));
}

void Bbr::reset_congestion_signals() {
  is_loss_in_round_ = false;
  bw_latest_ = Rate();
  inflight_latest_ = Bytes(0);
}

void Bbr::reset_short_term_model() {
  bw_shortterm_ = Rate::infinite();
  inflight_shortterm_ = Bytes::max();
}

void Bbr::update_ack_aggregation(const Now& n) {
  const Duration interval = n.event.now - extra_acked_start_;
  Bytes expected = bw_.is_infinite() ? Bytes::max() : bw_.bytes_in(interval);
  if (extra_acked_delivered_ <= expected) {
    extra_acked_delivered_ = expected = Bytes(0);
    extra_acked_start_ = n.event.now;
  }
  extra_acked_delivered_ += n.rs.newly_acked;
  const Bytes extra = std::min(extra_acked_delivered_ - expected, n.state.cwnd);
  const uint64_t window = full_bw_reached_ ? kExtraAckedRounds : 1;
  if (round_count_ >= extra_acked_round_ + window) {
    extra_acked_round_ = round_count_;
    extra_acked_[0] = full_bw_reached_ ? extra_acked_[1] : Bytes(0);
    extra_acked_[1] = Bytes(0);
  }
  extra_acked_[1] = std::max(extra_acked_[1], extra);
}

void Bbr::reset_full_bw(Rate baseline) {
  full_bw_ = baseline;
  full_bw_count_ = 0;
  full_bw_now_ = false;
}

// "Exiting Acceleration Based on Bandwidth Plateau".
void Bbr::check_full_bw_reached(const Now& n) {
  if (full_bw_now_ || !round_start_ || n.rs.is_app_limited) return;
  if (n.rs.delivery_rate >= full_bw_.percent(kFullBwGrowth)) {
    return reset_full_bw(n.rs.delivery_rate);
  }
  full_bw_now_ = ++full_bw_count_ >= kFullBwRounds;
  if (full_bw_now_) full_bw_reached_ = true;
}

void Bbr::update_min_rtt(const Now& n) {
  const Instant now = n.event.now;
  const Duration rtt = n.rs.rtt;
  probe_rtt_expired_ = now > probe_rtt_min_stamp_ + kProbeRttInterval;
  if (rtt > Duration::zero() && (rtt < probe_rtt_min_delay_ || probe_rtt_expired_)) {
    probe_rtt_min_delay_ = rtt;
    probe_rtt_min_stamp_ = now;
  }
  const bool is_old = now > min_rtt_stamp_ + kMinRttFilter;
  if (probe_rtt_min_delay_ < min_rtt_ || is_old) {
    min_rtt_ = probe_rtt_min_delay_;
    min_rtt_stamp_ = probe_rtt_min_stamp_;
  }
}

// --- losses ---

void Bbr::note_loss(const CongestionState& state) {
  if (!is_loss_in_round_) {
    loss_round_delivered_ = samples_.delivered();
    save_cwnd(state);
    undo_state_.reset();
    undo_bw_shortterm_ = bw_shortterm_;
    undo_inflight_shortterm_ = inflight_shortterm_;
    undo_inflight_longterm_ = inflight_longterm_;
  }
  is_loss_in_round_ = true;
}

bool Bbr::is_inflight_too_high(const RateSample& rs, bool has_sack) const {
  return rs.lost * 100 > rs.tx_in_flight * kLossThreshold || (rs.lost > Bytes(0) && !has_sack);
}

// "Probing for Bandwidth In ProbeBW": the newest of what was lost tells how much was too much.
void Bbr::handle_lost_packet(Now& n) {
  note_loss(n.state);
  if (!is_bw_probe_sample_) return;
  const DeliveryRate::Snapshot* p = samples_.find(n.event.lost_sent_at);
  if (p == nullptr) return;
  RateSample rs;
  rs.tx_in_flight = p->in_flight;
  rs.lost = samples_.lost() - p->lost;
  rs.is_app_limited = p->is_app_limited;
  if (!is_inflight_too_high(rs, n.event.has_sack)) return;
  // At what prefix of it did losses cross the threshold?
  const Bytes inflight_before = rs.tx_in_flight - n.event.lost;
  const Bytes lost_before = rs.lost - n.event.lost;
  const Bytes prefix =
      (inflight_before * kLossThreshold - lost_before * 100) / (100 - kLossThreshold);
  rs.tx_in_flight = std::max(inflight_before + prefix, Bytes(0));
  handle_inflight_too_high(n, rs);
}

void Bbr::handle_inflight_too_high(const Now& n, const RateSample& rs) {
  prev_probe_too_high_ = true;
  is_bw_probe_sample_ = false;
  if (!rs.is_app_limited) {
    inflight_longterm_ = std::max(rs.tx_in_flight, beta_of(target_inflight(n.state)));
  }
  if (state_ != State::Up) return;
  undo_state_ = State::Up;
  start_down(n);
}

}  // namespace wh::tcp
