// What may leave, decided once for each batch of events.
//
// The gate first: while a pacing delay runs nothing leaves, not even an acknowledgment. Behind it,
// in this order: a tail loss probe, what is lost, new data; then, if none of these carried it, an
// acknowledgment that is owed. A paced connection sends one burst and starts the next delay.
#include <algorithm>

#include "tcp/stack.h"

namespace wh::tcp {

void Connection::output() {
  wants_output_ = false;
  if (state_ == State::Closed) return;
  const Instant now = this->now();
  if (!open_gate(now)) {
    if (box_ != nullptr) box_->held_by_pacing(*this);
    note_limit(now);
    return arm_timers(now);
  }
  if (has_rate_policy() || has_model() || pace_by_ == pacing::PaceBy::Fixed) choose_pace();
  Burst burst{burst_allowance()};
  bool is_note_over = false;
  if (is_handshaking()) {
    send_handshake();
  } else {
    if (probe_due_) {
      send_probe(burst);
      probe_due_ = false;
    }
    if (has_payload_to_send()) {
      if (!pacer_.is_on()) set_up_fast_send();
      is_note_over = fast_left_ != 0 && send_fast(burst) && pacer_.is_on();
      if (!is_note_over) send_full(burst);
    } else {
      clear_fast_send();
    }
    send_small_ = false;
    if (std::exchange(window_probe_due_, false)) {
      ++stack_.counters().window_probes;
      send_control(snd_una_ - SeqLen(1),
                   net::kTcpAck);  // Answered because it is out of the window.
    }
    if (std::exchange(keepalive_due_, false)) {
      ++stack_.counters().keepalive_probes;
      send_control(snd_una_ - SeqLen(1), net::kTcpAck);
    }
    if (std::exchange(challenge_due_, false)) send_control(snd_max_, net::kTcpAck);
    if (ack_now_ || needs_window_update()) send_ack();
  }
  if (box_ != nullptr) box_->held(*this, burst.allowance <= 0, is_note_over);
  finish_output(now, burst);
}

// FreeBSD's tcp_output gate for a paced connection: expired, or not established yet, or closed to
// all.
inline bool Connection::open_gate(Instant now) {
  if (!pacer_.is_on()) return true;
  if (pacer_.must_wait(now) && !is_handshaking()) {
    ++stack_.counters().inpace;
    return false;
  }
  pacer_.begin_output(now);
  return true;
}

inline int64_t Connection::burst_allowance() const {
  if (!pacer_.is_on()) return INT64_MAX;
  const Bytes mss = window_.mss;  // Whole segments: the limit of 64 KiB need not be.
  const int64_t segments = std::max<int64_t>(pacer_.burst(mss) / mss, 1);
  return std::max((mss * segments).count(), wanted_train());
}

inline void Connection::finish_output(Instant now, const Burst& burst) {
  if (pacer_.is_on()) {
    if (burst.wire > 0) {
      pacer_.sent(now, Bytes(burst.wire), burst.allowance <= 0);
      if (box_ != nullptr) box_->paced(*this, burst.wire);
    } else {
      pacer_.forgive();
    }
  }
  if (burst.wire > 0) last_sent_at_ = now;
  if (unanswered_ > 0)
    unanswered_ -= static_cast<uint32_t>(std::min<int64_t>(unanswered_, burst.fresh));
  if (has_rate_policy() || has_model()) tell_sent(burst);
  // The window was what stopped us: there was more to send and the peer had room for it.
  if (is_synchronised(state_)) {
    const bool has_more = unsent() > 0 && snd_wnd_ > map_.outstanding();
    if (has_more && (pace_by_ == pacing::PaceBy::FillCwnd || pace_by_ == pacing::PaceBy::Fulcrum ||
                     int64_t{pipe()} + mss_ > window_.cwnd.count())) {
      cwnd_limited_ = true;
    } else if (burst.wire > 0) {
      cwnd_limited_ = false;
    }
  }
  note_limit(now);
  arm_timers(now);
}

void Connection::note_limit(Instant now) {
  if (!is_synchronised(state_)) return;
  const size_t waiting = unsent();
  LimitClock::State state = LimitClock::State::Busy;
  if (waiting == 0 && map_.empty()) {
    state = LimitClock::State::Idle;
  } else if (waiting == 0) {
    if (writer_waits_) state = LimitClock::State::BufferLimited;
  } else if (int64_t{pipe()} + mss_ <= window_.cwnd.count() &&
             sendable_now() < std::min<size_t>(waiting, mss_)) {
    state = LimitClock::State::WindowLimited;
  }
  limits_.note(now, state);
}

bool Connection::send_handshake() {
  if (!map_.empty() && !map_.front().has(SendEntry::kLost)) {
    if (ack_now_ || std::exchange(challenge_due_, false)) send_control(snd_max_, net::kTcpAck);
    return false;
  }
  return send_syn();
}

// Packet after packet, each with all questions asked. Not inlined: a profile shall tell the paths
// apart.
[[gnu::noinline]] void Connection::send_full(Burst& burst) {
  const uint32_t before = burst.segments;
  while (burst.allowance > 0 && (send_retransmission(burst) || send_new(burst))) {
  }
  if (burst.segments > before) ++stack_.counters().nfto_send;
  clear_fast_send();
  if (pacer_.is_on() && burst.wire > 0 && burst.allowance <= 0) set_up_fast_send();
}

bool Connection::send_retransmission(Burst& burst) {
  if (map_.lost() == 0) return false;
  const int64_t room = send_cwnd() - int64_t{pipe()};
  if (room <= 0) return false;
  SendEntry* e = map_.first_lost();
  const Tunables& t = stack_.tunables();
  if (t.send_block != 0 && t.fast_resend != 0 && !e->has(SendEntry::kSyn | SendEntry::kFin) &&
      has_plain_headers()) {
    // Any room admits a segment, so as many as begin within it.
    const int64_t most = std::min((room + mss_ - 1) / mss_ * mss_, burst.allowance);
    return retransmit_fast(*e, static_cast<uint32_t>(std::min<int64_t>(most, UINT32_MAX)), burst);
  }
  const auto most = static_cast<uint32_t>(std::min<int64_t>(full_payload(), burst.allowance));
  if (!retransmit(*e, most, false, burst)) return false;
  ++stack_.counters().nfto_resend;
  return true;
}

// Sends at most `most` bytes from the front of an entry again, cutting off the rest of it.
bool Connection::retransmit(SendEntry& e, uint32_t most, bool is_probe, Burst& burst) {
  const uint32_t data = e.data_length();
  const uint32_t length = std::min(data, most);
  if (length < data && map_.split(map_.index_of(e), e.start + SeqLen(length)) == nullptr)
    return false;
  TcpFlags flags = net::kTcpAck;
  if (e.has(SendEntry::kFin)) flags |= net::kTcpFin;
  if (e.has(SendEntry::kPush)) flags |= net::kTcpPsh;
  SendBuffer::Position at = e.data;
  if (!send_data(e.start, length, at, flags, true, burst)) return false;
  const uint16_t history = e.flags;
  map_.mark_retransmitted(e, now(), delivered_total_, is_probe);
  if (box_ != nullptr) {
    box_->sent_again(*this, e,
                     {length, segments_in(length, mss_), flags, history, is_probe, false});
  }
  return true;
}

// Payload of the largest packet: one segment, or as many as the interface cuts itself.
uint32_t Connection::largest_send(uint32_t segment) const {
  constexpr uint32_t kMostPayload = 65535 - 120;  // Of an IP packet with all headers.
  const uint32_t most = std::min(max_gso_, kMostPayload);
  return most < 2 * segment ? segment : most - most % segment;
}

// Nagle (RFC 9293 section 3.7.4) and the sender's side of silly window avoidance (RFC 9293
// section 3.8.6.2.1), for less than a full segment.
bool Connection::may_send_small(uint32_t length, uint32_t available) const {
  if (send_small_) return true;
  if (max_snd_wnd_ > 0 && length >= max_snd_wnd_ / 2) return true;
  if (length < available) return false;  // More is there: wait for room for a full segment.
  if (shut_down_) return true;
  if (cork_) return false;
  return nodelay_ || map_.empty();
}

bool Connection::send_new(Burst& burst) {
  const bool fin_is_due = shut_down_ && !fin_sent_;
  const size_t waiting = unsent();
  if (waiting == 0 && !fin_is_due) return false;
  if (recovery_ == Recovery::Loss && map_.lost() > 0) return false;
  if (burst.wire == 0 && waits_for_train()) return false;
  const int64_t room = send_cwnd() - int64_t{new_data_flight()};
  const uint32_t segment = full_payload();
  // Behind the fast path, nearly always: a rest of the window that may_send_small() would leave.
  const bool is_rest = room < std::min(segment, max_snd_wnd_ / 2) && room < sendable_now();
  if (is_rest && !fin_is_due && !send_small_ && recovery_ != Recovery::Recovery) return false;
  const auto most =
      static_cast<uint32_t>(std::min<int64_t>(burst.allowance, largest_send(segment)));
  uint32_t length = std::min(sendable_now(), most);
  if (room < length) {
    // A recovery episode counts in segments: any room admits one (RFC 9937).
    const bool may_exceed = recovery_ == Recovery::Recovery && room > 0;
    length = static_cast<uint32_t>(std::max<int64_t>(room, 0));
    if (may_exceed) length = std::min(std::max(length, segment), sendable_now());
  }
  if (length > segment) length -= length % segment;  // The interface cuts it into full segments.
  const bool takes_all = length == waiting;
  const bool with_fin = fin_is_due && takes_all;
  if (length == 0 && !with_fin) return false;
  const bool is_small = length > 0 && length < segment;
  if (is_small && !may_send_small(length, static_cast<uint32_t>(waiting))) return false;
  TcpFlags flags = net::kTcpAck;
  if (takes_all && length > 0) flags |= net::kTcpPsh;
  if (with_fin) flags |= net::kTcpFin;
  return send_data(snd_max_, length, unsent_at_, flags, false, burst);
}

// Tail loss probe (RFC 8985 section 7.3): new data when there is some, else the last segment again.
// It may exceed the congestion window by one segment.
void Connection::send_probe(Burst& burst) {
  if (map_.empty()) return;
  const uint32_t segment = full_payload(), fresh = std::min(sendable_now(), segment);
  bool is_retransmission = false, was_sent = false;
  if (fresh >= segment || (fresh > 0 && fresh == unsent())) {
    was_sent = send_data(snd_max_, fresh, unsent_at_, net::kTcpAck | net::kTcpPsh, false, burst);
  } else {
    size_t i = map_.size();
    while (i > 0 && map_[i - 1].has(SendEntry::kSacked | SendEntry::kLost)) --i;
    if (i == 0) return;
    SendEntry* e = &map_[i - 1];
    const uint32_t tail = segment + (e->has(SendEntry::kFin) ? 1 : 0);
    if (e->length() > tail) e = map_.split(i - 1, e->end - SeqLen(tail));
    if (e == nullptr) return;
    is_retransmission = true;
    was_sent = retransmit(*e, segment, true, burst);
  }
  if (!was_sent) return;
  ++stack_.counters().tlp_probes;
  ++total_.tlp_probes;
  ++probes_in_row_;
  tlp_outstanding_ = true;
  tlp_is_retransmission_ = is_retransmission;
  tlp_end_ = snd_max_;
}

// FreeBSD's rule (tcp_output): the edge can move by two segments and that is much of the buffer, or
// by half the buffer. A delayed acknowledgment will say it anyway.
bool Connection::needs_window_update() const {
  if (!can_receive(state_) || ack_delayed_) return false;
  const uint32_t offered = rcv_adv_ > rcv_nxt_ ? (rcv_adv_ - rcv_nxt_).count() : 0;
  const int64_t room = receive_limit_.count() - static_cast<int64_t>(receive_.readable());
  if (room <= offered) return false;  // Nearly always.
  const uint32_t window = receive_window();
  if (window <= offered || window >> rcv_scale_ <= offered >> rcv_scale_) return false;
  const uint32_t gain = window - offered;
  const auto buffer = static_cast<uint32_t>(std::min<int64_t>(receive_limit_.count(), INT32_MAX));
  const uint32_t segment = max_segment();
  const bool is_much = gain >= buffer / 4 || window <= buffer / 8 || buffer <= 8 * segment ||
                       gain >= uint32_t{65535} << rcv_scale_;
  return (gain >= 2 * segment && is_much) || gain >= buffer / 2;
}

}  // namespace wh::tcp
