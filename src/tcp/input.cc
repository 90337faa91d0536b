// What a segment does to a connection, in the order of RFC 9293 section 3.10.7: timestamps, RST and
// SYN, the window, the acknowledgment, the payload, FIN. Hostile segments meet RFC 5961's rules: a
// RST or SYN that is not exactly right is answered by a challenge ACK.
#include <algorithm>

#include "tcp/stack.h"

namespace wh::tcp {
namespace {

constexpr Duration kPawsIdle = std::chrono::hours(24 * 24);  // RFC 7323 section 5.5

bool is_older(uint32_t a, uint32_t b) {
  return static_cast<int32_t>(a - b) < 0;
}

}  // namespace

void Connection::input(const Segment& s) {
  ++total_.segments_received;
  last_heard_ = s.arrival;
  if (s.payload > 0) {
    ++total_.data_segments_received;
    total_.last_data_received = s.arrival;
  }
  if (box_ != nullptr) box_->received(*this, s);
  if (keepalive_probes_ > 0) restart_idle_timer();  // The probe was answered.
  if (state_ == State::SynSent) return input_syn_sent(s);
  if (state_ == State::TimeWait) return input_time_wait(s);
  input_synchronised(s);
}

// RFC 9293 section 3.10.7.3.
void Connection::input_syn_sent(const Segment& s) {
  const bool has_ack = s.has(net::kTcpAck);
  const bool is_good_ack = has_ack && s.ack > iss_ && s.ack <= snd_max_;
  if (has_ack && !is_good_ack) {
    ++stack_.counters().bad_ack;
    if (!s.has(net::kTcpRst)) stack_.answer_with_reset(s);
    return;
  }
  if (s.has(net::kTcpRst)) {
    if (!is_good_ack) return void(++stack_.counters().unacceptable_rst);
    ++stack_.counters().resets_in;
    return finish(End::Refused);
  }
  if (!s.has(net::kTcpSyn)) return void(++stack_.counters().bad_flags);
  irs_ = s.seq;
  rcv_nxt_ = irs_ + SeqLen(1);
  rcv_adv_ =
      net::later(rcv_nxt_, rcv_nxt_ + SeqLen(std::min<uint32_t>(receive_window_at_open(), 65535)));
  last_ack_sent_ = rcv_nxt_;
  negotiate(s.options);
  snd_wnd_ = max_snd_wnd_ = s.window;
  snd_wl1_ = s.seq;
  snd_wl2_ = s.ack;
  has_ecn_ = has_ecn_ && s.has(net::kTcpEce) && !s.has(net::kTcpCwr) && has_ack;
  if (!has_ack) {  // Simultaneous open (RFC 9293 figure 8): answer with SYN-ACK.
    has_ecn_ = stack_.tunables().ecn_enable != 0 && s.flags.has(net::kTcpEce | net::kTcpCwr);
    enter(State::SynReceived);
    is_answer_to_syn_ = !map_.empty();  // Ours may still wait for a packet.
    if (is_answer_to_syn_) map_.mark_lost(map_.front());
    Segment rest = s;  // Its data waits for the other half; its FIN will come again.
    rest.seq += SeqLen(1);
    rest.flags.bits &= static_cast<uint16_t>(~net::kTcpFin.bits);
    if (rest.payload > 0 && trim(rest) && rest.payload > 0) keep_early(rest);
    return stack_.mark(*this);
  }
  AckWork work;
  advance_una(s, work);
  if (work.rtt > Duration::zero()) take_rtt(work.rtt);
  ack_now_ = true;
  become_established();
  Segment rest = s;  // Data or FIN behind the SYN (RFC 9293 section 3.10.7.3, fifth).
  rest.seq += SeqLen(1);
  if (rest.payload > 0 && trim(rest)) take_payload(rest);
  if (rest.has(net::kTcpFin) && state_ != State::Closed) take_fin(rest.seq + SeqLen(rest.payload));
  if (state_ != State::Closed) stack_.mark(*this);
}

// Data that came with a SYN that opens from both ends: kept, and acknowledged when the handshake
// is.
void Connection::keep_early(const Segment& s) {
  const auto got = receive_.insert(rcv_nxt_, s.seq, *s.packet, s.payload_at, s.payload, 1);
  early_bytes_ = got.advance;
}

// Whether a segment that meets this connection in TIME-WAIT opens a new one: RFC 6191 section 2.
bool Connection::makes_way_for(const Segment& s) const {
  if (!s.has(net::kTcpSyn) || s.has(net::kTcpAck) || s.has(net::kTcpRst)) return false;
  const bool is_above = s.seq > rcv_nxt_;
  const bool is_stamped = stack_.tunables().rfc1323 != 0 && s.options.timestamps;
  if (!is_stamped) return is_above;
  if (!has_timestamps_) return true;  // What is left of the old one has none, and is known by it.
  const uint32_t value = s.options.timestamps->value;
  return is_older(ts_recent_, value) || (ts_recent_ == value && is_above);
}

// The quiet time after both ends have closed. A RST does not end it (RFC 1337), a SYN that begins
// anew was seen by the stack before; a repeated FIN starts it over; what is not just the last
// acknowledgment again is answered.
void Connection::input_time_wait(const Segment& s) {
  Counters& counters = stack_.counters();
  if (s.has(net::kTcpRst)) return void(++counters.unacceptable_rst);
  // A SYN that opens nothing: FreeBSD is silent where RFC 5961 section 4.2 would challenge.
  if (!s.has(net::kTcpAck)) return void(++counters.bad_flags);
  const bool lacks_timestamp = has_timestamps_ && !s.options.timestamps;
  if (lacks_timestamp && stack_.tunables().tolerate_missing_ts == 0)
    return void(++counters.missing_timestamp);
  if (s.has(net::kTcpFin) && s.end() == rcv_nxt_)
    idle_due_ = now() + 2 * std::chrono::milliseconds(stack_.tunables().msl_ms);
  const bool is_repeated = s.payload == 0 && s.seq == rcv_nxt_ && s.ack == snd_max_ &&
                           !s.has(net::kTcpFin) && !s.has(net::kTcpSyn);
  if (!is_repeated) answer(s);
}

// FreeBSD's rcv_wnd: the room in the buffer, or what was offered when that is more. The window
// field cannot say all of it, but it is what a RST or SYN is measured by.
uint32_t Connection::window_held() const {
  const auto limit = static_cast<uint32_t>(std::min<int64_t>(receive_limit_.count(), INT32_MAX));
  const uint32_t room = limit - static_cast<uint32_t>(std::min<size_t>(receive_.readable(), limit));
  const uint32_t offered = rcv_adv_ > last_ack_sent_ ? (rcv_adv_ - last_ack_sent_).count() : 0;
  const bool is_in_backlog = state_ == State::SynReceived && listener_ != nullptr;
  return std::max(is_in_backlog ? offered : room, offered);
}

uint32_t Connection::receive_window_at_open() const {
  return static_cast<uint32_t>(std::min<int64_t>(receive_limit_.count(), 65535));
}

void Connection::input_synchronised(const Segment& original) {
  if (state_ == State::SynReceived && original.has(net::kTcpSyn) && original.seq == irs_ &&
      !original.has(net::kTcpRst)) {
    if (!original.has(net::kTcpAck)) {  // The peer's SYN again: our answer was lost.
      if (!map_.empty() && map_.oldest() != nullptr) map_.mark_lost(map_.front());
      return stack_.mark(*this);
    }
    Segment rest = original;  // The other half of a simultaneous open.
    rest.seq += SeqLen(1);
    rest.flags.bits &= static_cast<uint16_t>(~net::kTcpSyn.bits);
    return input_synchronised(rest);
  }
  if (!check_timestamps(original)) return;
  if (original.flags.has_any(net::kTcpRst | net::kTcpSyn)) return handle_reset_or_syn(original);
  if (state_ == State::SynReceived && original.seq < rcv_nxt_)
    return answer(original);  // Not even its ACK is for us.
  if (original.seq < rcv_nxt_ || original.data_end() > rcv_adv_) [[unlikely]] {
    Segment rest = original;
    if (trim(rest)) input_in_window(original, rest);
    return;
  }
  input_in_window(original, original);
}

// `s`: what of `original` lies in the window.
void Connection::input_in_window(const Segment& original, const Segment& s) {
  if (!original.has(net::kTcpAck)) return void(++stack_.counters().bad_flags);
  if (state_ == State::SynReceived) [[unlikely]] {
    if (original.ack <= snd_una_ || original.ack > snd_max_) {  // RFC 9293 section 3.10.7.4
      ++stack_.counters().bad_ack;
      return stack_.answer_with_reset(s);
    }
    become_established();
    if (state_ == State::Closed) return;
    if (const uint32_t early = std::exchange(early_bytes_, 0); early > 0) {
      rcv_nxt_ += SeqLen(early);
      rcv_adv_ = net::later(rcv_adv_, rcv_nxt_);
      total_.received += Bytes(early);
      tell(kReadable);
      acknowledge_soon(false);
    }
    // The window of this segment counts: it is the first that is scaled.
    snd_wl1_ = original.seq - SeqLen(1);
    if (s.seq < rcv_nxt_) {  // It brings again what came early.
      Segment rest = s;
      cut_duplicate(rest);
      return input_in_window(original, rest);
    }
  }
  if (!check_ack(s)) return;
  update_ts_recent(original);
  if (has_ecn_) note_ecn(s);
  if (!process_ack(original)) return;  // It is of the segment as it was sent.
  if (s.payload > 0 && state_ != State::TimeWait) take_payload(s);
  if (s.has(net::kTcpFin) && can_receive(state_)) take_fin(s.data_end());
}

// Protection against wrapped sequence numbers (RFC 7323 section 5). False: the segment is dropped.
// A SYN is challenged whatever it says (RFC 5961 section 4.2).
inline bool Connection::check_timestamps(const Segment& s) {
  if (!has_timestamps_ || s.has(net::kTcpRst) || s.has(net::kTcpSyn)) return true;
  if (!s.options.timestamps) {
    if (stack_.tunables().tolerate_missing_ts != 0) return true;
    ++stack_.counters().missing_timestamp;
    return false;
  }
  if (!is_older(s.options.timestamps->value, ts_recent_)) return true;
  if (now() - ts_recent_at_ > kPawsIdle) return true;
  ++stack_.counters().paws_drops;
  // What is new of it was not received at all.
  answer(s, {s.seq, net::earlier(s.data_end(), rcv_nxt_)});
  return false;
}

// RFC 7323 section 4.3: only a segment that covers what was last acknowledged moves the echo, and
// (section 5.3, R2 before R3) only one that was accepted.
inline void Connection::update_ts_recent(const Segment& s) {
  if (!has_timestamps_ || !s.options.timestamps) return;
  if (s.seq > last_ack_sent_ || s.end() < last_ack_sent_) return;
  if (is_older(s.options.timestamps->value, ts_recent_) && now() - ts_recent_at_ <= kPawsIdle)
    return;
  ts_recent_ = s.options.timestamps->value;
  ts_recent_at_ = now();
}

// RFC 5961 sections 3.2 and 4.2. The segment goes no further.
void Connection::handle_reset_or_syn(const Segment& s) {
  if (s.has(net::kTcpRst)) {
    const bool is_exact = s.seq == rcv_nxt_ || s.seq == last_ack_sent_;
    const bool is_in_window = s.seq.is_in(last_ack_sent_, SeqLen(window_held()));
    if (is_exact || (is_in_window && stack_.tunables().insecure_rst != 0)) {
      ++stack_.counters().resets_in;
      finish(state_ == State::SynReceived ? End::Refused : End::Reset);
    } else if (is_in_window) {
      challenge();
    } else {
      ++stack_.counters().unacceptable_rst;
    }
    return;
  }
  const bool is_in_window = s.seq.is_in(last_ack_sent_, SeqLen(window_held()));
  if (stack_.tunables().insecure_syn != 0 && is_in_window) {
    send_reset();
    finish(End::Reset);
    return;
  }
  challenge();
}

// So many in so long for each connection (RFC 5961 section 7): a budget that all share would tell a
// stranger by what is left of it what other connections do.
bool Connection::may_challenge() {
  const Tunables& t = stack_.tunables();
  if (now() >= challenges_end_) {
    challenges_ = 0;
    challenges_end_ = now() + std::chrono::milliseconds(t.ack_war_timewindow_ms);
  }
  const bool is_limited = t.ack_war_cnt > 0 && t.ack_war_timewindow_ms > 0;
  if (!is_limited || challenges_++ < t.ack_war_cnt) return true;
  ++stack_.counters().challenge_acks_limited;
  return false;
}

// Tells who sent a segment that goes no further where we are, and what of it came twice. There is a
// limit: two ends of which each finds the other's out of place, because a stranger has sent to
// both, would answer one another as fast as the path allows (FreeBSD's "ACK war"). What carries
// data has earned its answer by as much that was new: a window that was sent again in vain is
// reported whole.
void Connection::answer(const Segment& s, const SeqRange& twice) {
  const bool is_earned = s.payload > 0 && answers_earned_ > 0;
  if (!is_earned && !may_challenge()) return;
  if (is_earned) --answers_earned_;
  if (twice.begin < twice.end) note_dsack(twice);
  ack_now_ = true;
  stack_.mark(*this);
}

void Connection::challenge() {
  if (!may_challenge()) return;
  ++stack_.counters().challenge_acks;
  challenge_due_ = true;
  stack_.mark(*this);
}

// Cuts the segment to the window. False: it is answered and dropped, its acknowledgment and all
// (RFC 9293 section 3.10.7.4, first).
bool Connection::trim(Segment& s) {
  Counters& counters = stack_.counters();
  constexpr auto kNoFin = static_cast<uint16_t>(~net::kTcpFin.bits);
  if (s.seq < rcv_nxt_) {
    // One to the left counts: two FINs that cross, or two probes of windows, would else be answered
    // for ever, neither end seeing the other's acknowledgment (RFC 9293 appendix A.2).
    const bool is_acceptable = s.end() > rcv_nxt_ || s.seq + SeqLen(1) == rcv_nxt_;
    if (!is_acceptable) {
      counters.duplicate_bytes += s.payload;
      return answer(s, {s.seq, s.data_end()}), false;
    }
    cut_duplicate(s);
  }
  // A FIN needs no room in the buffer: who has filled the window may send it, as BSD does.
  if (s.data_end() <= rcv_adv_) return true;
  const uint32_t beyond = (s.data_end() - rcv_adv_).count();
  answer(s);
  if (beyond < s.payload) {
    counters.trimmed_bytes += beyond;
    s.flags.bits &= kNoFin;
    s.payload -= beyond;
    return true;
  }
  if (s.seq != rcv_nxt_) {
    ++counters.out_of_window;
    return false;
  }
  // A probe of a closed window: its payload is not for us, its acknowledgment is.
  counters.trimmed_bytes += s.payload;
  s.payload = 0;
  s.flags.bits &= kNoFin;
  return true;
}

// Takes off what came before, and owes an answer to it. REQUIRES: s.seq < rcv_nxt_.
void Connection::cut_duplicate(Segment& s) {
  const uint32_t cut = std::min((rcv_nxt_ - s.seq).count(), s.payload);
  if (cut > 0) {
    stack_.counters().duplicate_bytes += cut;
    note_dsack({s.seq, s.seq + SeqLen(cut)});
  }
  if (s.end() <= rcv_nxt_) s.flags.bits &= static_cast<uint16_t>(~net::kTcpFin.bits);
  s.payload_at += cut;
  s.payload -= cut;
  s.seq = rcv_nxt_;
  ack_now_ = true;
  stack_.mark(*this);
}

// RFC 5961 section 5.2. False: the segment is answered and dropped.
inline bool Connection::check_ack(const Segment& s) {
  const bool is_ancient = s.ack < snd_una_ && (snd_una_ - s.ack).count() > max_snd_wnd_;
  if (s.ack <= snd_max_ && !is_ancient) return true;
  ++stack_.counters().bad_ack;
  challenge();
  return false;
}

void Connection::note_dsack(const SeqRange& range) {
  if (!has_sack_ || has_dsack_) return;
  has_dsack_ = true;
  dsack_ = range;
}

// REQUIRES: ECN was agreed on.
void Connection::note_ecn(const Segment& s) {
  if (s.has(net::kTcpCwr)) {
    echo_ce_ = false;
    if (s.payload > 0) ack_now_ = true;  // As FreeBSD: it may be all that the peer's window holds.
  }
  constexpr uint8_t kCongestionExperienced = 3;
  if (s.ecn == kCongestionExperienced) {
    ++stack_.counters().ecn_ce_in;
    if (!echo_ce_) ack_now_ = true;
    echo_ce_ = true;
  }
}

void Connection::take_payload(const Segment& s) {
  Counters& counters = stack_.counters();
  if (!can_receive(state_)) return;
  if (is_released_) {  // Nobody is left to read it (RFC 9293 section 3.10.4, CLOSE).
    ++counters.after_close;
    stack_.answer_with_reset(s);
    return finish(End::Aborted);
  }
  const bool filled_a_hole = receive_.has_islands();
  // An island pins 2 KiB at least: all of them no more than twice the buffer.
  const auto islands = static_cast<size_t>(
      std::min(stack_.tunables().reass_maxqueuelen, receive_limit_.count() / 1024 + 1));
  const auto got = receive_.insert(rcv_nxt_, s.seq, *s.packet, s.payload_at, s.payload, islands);
  counters.duplicate_bytes += got.duplicate;
  if (got.is_refused) ++counters.reassembly_full;
  if (got.duplicate == s.payload) return answer(s, got.repeated);
  answers_earned_ =
      std::min(answers_earned_ + 1 + s.payload / 1024, static_cast<uint32_t>(islands));
  if (got.repeated.begin < got.repeated.end) note_dsack(got.repeated);
  stack_.mark(*this);
  if (got.advance == 0) {
    ++counters.out_of_order;
    ++total_.out_of_order;
    ack_now_ = true;  // RFC 5681 section 4.2
    return;
  }
  rcv_nxt_ += SeqLen(got.advance);
  rcv_adv_ = net::later(rcv_adv_, rcv_nxt_);
  total_.received += Bytes(got.advance);
  tell(kReadable);
  if (receive_auto_) grow_receive_buffer(s, got.advance);
  acknowledge_soon(filled_a_hole || s.payload > mss_ + option_bytes());
  // Of a peer that sent more behind its FIN the FIN comes last, as FreeBSD's tcp_reass() has it.
  if (has_fin_at_ && rcv_nxt_ >= fin_at_) process_fin();
}

// Every second segment at once, a single one after delacktime (RFC 1122 section 4.2.3.2).
inline void Connection::acknowledge_soon(bool at_once) {
  const Tunables& t = stack_.tunables();
  if (at_once || ack_delayed_ || ++unacked_segments_ >= 2 || t.delayed_ack == 0 || !delayed_ack_) {
    ack_now_ = true;
    return;
  }
  ack_delayed_ = true;
  delack_due_ = now() + std::chrono::milliseconds(t.delacktime_ms);
}

// Twice what came in a round trip, and more while that still grows. The echo of our own timestamps
// measures it; without them the handshake has, or what we sent since.
void Connection::grow_receive_buffer(const Segment& s, uint32_t bytes) {
  tune_bytes_ += bytes;
  const int64_t most = stack_.tunables().recvbuf_max;
  const auto& echoed = s.options.timestamps;
  if (echoed && is_older(echoed->echo, tune_timestamp_)) return;  // Nearly always.
  const uint32_t now = timestamp_now();
  if (echoed) {
    if (is_older(now, echoed->echo)) return;
    total_.receive_rtt = std::chrono::milliseconds(now - echoed->echo);
    tune_timestamp_ = now + 1;
  } else {
    if (!rtt_.has_sample() || is_older(now, tune_timestamp_)) return;
    tune_timestamp_ = now + static_cast<uint32_t>(rtt_.srtt() / 1ms) + 1;
  }
  int64_t wanted = 2 * int64_t{tune_bytes_} + 16 * int64_t{mss_};
  if (tune_bytes_ > tune_previous_) wanted += 2 * int64_t{tune_bytes_ - tune_previous_};
  if (receive_limit_.count() < most) {
    receive_limit_ = std::max(receive_limit_, Bytes(std::min(wanted, most)));
  }
  tune_previous_ = tune_bytes_;
  tune_bytes_ = 0;
}

void Connection::take_fin(SeqNum at) {
  if (at == rcv_nxt_) return process_fin();
  if (at < rcv_nxt_ || has_fin_at_) return;
  has_fin_at_ = true;
  fin_at_ = at;
  ack_now_ = true;
  stack_.mark(*this);
}

void Connection::process_fin() {
  if (fin_received_) return;
  fin_received_ = true;
  has_fin_at_ = false;
  rcv_nxt_ += SeqLen(1);
  rcv_adv_ = net::later(rcv_adv_, rcv_nxt_);
  receive_.clear_islands();
  ack_now_ = true;
  tell(kReadable | kPeerClosed);
  stack_.mark(*this);
  switch (state_) {
    case State::Established: enter(State::CloseWait); return;
    case State::FinWait1: enter(State::Closing); return;
    case State::FinWait2: return enter_time_wait();
    default: return;
  }
}

}  // namespace wh::tcp
