#include "tcp/congestion/newreno.h"

namespace wh::tcp {

void NewReno::on_ack(CongestionState& state, const AckEvent& event) {
  if (!event.is_cwnd_limited) return;
  if (state.in_slow_start()) {
    // After a timeout L is 1: the acknowledgments are of what had left before (RFC 3465
    // section 2.3).
    const Bytes limit = state.mss * (event.is_after_timeout ? 1 : config_.abc_l);
    state.cwnd = std::min(state.cwnd + std::min(event.acked, limit), state.max_cwnd);
    acked_ = Bytes(0);
    return;
  }
  acked_ += event.acked;
  if (acked_ < state.cwnd) return;
  acked_ -= state.cwnd;
  state.cwnd = std::min(state.cwnd + state.mss, state.max_cwnd);
}

Bytes NewReno::reduced(const CongestionState& state, uint32_t percent) {
  const Bytes scaled = state.cwnd * percent / 100;
  return std::max(state.mss * (scaled / state.mss), state.mss * 2);
}

void NewReno::on_loss(CongestionState& state, const LossEvent&) {
  const uint32_t kept = state.has_rate_policy ? config_.beta_ecn_percent : config_.beta_percent;
  state.ssthresh = reduced(state, kept);
  acked_ = Bytes(0);
}

void NewReno::on_ecn(CongestionState& state, const LossEvent&) {
  state.ssthresh = state.cwnd = reduced(state, config_.beta_ecn_percent);
  acked_ = Bytes(0);
}

void NewReno::on_timeout(CongestionState& state, const LossEvent& event, bool is_first) {
  if (is_first) {
    const Bytes half = std::min(event.rwnd, state.cwnd) / 2;
    state.ssthresh = std::max(state.mss * (half / state.mss), state.mss * 2);
  }
  state.cwnd = state.mss;
  acked_ = Bytes(0);
}

}  // namespace wh::tcp
