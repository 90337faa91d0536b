#include "tcp/congestion/bbr.h"

#include <algorithm>

namespace wh::tcp {
namespace {

constexpr uint32_t kHeadroom = 15;  // Percent.
constexpr int64_t kMinPipeSegments = 4;
constexpr uint32_t kPacingMargin = 1;  // Percent.
constexpr uint32_t kStartupFullLossCount = 6;
constexpr Duration kProbeRttDuration = 200ms;
constexpr uint32_t kProbeRttCwndGain = 50;

}  // namespace

std::string_view to_string(Bbr::State state) {
  switch (state) {
    case Bbr::State::Startup: return "startup";
    case Bbr::State::Drain: return "drain";
    case Bbr::State::Down: return "probe_bw_down";
    case Bbr::State::Cruise: return "probe_bw_cruise";
    case Bbr::State::Refill: return "probe_bw_refill";
    case Bbr::State::Up: return "probe_bw_up";
    case Bbr::State::ProbeRtt: return "probe_rtt";
  }
  UNREACHABLE();
}

// "Summary of Control Behavior in the State Machine".
uint32_t Bbr::pacing_gain() const {
  switch (state_) {
    case State::Startup: return 277;
    case State::Drain: return 50;
    case State::Down: return 90;
    case State::Up: return 125;
    default: return 100;
  }
}

uint32_t Bbr::cwnd_gain() const {
  return state_ == State::Up ? 225 : state_ == State::ProbeRtt ? kProbeRttCwndGain : 200;
}

// --- events ---

void Bbr::on_send(CongestionState& state, const SendEvent& event) {
  if (event.flight_before <= Bytes(0) && samples_.is_app_limited()) {  // "Restarting From Idle"
    idle_restart_ = true;
    extra_acked_start_ = event.now;
    if (is_in_probe_bw()) set_pacing_rate(100);
    if (state_ == State::ProbeRtt) {
      const DeliveryEvent none{.now = event.now};
      check_probe_rtt_done({state, none, {}});
    }
  }
  samples_.on_send(event.now, event.flight_before, event.flight);
}

void Bbr::on_app_limited(CongestionState&, Bytes flight) {
  samples_.mark_app_limited(flight);
}

// "Per-ACK Steps".
void Bbr::on_delivery(CongestionState& state, const DeliveryEvent& event) {
  if (!is_initialised_) {
    is_initialised_ = true;
    initial_cwnd_ = state.initial_window();
    if (event.srtt > Duration::zero()) min_rtt_ = event.srtt;
    min_rtt_stamp_ = probe_rtt_min_stamp_ = extra_acked_start_ = event.now;
  }
  Now n{state, event, {}};
  if (event.lost > Bytes(0)) {
    samples_.on_lost(event.lost);
    loss_events_in_round_ += event.lost_ranges;
    handle_lost_packet(n);
  }
  if (was_in_recovery_ && !event.in_recovery) restore_cwnd(state);
  was_in_recovery_ = event.in_recovery;
  if (event.delivered <= Bytes(0)) return;
  n.rs = samples_.on_delivered(event.now, event.delivered, event.newest_sent_at, event.min_rtt);
  n.rs.rtt = event.rtt;
  samples_.forget_before(event.oldest_sent_at);
  update_latest_delivery_signals(n);
  update_congestion_signals(n);
  update_ack_aggregation(n);
  check_full_bw_reached(n);
  check_startup_high_loss(n);
  if (state_ == State::Startup && full_bw_reached_) enter_drain();
  check_drain_done(n);
  update_probe_bw_phase(n);
  update_min_rtt(n);
  check_probe_rtt(n);
  if (loss_round_start_) {  // AdvanceLatestDeliverySignals
    bw_latest_ = n.rs.delivery_rate;
    inflight_latest_ = n.rs.delivered;
    loss_events_in_round_ = 0;
  }
  bw_ = std::min(max_bw(), bw_shortterm_);
  set_pacing_rate(pacing_gain());
  set_cwnd(n);
}

void Bbr::on_loss(CongestionState& state, const LossEvent&) {
  save_cwnd(state);
  note_loss(state);
}

void Bbr::on_timeout(CongestionState& state, const LossEvent&, bool) {
  save_cwnd(state);
  note_loss(state);
  was_in_recovery_ = true;
  state.cwnd = state.mss;  // All is lost: nothing is in flight.
}

// "Handling a Spurious Loss Recovery".
void Bbr::on_spurious(CongestionState& state) {
  restore_cwnd(state);
  is_loss_in_round_ = false;
  reset_full_bw();
  bw_shortterm_ = std::max(bw_shortterm_, undo_bw_shortterm_);
  inflight_shortterm_ = std::max(inflight_shortterm_, undo_inflight_shortterm_);
  inflight_longterm_ = std::max(inflight_longterm_, undo_inflight_longterm_);
  if (undo_state_ == State::Startup && state_ != State::Startup) {
    full_bw_reached_ = false;
    if (state_ != State::ProbeRtt) enter_startup();
  } else if (undo_state_ == State::Up && state_ != State::Up && state_ != State::ProbeRtt) {
    start_refill();
  }
  undo_state_.reset();
}

// --- Startup and Drain ---

// "Exiting Startup Based on Packet Loss".
void Bbr::check_startup_high_loss(const Now& n) {
  if (state_ != State::Startup || full_bw_reached_ || !n.event.in_recovery) return;
  const bool is_high = n.event.has_sack
                           ? loss_round_start_ && loss_events_in_round_ >= kStartupFullLossCount &&
                                 is_inflight_too_high(n.rs, true)
                           : is_loss_in_round_;
  if (!is_high) return;
  undo_state_ = State::Startup;
  full_bw_reached_ = true;
  inflight_longterm_ = std::max(bdp_multiple(bw_, 100), inflight_latest_);
}

void Bbr::enter_drain() {
  state_ = State::Drain;
  drain_start_round_ = round_count_;
}

void Bbr::check_drain_done(const Now& n) {
  if (state_ != State::Drain) return;
  const bool is_drained = n.event.flight <= inflight(bw_, 100, n.state.mss);
  if (is_drained || round_count_ > drain_start_round_ + 3) start_down(n);
}

// --- ProbeBW: "ProbeBW Algorithm Details" ---

void Bbr::start_down(const Now& n) {
  reset_congestion_signals();
  probe_up_acked_per_inc_ = Bytes::max();
  rounds_since_probe_up_ = static_cast<int64_t>(random_.below(2));
  bw_probe_wait_ = 2s + Duration(static_cast<int64_t>(random_.below(1'000'000'000)));
  cycle_stamp_ = n.event.now;
  ack_phase_ = AckPhase::ProbeStopping;
  start_round();
  state_ = State::Down;
}

void Bbr::start_refill() {
  reset_short_term_model();
  bw_probe_up_rounds_ = 0;
  bw_probe_up_acked_ = Bytes(0);
  prev_probe_precautionary_ = false;
  ack_phase_ = AckPhase::Refilling;
  start_round();
  state_ = State::Refill;
}

void Bbr::start_up(const Now& n) {
  ack_phase_ = AckPhase::ProbeStarting;
  start_round();
  reset_full_bw(n.rs.delivery_rate);
  state_ = State::Up;
  raise_inflight_longterm_slope(n.state);
}

void Bbr::update_probe_bw_phase(const Now& n) {
  if (!full_bw_reached_ || adapt_long_term_model(n) || !is_in_probe_bw()) return;
  switch (state_) {
    case State::Down:
      if (!is_time_to_probe_bw(n) && is_time_to_cruise(n)) state_ = State::Cruise;
      return;
    case State::Cruise: is_time_to_probe_bw(n); return;
    case State::Refill:
      if (!round_start_) return;
      is_bw_probe_sample_ = true;
      return start_up(n);
    case State::Up:
      if (!is_time_to_go_down(n)) return;
      prev_probe_too_high_ = false;
      return start_down(n);
    default: return;
  }
}

bool Bbr::adapt_long_term_model(const Now& n) {
  if (ack_phase_ == AckPhase::ProbeStarting && round_start_) ack_phase_ = AckPhase::ProbeFeedback;
  if (ack_phase_ == AckPhase::ProbeStopping && round_start_) {
    is_bw_probe_sample_ = false;
    ack_phase_ = AckPhase::Init;
    if (is_in_probe_bw() && !n.rs.is_app_limited) advance_max_bw_filter();
    if (is_in_probe_bw() && prev_probe_precautionary_ && !prev_probe_too_high_) {
      start_refill();
      return true;
    }
  }
  if (is_inflight_too_high(n.rs, n.event.has_sack) || inflight_longterm_ == Bytes::max()) {
    return false;
  }
  inflight_longterm_ = std::max(inflight_longterm_, n.rs.tx_in_flight);
  if (state_ == State::Up) probe_inflight_longterm_upward(n);
  return false;
}

bool Bbr::is_time_to_probe_bw(const Now& n) {
  const int64_t reno_rounds = target_inflight(n.state) / n.state.mss;
  const bool is_renos_turn = rounds_since_probe_up_ >= std::min<int64_t>(reno_rounds, 63);
  if (n.event.now <= cycle_stamp_ + bw_probe_wait_ && !is_renos_turn) return false;
  start_refill();
  return true;
}

bool Bbr::is_time_to_cruise(const Now& n) const {
  return n.event.flight <= inflight_with_headroom(n.state.mss) &&
         n.event.flight <= inflight(max_bw(), 100, n.state.mss);
}

bool Bbr::is_time_to_go_down(const Now& n) {
  if (prev_probe_too_high_ && n.event.flight >= inflight_longterm_) {
    prev_probe_precautionary_ = true;
    return true;
  }
  if (n.event.is_cwnd_limited && n.state.cwnd >= inflight_longterm_) {
    reset_full_bw(n.rs.delivery_rate);
    return false;
  }
  return full_bw_now_;
}

void Bbr::raise_inflight_longterm_slope(const CongestionState& state) {
  const int64_t growth = int64_t{1} << bw_probe_up_rounds_;
  bw_probe_up_rounds_ = std::min(bw_probe_up_rounds_ + 1, 30u);
  probe_up_acked_per_inc_ = std::max(state.cwnd / growth, state.mss);
}

void Bbr::probe_inflight_longterm_upward(const Now& n) {
  if (!n.event.is_cwnd_limited || n.state.cwnd < inflight_longterm_) return;
  bw_probe_up_acked_ += n.rs.newly_acked;
  if (bw_probe_up_acked_ >= probe_up_acked_per_inc_) {
    const int64_t delta = bw_probe_up_acked_ / probe_up_acked_per_inc_;
    bw_probe_up_acked_ -= probe_up_acked_per_inc_ * delta;
    inflight_longterm_ += n.state.mss * delta;
  }
  if (round_start_) raise_inflight_longterm_slope(n.state);
}

// --- ProbeRTT: "ProbeRTT Logic" ---

void Bbr::check_probe_rtt(const Now& n) {
  if (state_ != State::ProbeRtt && probe_rtt_expired_ && !idle_restart_) {
    save_cwnd(n.state);
    state_ = State::ProbeRtt;
    probe_rtt_done_stamp_.reset();
    ack_phase_ = AckPhase::ProbeStopping;
    start_round();
  }
  if (state_ == State::ProbeRtt) handle_probe_rtt(n);
  idle_restart_ = false;
}

void Bbr::handle_probe_rtt(const Now& n) {
  samples_.mark_app_limited(n.event.flight);  // Low rates on purpose are no samples.
  if (!probe_rtt_done_stamp_) {
    if (n.event.flight > probe_rtt_cwnd(n.state.mss)) return;
    probe_rtt_done_stamp_ = n.event.now + kProbeRttDuration;
    probe_rtt_round_done_ = false;
    return start_round();
  }
  if (round_start_) probe_rtt_round_done_ = true;
  if (probe_rtt_round_done_) check_probe_rtt_done(n);
}

void Bbr::check_probe_rtt_done(const Now& n) {
  if (!probe_rtt_done_stamp_ || n.event.now <= *probe_rtt_done_stamp_) return;
  probe_rtt_min_stamp_ = n.event.now;
  reset_short_term_model();
  if (full_bw_reached_) {
    start_down(n);
    state_ = State::Cruise;
  } else {
    enter_startup();
  }
  restore_cwnd(n.state);
}

// --- control parameters: "Updating Control Parameters" ---

std::optional<Rate> Bbr::pacing_rate(const CongestionState& state) const {
  if (!pacing_rate_.is_zero()) return pacing_rate_;
  if (state.srtt <= Duration::zero()) return Rate::infinite();
  return Rate::of(state.initial_window(), state.srtt).percent(277);
}

void Bbr::set_pacing_rate(uint32_t gain) {
  const Rate rate = bw_.percent(gain).percent(100 - kPacingMargin);
  if (!rate.is_zero() && (full_bw_reached_ || rate > pacing_rate_)) pacing_rate_ = rate;
}

Bytes Bbr::bdp_multiple(Rate bw, uint32_t gain) const {
  if (min_rtt_ == Duration::max()) return initial_cwnd_;
  if (bw.is_infinite()) return Bytes::max() / 8;
  return bw.bytes_in(min_rtt_) * gain / 100;
}

// With the draft's quantization budget: three bursts, and two segments more while probing.
Bytes Bbr::inflight(Rate bw, uint32_t gain, Bytes mss) const {
  const Bytes burst = std::max(
      pacing_rate_.is_zero() ? mss * 2 : std::min(pacing_rate_.bytes_in(1ms), 64_KiB), mss * 2);
  Bytes cap = std::max({bdp_multiple(bw, gain), burst * 3, mss * kMinPipeSegments});
  if (state_ == State::Up) cap += mss * 2;
  return cap;
}

Bytes Bbr::inflight_with_headroom(Bytes mss) const {
  if (inflight_longterm_ == Bytes::max()) return Bytes::max();
  const Bytes headroom = std::max(mss, inflight_longterm_ / 100 * kHeadroom);
  return std::max(inflight_longterm_ - headroom, mss * kMinPipeSegments);
}

Bytes Bbr::target_inflight(const CongestionState& state) const {
  return std::min(bdp_multiple(bw_, 100), state.cwnd);
}

Bytes Bbr::probe_rtt_cwnd(Bytes mss) const {
  return std::max(bdp_multiple(bw_, kProbeRttCwndGain), mss * kMinPipeSegments);
}

void Bbr::set_cwnd(const Now& n) {
  const Bytes extra = std::max(extra_acked_[0], extra_acked_[1]);
  const Bytes mss = n.state.mss;
  const Bytes wanted = bdp_multiple(bw_, cwnd_gain()) + extra;
  const Bytes max_inflight = std::max(wanted, inflight(bw_, cwnd_gain(), mss));
  Bytes& cwnd = n.state.cwnd;
  if (full_bw_reached_) {
    cwnd = std::min(cwnd + n.rs.newly_acked, max_inflight);
  } else if (cwnd < max_inflight || samples_.delivered() < initial_cwnd_) {
    cwnd += n.rs.newly_acked;
  }
  cwnd = std::max(std::min(cwnd, n.state.max_cwnd), mss * kMinPipeSegments);
  if (state_ == State::ProbeRtt) cwnd = std::min(cwnd, probe_rtt_cwnd(mss));
  bound_cwnd_for_model(n.state);
}

void Bbr::bound_cwnd_for_model(CongestionState& state) const {
  Bytes cap = Bytes::max();
  if (is_in_probe_bw() && state_ != State::Cruise) {
    cap = inflight_longterm_;
  } else if (state_ == State::ProbeRtt || state_ == State::Cruise) {
    cap = inflight_with_headroom(state.mss);
  }
  cap = std::max(std::min(cap, inflight_shortterm_), state.mss * kMinPipeSegments);
  state.cwnd = std::min(state.cwnd, cap);
}

void Bbr::save_cwnd(const CongestionState& state) {
  const bool is_modulated = was_in_recovery_ || state_ == State::ProbeRtt;
  prior_cwnd_ = is_modulated ? std::max(prior_cwnd_, state.cwnd) : state.cwnd;
}

void Bbr::restore_cwnd(CongestionState& state) const {
  state.cwnd = std::max(state.cwnd, prior_cwnd_);
}

}  // namespace wh::tcp
