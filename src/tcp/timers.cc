// A connection's timers. Deadlines are members; the wheel holds one entry for the earliest but the
// idle timer, which the stack keeps (idle_timers.h).
//
// The entry is lazy: an entry for an earlier time than needed is left where it is, and when it
// fires too early it is simply placed again. So acknowledgments, which move the retransmission
// deadline on, cost no wheel operation.
#include <algorithm>

#include "tcp/socket_option.h"
#include "tcp/stack.h"

namespace wh::tcp {
namespace {

constexpr unsigned kMostBackoffs = 12;  // FreeBSD's TCP_MAXRXTSHIFT.
constexpr unsigned kTimeoutsToForgetRtt = 3;
constexpr unsigned kTimeoutsToDropOptions = 3;  // FreeBSD's rexmit_drop_options.
constexpr Duration kMostSynTimeout = 64s;       // FreeBSD's TCPTV_REXMTMAX.
constexpr Duration kMostClosedPersist = 60s;    // FreeBSD's TCPTV_PERSMAX.
// A repair without SACK shows a hole in a round trip, and after a timeout slow start needs several
// to come back: a few holes of a long path are repaired before it. RFC 6582 section 4 weighs a few
// repairs against a timeout that is a second at least (RFC 6298).
constexpr int kSlowRepair = 4;  // Round trips of the empty path.

Duration ms(int64_t n) {
  return std::chrono::milliseconds(n);
}

}  // namespace

RtoProfile Connection::rto_profile() const {
  const Tunables& t = stack_.tunables();
  if (t.rfc6298 != 0 || is_handshaking()) {  // SYNs back off to a minute.
    RtoProfile rfc = RtoProfile::rfc();
    if (syn_was_lost_ && !is_handshaking()) rfc.initial = 3s;  // RFC 6298 section 5.7
    return rfc;
  }
  return {.initial = 1s,
          .min = ms(t.timers_minrto_ms),
          .max = ms(t.timers_maxrto_ms),
          .slop = own_.time_or(TCP_RACK_TIMER_SLOP, 1us, ms(t.timers_slop_ms)),
          .variance_gain_shift = 3};
}

Duration Connection::keep_idle() const {
  return keep_idle_ > Duration::zero() ? keep_idle_ : ms(stack_.tunables().keepidle_ms);
}
Duration Connection::keep_interval() const {
  return keep_interval_ > Duration::zero() ? keep_interval_ : ms(stack_.tunables().keepintvl_ms);
}

Duration Connection::rto() const {
  if (is_handshaking() && stack_.tunables().rfc6298 == 0) {
    // FreeBSD's: the first wait is bare, later ones are doubled and have the slop.
    const Tunables& t = stack_.tunables();
    const int64_t factor = int64_t{1} << std::min<unsigned>(timeouts_in_row_, 9);
    const Duration slop = timeouts_in_row_ == 0 ? Duration::zero() : ms(t.timers_slop_ms);
    return std::min<Duration>(ms(t.rexmit_initial_ms) * factor + slop, kMostSynTimeout);
  }
  return rtt_.rto(rto_profile(), backoffs_);
}

Duration Connection::least_timeout() const {
  return own_.time_or(TCP_RACK_MIN_TO, 1ms, ms(stack_.tunables().timers_minto_ms));
}

Duration Connection::persist_interval() const {
  const Tunables& t = stack_.tunables();
  const int64_t factor = int64_t{1} << std::min<unsigned>(persist_probes_, 9);
  const Duration slop = own_.time_or(TCP_RACK_TIMER_SLOP, 1us, ms(t.timers_slop_ms));
  const Duration value = (rtt_.srtt() + 4 * rtt_.variance()) * factor + slop;
  return std::max(std::min(value, ms(t.timers_persmax_ms)), ms(t.timers_persmin_ms));
}

std::string_view Connection::timer_name(TimerKind kind) {
  switch (kind) {
    case TimerKind::None: return "";
    case TimerKind::Retransmit: return "rto";
    case TimerKind::TailLossProbe: return "tlp";
    case TimerKind::Reorder: return "rack";
    case TimerKind::Persist: return "persist";
    case TimerKind::Memory: return "memory";
  }
  UNREACHABLE();
}

// When RFC 9293 section 3.10.8 gives up; kNever when there is no user timeout.
Instant Connection::user_timeout_due() const {
  const bool is_set = user_timeout_ > Duration::zero() && first_unanswered_ != kNever;
  return is_set ? first_unanswered_ + user_timeout_ : kNever;
}

Instant Connection::next_timer() const {
  return std::min(recovery_due_, delack_due_);
}

void Connection::stop_timers() {
  recovery_timer_ = TimerKind::None;
  recovery_due_ = delack_due_ = idle_due_ = rack_due_ = wheel_due_ = kNever;
  pacer_.forgive();
  pacing::Hpts::remove(*this);
  stack_.idle_timers_.forget(*this);
}

void Connection::hpts_output(Duration) {
  TcpStack::Batch batch(stack_);
  // The loop's time stands still while an action runs, and the wheel's does not: by the loop's the
  // delay that has ended might not have.
  stack_.called_at_ = stack_.wheel().served_at();
  take_hpts_calls();
  wheel_due_ = kNever;
  run_timers(now());
  if (state_ != State::Closed) stack_.mark(*this);
}

void Connection::idle_output() {
  TcpStack::Batch batch(stack_);
  run_timers(now());
  if (state_ != State::Closed) stack_.mark(*this);
}

void Connection::run_timers(Instant now) {
  if (delack_due_ <= now) {
    delack_due_ = kNever;
    ack_now_ = true;
    if (box_ != nullptr) box_->fired(*this, "delack");
    ++stack_.counters().delayed_acks;
  }
  if (recovery_due_ <= now) {
    recovery_due_ = kNever;
    const TimerKind kind = std::exchange(recovery_timer_, TimerKind::None);
    if (box_ != nullptr) box_->fired(*this, timer_name(kind));
    on_recovery_timer(kind);
  }
  if (state_ != State::Closed && idle_due_ <= now) {
    idle_due_ = kNever;
    if (box_ != nullptr) box_->fired(*this, "idle");
    on_idle_timer();
  }
}

void Connection::on_recovery_timer(TimerKind kind) {
  clear_fast_send();
  switch (kind) {
    case TimerKind::None:
    case TimerKind::Memory: return;
    case TimerKind::Retransmit: return on_timeout();
    case TimerKind::TailLossProbe: probe_due_ = true; return;
    case TimerKind::Reorder: return look_for_losses(now());
    case TimerKind::Persist: {
      // What an application still holds may wait for a silent peer much longer.
      const Duration silence = now() - last_heard_;
      const bool is_hopeless = persist_probes_ >= kMostBackoffs && silence >= keep_idle();
      if (persist_probes_ < kMostBackoffs) ++persist_probes_;
      if (is_hopeless || is_user_timeout() || (is_released_ && silence >= kMostClosedPersist)) {
        ++stack_.counters().dropped_by_timeout;
        send_reset();
        return finish(soft_error_ == End::None ? End::TimedOut : soft_error_);
      }
      // A window smaller than a segment is used after all (RFC 9293 section 3.8.6.2.1).
      (sendable_now() > 0 ? send_small_ : window_probe_due_) = true;
      return;
    }
  }
}

bool Connection::is_user_timeout() const {
  return now() >= user_timeout_due();
}

void Connection::on_timeout() {
  Counters& counters = stack_.counters();
  ++counters.timeouts;
  ++total_.timeouts;
  const bool is_first = timeouts_in_row_ == 0;
  // What was sent into a window that then closed is a probe of it: the connection lives as long as
  // it is answered (RFC 9293 section 3.8.6: SHLD-17, and a zero window's probes).
  const bool is_probe = !is_handshaking() && snd_wnd_ == 0;
  const bool is_silent = !is_probe || now() - last_heard_ >= keep_idle();
  const bool is_answering = state_ == State::SynReceived && listener_ != nullptr;
  const int64_t most =
      is_answering ? stack_.tunables().syncache_rexmtlimit : stack_.tunables().retries;
  if (timeouts_in_row_ <= most) ++timeouts_in_row_;
  if ((timeouts_in_row_ > most && is_silent) || is_user_timeout()) {
    ++counters.dropped_by_timeout;
    if (is_synchronised(state_)) send_reset();
    return finish(soft_error_ == End::None ? End::TimedOut : soft_error_);
  }
  if (backoffs_ < kMostBackoffs) ++backoffs_;
  if (state_ == State::SynSent) {
    const Tunables& t = stack_.tunables();
    if (timeouts_in_row_ > t.ecn_maxretries) has_ecn_ = false;
    if (t.rexmit_drop_options != 0 && timeouts_in_row_ >= kTimeoutsToDropOptions)
      no_options_ = true;
  }
  suspect_blackhole();
  if (!is_handshaking()) {
    // Amid a repair it is the repair's first segment whose echo tells (RFC 3522 section 3.2).
    if (is_first && recovery_ != Recovery::Recovery) remember_for_undo();
    const LossEvent event{now(), Bytes(pipe()), Bytes(snd_wnd_)};
    control_->on_timeout(window_, event, is_first && recovery_ != Recovery::Loss);
    note_reduction();
    recovery_ = Recovery::Loss;
    recover_ = snd_max_;
  }
  if (timeouts_in_row_ > kTimeoutsToForgetRtt) rtt_.forget();
  if (has_rate_policy() && timeouts_in_row_ > 1) dgp_->on_second_timeout();
  map_.time_out();
  seen_sack_count_ = 0;  // Their marks are withdrawn: what is reported again counts again.
  if (box_ != nullptr) box_->lost(*this, map_.lost(), BlackBox::LossBy::Timeout);
  reno_sacked_ = dupacks_ = 0;
  rack_due_ = kNever;
  tlp_outstanding_ = probe_due_ = false;
  if (!pacer_.must_wait(now())) pacer_.forgive();
}

// Timeouts that no ICMP error explains: perhaps full segments do not pass and nobody says so (RFC
// 2923 section 2.1). As FreeBSD: each size has two timeouts to show whether it passes, and when
// none does it was not the size.
void Connection::suspect_blackhole() {
  const Tunables& t = stack_.tunables();
  const bool is_v4 = local_.address.is_v4();
  const int64_t detection = t.pmtud_blackhole_detection;
  const bool is_wanted = detection == 1 || detection == (is_v4 ? 2 : 3);
  if (!is_wanted || (state_ != State::Established && state_ != State::FinWait1)) return;
  constexpr unsigned kTries = 2, kGivesUp = 6;
  if (timeouts_in_row_ >= kGivesUp) {
    blackhole_segment_ = UINT32_MAX;
  } else {
    const bool is_full = !map_.empty() && map_.front().length() >= mss_;
    if (timeouts_in_row_ % kTries != 0 || !is_full) return;
    const int64_t first = is_v4 ? t.pmtud_blackhole_mss : t.v6pmtud_blackhole_mss;
    const int64_t last = is_v4 ? t.mssdflt : t.v6mssdflt;
    blackhole_segment_ = static_cast<uint32_t>(max_segment() > first ? first : last);
    ++stack_.counters().blackholes_suspected;
  }
  update_mss();
  window_.cwnd = std::max(window_.cwnd, window_.mss);
}

// How long FIN-WAIT-2 lasts when nobody holds the connection any more.
Duration Connection::finwait2_time() const {
  const Tunables& t = stack_.tunables();
  if (t.fast_finwait2_recycle != 0) return ms(t.finwait2_timeout_ms);
  return keep_interval() * (keep_count_ > 0 ? keep_count_ : t.keepcnt);
}

void Connection::restart_idle_timer() {
  keepalive_probes_ = 0;
  switch (state_) {
    case State::Established:
    case State::CloseWait: idle_due_ = keepalive_ ? now() + keep_idle() : kNever; return;
    case State::FinWait2: idle_due_ = is_released_ ? now() + finwait2_time() : kNever; return;
    default: idle_due_ = kNever; return;
  }
}

void Connection::on_idle_timer() {
  const Tunables& t = stack_.tunables();
  switch (state_) {
    case State::SynSent:
    case State::SynReceived:
      ++stack_.counters().dropped_by_timeout;
      return finish(soft_error_ == End::None ? End::TimedOut : soft_error_);
    case State::TimeWait:
    case State::FinWait2: return finish(End::Normal);
    case State::Established:
    case State::CloseWait: break;
    default: return;
  }
  const Duration idle = now() - last_heard_;
  if (keepalive_probes_ == 0 && idle < keep_idle()) {
    idle_due_ = last_heard_ + keep_idle();
    return;
  }
  if (!map_.empty()) {  // The retransmission timer looks after it (RFC 1122 section 4.2.3.6).
    idle_due_ = now() + keep_idle();
    return;
  }
  if (keepalive_probes_ >= (keep_count_ > 0 ? keep_count_ : t.keepcnt)) {
    ++stack_.counters().dropped_by_keepalive;
    send_reset();
    return finish(soft_error_ == End::None ? End::TimedOut : soft_error_);
  }
  ++keepalive_probes_;
  keepalive_due_ = true;
  idle_due_ = now() + keep_interval();
}

// Output was considered, nothing is outstanding, and yet something is left that nothing but a lack
// of packets held back: no acknowledgment will bring its turn. What waits for a cork or a pacing
// delay needs no timer. REQUIRES: there is something to send, and the window is open.
bool Connection::lacked_packet(Instant now) const {
  if (is_handshaking()) return true;
  if (pacer_.must_wait(now)) return false;
  return !cork_ || shut_down_ || unsent() >= mss_;
}

inline void Connection::choose_recovery_timer(Instant now) {
  const auto set = [&](TimerKind kind, Instant due) {
    recovery_timer_ = kind;
    recovery_due_ = due;
  };
  if (map_.empty()) {
    const bool is_window_shut =
        unsent() > 0 && !is_handshaking() && sendable_now() < std::min<size_t>(unsent(), mss_);
    if (!is_window_shut) {
      persist_probes_ = 0;
      if ((has_payload_to_send() || is_handshaking()) && lacked_packet(now))
        return set(TimerKind::Memory, now + Rack::kLeastTimeout);
      return set(TimerKind::None, kNever);
    }
    if (recovery_timer_ != TimerKind::Persist) {
      if (has_rate_policy()) dgp_->on_persist(dgp_situation());
      if (persist_probes_ == 0) first_unanswered_ = now;
      set(TimerKind::Persist, std::min(now + persist_interval(), user_timeout_due()));
    }
    return;
  }
  persist_probes_ = 0;
  SendEntry* oldest = map_.oldest();
  if (oldest == nullptr) {
    // All that is not SACKed is lost and could not be sent again just now: no packet, no entry, no
    // turn.
    if (map_.lost() > 0) return set(TimerKind::Memory, now + Rack::kLeastTimeout);
    return set(TimerKind::Retransmit, now + rto());
  }
  // From when it was sent or, as long as repairs go out, from the last of them: what is marked lost
  // waits for its turn behind them (RFC 6298 section 5.1; FreeBSD's rc_tlp_rxt_last_time).
  Instant from = std::max(oldest->last_sent(), resent_at_);
  // Section 5.3; FreeBSD's RACK does not wait so long.
  if (stack_.tunables().rfc6298 != 0) from = std::max(from, first_unanswered_);
  const bool is_slow = !has_sack_ && recovery_ == Recovery::Recovery;
  const Duration rto = is_slow ? std::max(this->rto(), kSlowRepair * rtt_.min()) : this->rto();
  const Instant rto_due = std::min(std::max(from + rto, now + least_timeout()), user_timeout_due());
  if (is_handshaking()) return set(TimerKind::Retransmit, rto_due);
  // It goes first also where it is the later one: what it finds lost needs no timeout (RFC 8985
  // section 8). It is never later than two round trips.
  if (rack_due_ < user_timeout_due()) return set(TimerKind::Reorder, rack_due_);
  const bool may_probe = has_sack_ && recovery_ == Recovery::Open && timeouts_in_row_ == 0 &&
                         probes_in_row_ < stack_.tunables().tlp_limit;
  if (may_probe) {
    SendEntry* newest = map_.newest();
    if (newest->has(SendEntry::kFin)) return set(TimerKind::Retransmit, rto_due);  // As FreeBSD.
    SendEntry* previous = map_.previous_in_time(*newest);
    const Tunables& t = stack_.tunables();
    Rack::Tail tail;
    tail.divisor = static_cast<unsigned>(own_.get_or(TCP_RACK_TLP_THRESH, t.rtt_tlp_thresh));
    tail.least = std::chrono::microseconds(t.tlp_minto_us);
    tail.is_alone = map_.outstanding() <= mss_;
    if (previous != nullptr && newest->length() <= mss_) {
      tail.gap = newest->last_sent() - previous->last_sent();
    }
    // Likewise (RFC 8985 section 7.2, FreeBSD): what is answered to a probe needs no timeout. It is
    // never later than one after the newest segment.
    const Instant due =
        std::max(newest->last_sent() + rack_.tlp_timeout(rtt_, rto, tail), now + least_timeout());
    if (due < user_timeout_due()) return set(TimerKind::TailLossProbe, due);
  }
  set(TimerKind::Retransmit, rto_due);
}

void Connection::arm_timers(Instant now) {
  if (state_ == State::Closed) return;
  choose_recovery_timer(now);
  if (box_ != nullptr) box_->timers(*this);
  if (idle_due_ < idle_entry_due_) stack_.idle_timers_.arm(*this, idle_due_);
  // While a pacing delay runs nothing else may send, so nothing else needs the wheel.
  const Instant due = pacer_.must_wait(now) ? pacer_.due() : next_timer();
  if (due == kNever || (in_hpts() && wheel_due_ <= due)) return;
  pacing::Hpts::remove(*this);
  wheel_due_ = due;
  stack_.wheel().insert(*this, due - stack_.loop_.clock());
}

}  // namespace wh::tcp
