// The pace when it is not a fixed one: a connection under Dynamic Goodput Pacing.
//
// The policy (pacing/dgp.h) knows nothing of TCP. Here it is told what was sent and acknowledged,
// and asked for the pace whenever a burst may leave.
#include <algorithm>

#include "tcp/stack.h"

namespace wh::tcp {

Result<void> Connection::set_profile(int64_t profile) {
  if (profile != 0 && profile != 1) {
    return fail("profile {}: accepted: 0 (none), 1 (Dynamic Goodput Pacing)", profile);
  }
  if (profile == 1 && dgp_ == nullptr && pacer_.is_on()) {
    return fail_with(std::errc::device_or_resource_busy, "profile 1: a fixed pace rate is set");
  }
  if (profile == 0) {
    if (dgp_ != nullptr) set_pace_rate(Rate::infinite());
    return {};
  }
  if (dgp_ != nullptr) return {};
  pacing::Dgp::Config config;
  config.fcc = fcc_;
  dgp_ = std::make_unique<pacing::Dgp>(config);
  pacer_.set_policy({.repay = pacing::PaceAccount::Repay::Slowly});
  window_.is_paced = true;
  clear_fast_send();
  return {};
}

void Connection::set_fcc(Rate fcc) {
  CHECK(!fcc.is_infinite());
  fcc_ = fcc;
  if (dgp_ != nullptr) dgp_->set_fcc(fcc);
}

pacing::Dgp::Situation Connection::dgp_situation() const {
  pacing::Dgp::Situation s;
  s.now = now();
  s.phase = recovery_ != Recovery::Open ? pacing::Phase::Recovery
            : window_.in_slow_start()   ? pacing::Phase::SlowStart
                                        : pacing::Phase::Avoidance;
  s.una = static_cast<uint64_t>(total_.acknowledged.count());
  s.snd_max = s.una + map_.outstanding();
  s.mss = window_.mss;
  s.t_maxseg = Bytes(mss_ + option_bytes());
  s.ip_header = Bytes(headers_.ip_size());
  s.cwnd = window_.cwnd;
  s.rwnd = Bytes(snd_wnd_);
  s.flight = Bytes(pipe());
  s.initial_window = initial_window(window_.mss);
  s.srtt = rtt_.srtt();
  s.latest_rtt = rtt_.latest();
  return s;
}

void Connection::choose_pace() {
  if (is_handshaking()) return;
  const pacing::PaceParts parts = dgp_->parts(dgp_situation());
  pacer_.set_rate(parts.pace);
  pace_by_ = parts.by;
}

void Connection::tell_sent(const Burst& burst) {
  if (is_handshaking()) return;
  const pacing::Dgp::Situation s = dgp_situation();
  if (burst.fresh > 0) dgp_->on_sent(s, s.snd_max - static_cast<uint64_t>(burst.fresh));
  if (unsent() == 0 && s.flight < s.cwnd) dgp_->on_app_limited(s);
}

void Connection::tell_acked(const Segment& s, const AckWork& work) {
  if (is_handshaking()) return;
  pacing::Dgp::Acked a;
  a.bytes = Bytes(work.newly_acked);
  a.sent_at = work.acked_sent_at;
  a.next_sent_at = map_.empty() ? s.arrival : map_[0].sent[0];
  a.next_is_new = map_.empty() || !map_[0].is_retransmitted();
  a.rtt = work.rtt;
  a.pacer_waits = pacer_.must_wait(now());
  a.has_more = sendable_now() > 0;
  pacing::Dgp::Situation situation = dgp_situation();
  situation.now = s.arrival;
  const bool was_probing = dgp_->is_probing();
  dgp_->on_acked(situation, a);
  if (was_probing != dgp_->is_probing()) clear_fast_send();
}

void Connection::tell_loss() {
  if (dgp_ != nullptr) dgp_->on_loss();
}

// The congestion window, or less while the round trip is being probed.
int64_t Connection::send_cwnd() const {
  const Bytes cwnd = window_.cwnd;
  return (dgp_ == nullptr ? cwnd : std::min(cwnd, dgp_->cwnd_limit(window_.mss))).count();
}

pacing::PaceParts Connection::pace_parts() const {
  if (dgp_ != nullptr) return dgp_->parts(dgp_situation());
  pacing::PaceParts parts;
  parts.by = pace_by_;
  parts.pace = pacer_.rate();
  parts.current_rtt = rtt_.latest();
  parts.min_rtt = rtt_.min();
  return parts;
}

}  // namespace wh::tcp
