#include "tcp/congestion/newreno.h"

namespace wh::tcp {

void NewReno::on_ack(CongestionState& state, const AckEvent& event) {
  const bool hystart = config_.may_hystart && !had_loss_ && state.uses_hystart(config_.hystart);
  if (hystart && state.in_slow_start() && hystart_.on_ack(event.rtt, event.is_round_start)) {
    state.ssthresh = state.cwnd;
  }
  if (!event.is_cwnd_limited) return;
  if (state.in_slow_start()) {
    state.cwnd = std::min(state.cwnd + slow_start_growth(state, event, hystart), state.max_cwnd);
    acked_ = Bytes(0);
    return;
  }
  if (!config_.counts_bytes) {  // RFC 5681 section 3.1, equation (3).
    const Bytes share(state.mss.count() * state.mss.count() / state.cwnd.count());
    state.cwnd = std::min(state.cwnd + std::max(share, Bytes(1)), state.max_cwnd);
    return;
  }
  acked_ += event.acked;
  if (acked_ < state.cwnd) return;
  acked_ -= state.cwnd;
  state.cwnd = std::min(state.cwnd + state.mss, state.max_cwnd);
}

Bytes NewReno::slow_start_growth(const CongestionState& state, const AckEvent& event,
                                 bool hystart) const {
  // After a timeout L is 1: the acknowledgments are of what had left before (RFC 3465
  // section 2.3).
  if (event.is_after_timeout) return std::min(event.acked, state.mss);
  if (hystart) return hystart_.growth(event.acked, state.mss, state.is_paced);
  const uint32_t l = state.abc_l > 0 ? state.abc_l : config_.abc_l;
  return std::min(event.acked, state.mss * (config_.counts_bytes ? l : 1));
}

Bytes NewReno::reduced(const CongestionState& state, uint32_t percent) {
  const Bytes scaled = state.cwnd * percent / 100;
  return std::max(state.mss * (scaled / state.mss), state.mss * 2);
}

void NewReno::on_loss(CongestionState& state, const LossEvent&) {
  const uint32_t kept = state.hi_beta > 0       ? state.hi_beta
                        : state.has_rate_policy ? config_.beta_ecn_percent
                                                : config_.beta_percent;
  state.ssthresh = reduced(state, kept);
  acked_ = Bytes(0);
  had_loss_ = true;
}

void NewReno::on_ecn(CongestionState& state, const LossEvent&) {
  const uint32_t kept = config_.heeds_marks_less ? config_.beta_ecn_percent : config_.beta_percent;
  state.ssthresh = state.cwnd = reduced(state, kept);
  acked_ = Bytes(0);
  had_loss_ = true;
}

void NewReno::on_timeout(CongestionState& state, const LossEvent& event, bool is_first) {
  if (is_first) {
    const Bytes half = std::min(event.rwnd, state.cwnd) / 2;
    state.ssthresh = std::max(state.mss * (half / state.mss), state.mss * 2);
  }
  state.cwnd = state.mss;
  acked_ = Bytes(0);
  had_loss_ = true;
}

}  // namespace wh::tcp
