// BBR, version 3: a model of the path (its bandwidth and its least round trip) decides pace and
// window; losses bound the model.
//
//   Startup --> Drain --> ProbeBW: Down -> Cruise -> Refill -> Up -> Down ...
//                            ^ (every 5 s without a lower round trip)  |
//                            +---------------- ProbeRTT <--------------+
//
// It paces at a gain times bw, the least of what was seen delivered in the last two cycles and what
// losses allow just now, and lets a gain times bw x min_rtt be in flight. Names are the draft's
// (long term, short term), so that text and code read side by side.
// Source: draft-ietf-ccwg-bbr (August 2026), sections named at the functions.
#pragma once

#include "core/random.h"
#include "tcp/congestion/congestion.h"
#include "tcp/congestion/delivery_rate.h"

namespace wh::tcp {

class Bbr final : public CongestionControl {
 public:
  enum class State : uint8_t { Startup, Drain, Down, Cruise, Refill, Up, ProbeRtt };

  explicit Bbr(Random random) : CongestionControl(true), random_(random) {}

  std::string_view name() const override { return "bbr"; }
  void on_ack(CongestionState&, const AckEvent&) override {}
  void on_send(CongestionState& state, const SendEvent& event) override;
  void on_app_limited(CongestionState& state, Bytes flight) override;
  void on_delivery(CongestionState& state, const DeliveryEvent& event) override;
  void on_loss(CongestionState& state, const LossEvent& event) override;
  void on_ecn(CongestionState& state, const LossEvent& event) override { on_loss(state, event); }
  void on_recovery_end(CongestionState&, Instant) override {}  // on_delivery() sees it.
  void on_timeout(CongestionState& state, const LossEvent& event, bool is_first) override;
  void on_idle(CongestionState&) override {}
  void on_spurious(CongestionState& state) override;
  std::optional<Rate> pacing_rate(const CongestionState& state) const override;

  State state() const { return state_; }
  Rate max_bw() const { return std::max(max_bw_[0], max_bw_[1]); }
  Rate bw() const { return bw_; }
  Duration min_rtt() const { return min_rtt_; }
  bool is_pipe_full() const { return full_bw_reached_; }
  Bytes inflight_longterm() const { return inflight_longterm_; }
  uint32_t pacing_gain() const;  // Percent.
  uint32_t cwnd_gain() const;

 private:
  enum class AckPhase : uint8_t { Init, Refilling, ProbeStarting, ProbeFeedback, ProbeStopping };
  struct Now {  // The event being handled.
    CongestionState& state;
    const DeliveryEvent& event;
    RateSample rs;
  };

  // bbr_model.cc: what the path is.
  void update_latest_delivery_signals(const Now& n);
  void update_congestion_signals(const Now& n);
  void update_round(const Now& n);
  void update_max_bw(const Now& n);
  void adapt_lower_bounds(const Now& n);
  void update_ack_aggregation(const Now& n);
  void check_full_bw_reached(const Now& n);
  void update_min_rtt(const Now& n);
  void note_loss(const CongestionState& state);
  void handle_lost_packet(Now& n);
  bool is_inflight_too_high(const RateSample& rs, bool has_sack) const;
  void handle_inflight_too_high(const Now& n, const RateSample& rs);
  void reset_congestion_signals();
  void reset_short_term_model();
  void reset_full_bw(Rate baseline = Rate());
  void advance_max_bw_filter();

  // bbr.cc: the state machine, and what follows for the sender.
  void enter_startup() { state_ = State::Startup; }
  void enter_drain();
  void check_startup_high_loss(const Now& n);
  void check_drain_done(const Now& n);
  void start_down(const Now& n);
  void start_refill();
  void start_up(const Now& n);
  void update_probe_bw_phase(const Now& n);
  bool adapt_long_term_model(const Now& n);
  bool is_time_to_probe_bw(const Now& n);
  bool is_time_to_cruise(const Now& n) const;
  bool is_time_to_go_down(const Now& n);
  void raise_inflight_longterm_slope(const CongestionState& state);
  void probe_inflight_longterm_upward(const Now& n);
  void check_probe_rtt(const Now& n);
  void handle_probe_rtt(const Now& n);
  void check_probe_rtt_done(const Now& n);
  void set_pacing_rate(uint32_t gain);
  void set_cwnd(const Now& n);
  void bound_cwnd_for_model(CongestionState& state) const;
  void save_cwnd(const CongestionState& state);
  void restore_cwnd(CongestionState& state) const;
  bool is_probing_bw() const {
    return state_ == State::Startup || state_ == State::Refill || state_ == State::Up;
  }
  bool is_in_probe_bw() const { return state_ >= State::Down && state_ <= State::Up; }
  void start_round() { next_round_delivered_ = samples_.delivered(); }
  Bytes bdp_multiple(Rate bw, uint32_t gain) const;
  Bytes inflight(Rate bw, uint32_t gain, Bytes mss) const;
  Bytes inflight_with_headroom(Bytes mss) const;
  Bytes target_inflight(const CongestionState& state) const;
  Bytes probe_rtt_cwnd(Bytes mss) const;

  Random random_;
  DeliveryRate samples_;
  State state_ = State::Startup;
  AckPhase ack_phase_ = AckPhase::Init;
  bool is_initialised_ = false;
  Bytes initial_cwnd_{0};
  Rate pacing_rate_;  // Zero: not yet known.

  // Rounds.
  Bytes next_round_delivered_{0};
  uint64_t round_count_ = 0, drain_start_round_ = 0;
  bool round_start_ = false;

  // The long-term model.
  Rate max_bw_[2];  // Of the last cycle and of this one.
  Rate bw_;
  Duration min_rtt_ = Duration::max(), probe_rtt_min_delay_ = Duration::max();
  Instant min_rtt_stamp_{}, probe_rtt_min_stamp_{};
  bool probe_rtt_expired_ = false;
  Bytes inflight_longterm_ = Bytes::max();
  // The short-term model: what losses since the last probe allow.
  Rate bw_shortterm_ = Rate::infinite();
  Bytes inflight_shortterm_ = Bytes::max();
  Rate bw_latest_;
  Bytes inflight_latest_{0};
  Bytes loss_round_delivered_{0};
  bool loss_round_start_ = false, is_loss_in_round_ = false;
  uint32_t loss_events_in_round_ = 0;
  // How acknowledgments clump.
  Bytes extra_acked_[2]{}, extra_acked_delivered_{0};
  Instant extra_acked_start_{};
  uint64_t extra_acked_round_ = 0;

  // Is the pipe full?
  Rate full_bw_;
  uint32_t full_bw_count_ = 0;
  bool full_bw_now_ = false, full_bw_reached_ = false;

  // ProbeBW.
  Bytes probe_up_acked_per_inc_ = Bytes::max(), bw_probe_up_acked_{0};
  uint32_t bw_probe_up_rounds_ = 0;
  int64_t rounds_since_probe_up_ = 0;
  Instant cycle_stamp_{};
  Duration bw_probe_wait_{0};
  bool is_bw_probe_sample_ = false, prev_probe_too_high_ = false;
  bool prev_probe_precautionary_ = false;

  // ProbeRTT, idle, recovery, undo.
  std::optional<Instant> probe_rtt_done_stamp_;
  bool probe_rtt_round_done_ = false, idle_restart_ = false, was_in_recovery_ = false;
  Bytes prior_cwnd_{0};
  std::optional<State> undo_state_;
  Rate undo_bw_shortterm_ = Rate::infinite();
  Bytes undo_inflight_shortterm_ = Bytes::max(), undo_inflight_longterm_ = Bytes::max();
};

std::string_view to_string(Bbr::State state);

}  // namespace wh::tcp
