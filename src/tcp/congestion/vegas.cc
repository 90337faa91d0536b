#include "tcp/congestion/vegas.h"

namespace wh::tcp {

Bytes Vegas::queued(Bytes cwnd, Duration base, Duration rtt) {
  CHECK(rtt > Duration::zero());
  if (rtt <= base) return Bytes(0);
  return Bytes(static_cast<int64_t>(Int128(cwnd.count()) * (rtt - base).count() / rtt.count()));
}

void Vegas::on_ack(CongestionState& state, const AckEvent& event) {
  if (event.is_after_timeout) return losses_.on_ack(state, event);
  if (event.is_round_start) end_round(state, event);
  if (event.rtt > Duration::zero()) {
    round_rtt_ = round_rtt_ == Duration::zero() ? event.rtt : std::min(round_rtt_, event.rtt);
  }
  if (state.in_slow_start() && may_grow_) losses_.on_ack(state, event);
}

// Once a round trip.
void Vegas::end_round(CongestionState& state, const AckEvent& event) {
  const Duration rtt = std::exchange(round_rtt_, Duration::zero());
  if (rtt == Duration::zero()) return;
  if (rounds_to_skip_ > 0) return void(--rounds_to_skip_);
  if (state.in_slow_start()) return end_slow_start_round(state, event.min_rtt, rtt);
  const Bytes waiting = queued(state.cwnd, event.min_rtt, rtt);
  if (waiting > state.mss * config_.beta) {
    state.cwnd = std::max(state.cwnd - state.mss, state.mss * 2);
    state.ssthresh = std::min(state.ssthresh, state.cwnd);  // Else it would be slow start again.
  } else if (waiting < state.mss * config_.alpha && event.is_cwnd_limited) {
    state.cwnd = std::min(state.cwnd + state.mss, state.max_cwnd);
  }
}

// What is acknowledged in a round that grows was sent in the one before, at the pace of the path:
// its round trips tell of the window that the growth began with. Those of the other rounds tell of
// the bursts that growing makes, whatever the path holds.
void Vegas::end_slow_start_round(CongestionState& state, Duration base, Duration rtt) {
  may_grow_ = !may_grow_;
  if (may_grow_) {
    held_ = state.cwnd;
    return;
  }
  const Bytes waiting = queued(held_, base, rtt);
  if (waiting <= state.mss * config_.gamma) return;
  // Go on from what the path holds without a queue.
  state.cwnd = std::max(held_ - waiting + state.mss, state.mss * 2);
  state.ssthresh = state.cwnd;
  rounds_to_skip_ = 1;
}

void Vegas::forget_round() {
  round_rtt_ = Duration::zero();
  rounds_to_skip_ = 1;
  may_grow_ = true;
  held_ = Bytes(0);
}

void Vegas::on_loss(CongestionState& state, const LossEvent& event) {
  losses_.on_loss(state, event);
  forget_round();
}

void Vegas::on_ecn(CongestionState& state, const LossEvent& event) {
  losses_.on_ecn(state, event);
  forget_round();
}

void Vegas::on_timeout(CongestionState& state, const LossEvent& event, bool is_first) {
  losses_.on_timeout(state, event, is_first);
  forget_round();
}

}  // namespace wh::tcp
