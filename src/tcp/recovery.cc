// Losses and what is done about them: RACK and duplicate acknowledgments find them, PRR paces the
// repair, the congestion control sets the target, and what turns out to have been no loss is
// undone.
#include <algorithm>

#include "tcp/socket_option.h"
#include "tcp/stack.h"

namespace wh::tcp {

Rack::Situation Connection::rack_situation() const {
  const Tunables& t = stack_.tunables();
  Rack::Situation s;
  s.rule = static_cast<Rack::Rule>(t.loss_rule);
  constexpr int64_t kStandard = 1, kDsack = 2;  // FreeBSD's rack_dsack_ctl.
  const int64_t control = own_.get_or(TCP_RACK_DSACK_OPT, t.rack_dsack_ctl);
  if (s.rule == Rack::Rule::FreeBsd && (control & kStandard) == 0) s.rule = Rack::Rule::PacketDelay;
  s.uses_dsack = (control & kDsack) != 0;
  s.least_timeout = least_timeout();
  s.packet_delay = own_.time_or(TCP_RACK_PKT_DELAY, 1ms, std::chrono::microseconds(t.pktdelay_us));
  s.reorder_fade =
      own_.time_or(TCP_RACK_REORD_FADE, 1ms, std::chrono::microseconds(t.reorder_fade_us));
  s.reorder_shift = static_cast<unsigned>(own_.get_or(TCP_RACK_REORD_THRESH, t.reorder_thresh));
  if (!has_sack_ && s.rule == Rack::Rule::Rfc8985) s.rule = Rack::Rule::FreeBsd;  // Its section 3.1
  s.in_recovery = recovery_ != Recovery::Open;
  s.sacked = Bytes(map_.sacked());
  s.mss = window_.mss;
  s.rto_max = rto_profile().max;
  return s;
}

void Connection::detect_losses(const AckWork& work) {
  const uint32_t lost_before = map_.lost();
  if (!has_sack_) mark_lost_without_sack(work);
  Rack::Detection found;
  if (rack_.has_suspect(map_)) {
    const Rack::Situation situation = rack_situation();
    found = rack_.detect(map_, rtt_, now(), situation);
    // FreeBSD's wait is long, and then it holds no repair back: what came meanwhile is answered.
    const bool waits = found.newly_lost == 0 && situation.rule != Rack::Rule::Rfc8985;
    unanswered_ = (rack_due_ == kNever ? 0 : unanswered_) + (waits ? work.delivered : 0);
  }
  rack_due_ = found.look_again;
  const bool found_loss = found.newly_lost > 0 || map_.lost() > lost_before;
  if (found_loss) {
    tell_loss();
    if (box_ != nullptr) {
      const bool by_rack = found.newly_lost > 0;
      box_->lost(*this, map_.lost() - lost_before,
                 by_rack ? BlackBox::LossBy::Rack : BlackBox::LossBy::Dupacks);
    }
    clear_fast_send();
    if (recovery_ == Recovery::Open) enter_recovery(work.flight_before);
  }
  if (recovery_ == Recovery::Open) {
    if (work.has_dsack && may_undo()) undo_if_all_duplicate();
    return;
  }
  if (recovery_ == Recovery::Recovery) undo_if_all_duplicate();
  if (recovery_ != Recovery::Open && snd_una_ >= recover_ && snd_una_ != iss_)
    return leave_recovery();
  if (recovery_ == Recovery::Recovery) run_recovery(work, found_loss);
}

// The reordering timer: the same without an acknowledgment.
void Connection::look_for_losses(Instant now) {
  const uint32_t flight = pipe();
  const SendMap::LossMark losses = map_.loss_mark();
  const Rack::Detection found = rack_.detect(map_, rtt_, now, rack_situation());
  rack_due_ = found.look_again;
  if (found.newly_lost == 0) return;
  tell_loss();
  if (box_ != nullptr) box_->lost(*this, found.newly_lost, BlackBox::LossBy::Rack);
  if (recovery_ == Recovery::Open) enter_recovery(flight);
  if (recovery_ == Recovery::Recovery) run_recovery(AckWork{}, true);
  if (has_model()) tell_delivery(now, AckWork{}, losses);
}

void Connection::mark_lost_without_sack(const AckWork& work) {
  if (map_.empty()) return;
  // NewReno (RFC 6582 section 3.2): three duplicates begin recovery; a partial acknowledgment in it
  // shows the next hole.
  const bool is_third = recovery_ == Recovery::Open && dupacks_ >= Rack::kDupThresh;
  const bool is_partial =
      recovery_ == Recovery::Recovery && work.newly_acked > 0 && snd_una_ < recover_;
  if (!is_third && !is_partial) return;
  SendEntry& first = map_.front();
  if (first.has(SendEntry::kLost)) return;
  if (first.length() > mss_) {
    SendEntry* rest = map_.split(0, first.start + SeqLen(mss_));
    if (rest == nullptr) return;
    rest->dupacks = 0;  // They spoke of the first segment.
  }
  map_.mark_lost(map_.front());
}

void Connection::remember_for_undo() {
  undo_cwnd_ = window_.cwnd;
  undo_ssthresh_ = window_.ssthresh;
  undo_possible_ = true;
  undo_until_ = {};
  undo_timestamp_ = timestamp_now();
  undo_retransmitted_ = undo_dsacked_ = 0;
}

void Connection::enter_recovery(uint32_t flight_before) {
  ++stack_.counters().recoveries;
  ++total_.recoveries;
  recovery_ = Recovery::Recovery;
  recover_ = snd_max_;
  remember_for_undo();
  prr_.start(Bytes(std::max(flight_before, mss_)), Bytes(std::exchange(unanswered_, 0)));
  // Marks and losses of one window of data cut it once (RFC 3168 section 6.1.2), as FreeBSD does by
  // default when the marks came first.
  const SendEntry* lost = map_.first_lost();
  if (has_model() || !has_reduced_ || lost == nullptr || lost->start >= reduced_at_) {
    control_->on_loss(window_, {now(), Bytes(flight_before), Bytes(snd_wnd_)});
    note_reduction();
  }
  if (box_ != nullptr) box_->recovery(*this, "begin");
}

// FreeBSD's RACK leaves it out only where a pace spreads what the window lets go at once.
bool Connection::is_prr_off() const {
  const Tunables& t = stack_.tunables();
  return t.do_prr == 0 || (pacer_.is_on() && own_.get_or(TCP_NO_PRR, t.no_prr) != 0);
}

void Connection::run_recovery(const AckWork& work, bool found_loss) {
  if (has_model()) return;  // It keeps to its own window, also now.
  // A repair that leaves whatever is in the network: without SACK each (RFC 6582 section 3.2, steps
  // 2 and 3), with it the first (RFC 6675 section 5, step 4.3), to which PRR sees itself.
  const Bytes repair = Bytes(pipe()) + window_.mss;
  const Bytes least = !has_sack_ && map_.lost() > 0 ? repair : window_.mss;
  if (is_prr_off()) {
    window_.cwnd = std::max(window_.ssthresh, undo_retransmitted_ == 0 ? repair : least);
    return;
  }
  // RFC 9937 section 6.2: who delivers nothing takes nothing away either.
  if (work.delivered == 0 && !found_loss) return;
  Prr::Delivery d;
  d.delivered = Bytes(work.delivered);
  d.pipe = Bytes(pipe());
  d.ssthresh = window_.ssthresh;
  d.mss = window_.mss;
  d.is_safe = work.newly_acked > 0 && !found_loss;
  const auto variant = stack_.tunables().prr == 0 ? Prr::Variant::FreeBsd : Prr::Variant::Rfc9937;
  window_.cwnd = std::max(d.pipe + prr_.on_delivery(d, variant), least);
}

void Connection::leave_recovery() {
  if (recovery_ == Recovery::Recovery) {
    control_->on_recovery_end(window_, now());
    rack_.on_recovery_end();
    // The last duplicates are reported after what was late has ended the episode.
    if (undo_possible_) undo_until_ = now() + rto();
  }
  recovery_ = Recovery::Open;
  undo_possible_ = false;
  reno_sacked_ = 0;
  if (box_ != nullptr) box_->recovery(*this, "end");
}

void Connection::undo_reduction() {
  window_.cwnd = std::max(window_.cwnd, undo_cwnd_);
  window_.ssthresh = undo_ssthresh_;
  undo_possible_ = has_reduced_ = false;
  undo_until_ = {};
  recovery_ = Recovery::Open;
  map_.unmark_all_lost();
  rack_.on_undo(now());
  control_->on_spurious(window_);
  if (box_ != nullptr) box_->recovery(*this, "undo");
}

bool Connection::may_undo() const {
  return undo_possible_ || now() < undo_until_;
}

// All that was sent again in this episode has been reported as a duplicate, and nothing else is to
// be: nothing was lost (RFC 3708).
void Connection::undo_if_all_duplicate() {
  if (!may_undo() || undo_retransmitted_ == 0 || undo_dsacked_ < undo_retransmitted_) return;
  if (map_.lost() > 0) return;
  ++stack_.counters().false_recoveries;
  undo_reduction();
}

// Eifel (RFC 3522): what acknowledges the first retransmission echoes a clock from before it, so
// the first copy came. REQUIRES: undo_possible_.
void Connection::detect_spurious(const Segment& s, const AckWork& work) {
  if (recovery_ == Recovery::Open || work.newly_acked == 0) return;
  const bool is_timeout = recovery_ == Recovery::Loss;
  const SeqNum una_before = s.ack - SeqLen(work.newly_acked), first = undo_range_.begin;
  const bool is_of_it = is_timeout
                            ? work.acked_retransmitted
                            : undo_retransmitted_ > 0 && una_before <= first && first < s.ack;
  const bool is_stamped = has_timestamps_ && s.options.timestamps;
  if (is_of_it && is_stamped &&
      static_cast<int32_t>(s.options.timestamps->echo - undo_timestamp_) < 0) {
    if (!is_timeout) rack_.note_reordering(s.arrival);
    ++(is_timeout ? stack_.counters().spurious_timeouts : stack_.counters().false_recoveries);
    return undo_reduction();
  }
  if (is_timeout) undo_possible_ = false;
}

// RFC 8985 section 7.4.
void Connection::settle_tlp(const Segment& s, const AckWork& work) {
  if (s.ack < tlp_end_) return;
  const bool is_bare_dupack = s.ack == tlp_end_ && work.is_dupack && s.options.sack_count == 0;
  if (!tlp_is_retransmission_ || work.has_dsack || is_bare_dupack) {
    tlp_outstanding_ = false;  // The probe was new data, or both copies arrived.
    return;
  }
  if (s.ack == tlp_end_) return;  // A duplicate may yet come.
  tlp_outstanding_ = false;
  ++stack_.counters().tlp_losses;
  if (recovery_ != Recovery::Open) return;
  undo_until_ = {};
  const Bytes cwnd = window_.cwnd;
  control_->on_loss(window_, {now(), Bytes(pipe()), Bytes(snd_wnd_)});
  control_->on_recovery_end(window_, now());
  if (box_ != nullptr) box_->cut(*this, cwnd, "tlp");
  note_reduction();
}

// For whatever reason the window was cut, the next new data says so, and marks of the same window
// of data cut it no further (RFC 3168 section 6.1.2).
void Connection::note_reduction() {
  if (!has_ecn_) return;
  send_cwr_ = has_reduced_ = true;
  reduced_at_ = snd_max_;
}

// REQUIRES: ECN was agreed on, and the segment echoes a mark.
void Connection::react_to_ecn(const Segment& s) {
  if (s.has(net::kTcpSyn)) return;
  ++stack_.counters().ecn_echoes_in;
  // Once a window of data, and not on top of a loss (RFC 3168 section 6.1.2).
  if (has_reduced_ || recovery_ != Recovery::Open) return;
  note_reduction();
  undo_until_ = {};
  ++stack_.counters().ecn_reductions;
  const Bytes cwnd = window_.cwnd;
  control_->on_ecn(window_, {now(), Bytes(pipe()), Bytes(snd_wnd_)});
  if (box_ != nullptr) box_->cut(*this, cwnd, "ecn");
  clear_fast_send();
}

}  // namespace wh::tcp
