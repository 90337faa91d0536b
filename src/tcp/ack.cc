// What an acknowledgment does: retires what it covers, notes what it SACKs, takes round-trip
// samples, and hands what it learned to recovery.cc.
#include <algorithm>

#include "tcp/stack.h"

namespace wh::tcp {
namespace {

constexpr Duration kNone = Duration::zero();

// The one copy of `e` that left in this millisecond of the clock, by whose low bits timestamps
// count; none when several did, or none that is remembered.
std::optional<Instant> copy_sent_in(const SendEntry& e, uint32_t millisecond) {
  std::optional<Instant> found;
  for (unsigned i = 0; i < std::min<unsigned>(e.transmissions, SendEntry::kTimes); ++i) {
    if (static_cast<uint32_t>(e.sent[i].time_since_epoch() / 1ms) != millisecond) continue;
    if (found) return std::nullopt;
    found = e.sent[i];
  }
  return found;
}

}  // namespace

bool Connection::process_ack(const Segment& s) {
  AckWork work;
  work.flight_before = pipe();
  const SendMap::LossMark losses = map_.loss_mark();
  const SeqNum una_before = snd_una_;
  rack_.begin_ack();
  if (has_sack_ && s.options.sack_count > 0) process_sacks(s, work);
  if (s.ack > snd_una_) {
    advance_una(s, work);
  } else if (s.ack == snd_una_) {
    work.is_dupack = note_dupack(s, work);
  }
  update_send_window(s);
  if (work.rtt > kNone) take_rtt(work.rtt);
  if (snd_una_ > una_before && snd_una_ >= round_end_) {
    work.is_round_start = true;
    round_end_ = snd_max_;
  }
  if (box_ != nullptr) {
    box_->acknowledged(
        *this, {work.newly_acked, work.delivered, work.rtt, work.is_dupack, work.has_dsack});
  }
  if (tlp_outstanding_) settle_tlp(s, work);
  if (undo_possible_) detect_spurious(s, work);
  detect_losses(work);
  if (has_ecn_ && s.has(net::kTcpEce)) {
    react_to_ecn(s);
    total_.delivered_marked += Bytes(work.delivered);
  }
  if (work.newest_sent_at > Instant{} && delivered_total_ > 1) {  // Not of the SYN.
    rate_bytes_ = Bytes(static_cast<int64_t>(delivered_total_ - work.delivered_before));
    rate_time_ = s.arrival - work.newest_sent_at;
  }
  if (has_model()) tell_delivery(s.arrival, work, losses);
  if (work.newly_acked > 0) {
    if (has_rate_policy()) tell_acked(s, work);
    grow_window(s, work);
    after_our_fin_acked();
  }
  if (writer_waits_) make_room();
  if (state_ != State::Closed && state_ != State::TimeWait) stack_.mark(*this);
  return state_ != State::Closed;
}

void Connection::advance_una(const Segment& s, AckWork& work) {
  work.newly_acked = (s.ack - snd_una_).count();
  bool filled_a_hole = false;
  uint32_t control = 0;  // SYN and FIN take sequence numbers but no bytes.
  map_.acknowledge(s.ack, [&](const SendEntry& e, uint32_t bytes) {
    if (!e.has(SendEntry::kSacked)) {
      note_delivered(e, e.start + SeqLen(bytes), bytes, s, work);
      filled_a_hole = filled_a_hole || e.is_retransmitted();
    }
    if (e.is_retransmitted()) work.acked_retransmitted = true;
    work.acked_sent_at = e.sent[0];
    if (e.has(SendEntry::kSyn)) ++control;
    if (e.has(SendEntry::kFin) && bytes == e.length()) {
      ++control;
      fin_acked_ = true;
    }
  });
  // What lay behind a hole came before the hole was filled, nobody knows when (Karn; RFC 6298
  // section 3).
  if (!filled_a_hole) keep_once_sent(work);
  snd_una_ = s.ack;
  has_reduced_ = has_reduced_ && snd_una_ <= reduced_at_;
  const uint32_t data = work.newly_acked - control;
  send_.drop_front(data);
  if (send_.size() == 0) unsent_at_ = send_.front();
  total_.acknowledged += Bytes(data);
  // The peer acknowledges up to what it had SACKed and no further: it has thrown that away (RFC
  // 2018 section 8).
  if (!map_.empty() && map_.front().has(SendEntry::kSacked)) {
    ++stack_.counters().reneges;
    map_.renege();
    seen_sack_count_ = 0;  // What it reports from now on is news.
  }
  if (!has_sack_) discount_dupacks(work);
  dupacks_ = 0;
  timeouts_in_row_ = 0;
  probes_in_row_ = 0;
  extend_fast_send(data);
  first_unanswered_ = now();
  restart_idle_timer();
}

// All but one of the segments acknowledged arrived before, each announced by a duplicate
// acknowledgment.
void Connection::discount_dupacks(AckWork& work) {
  const uint32_t others = work.newly_acked - std::min(work.newly_acked, mss_);
  const uint32_t known = std::min(reno_sacked_, others);
  work.delivered = work.newly_acked - known;
  reno_sacked_ = recovery_ == Recovery::Open ? 0 : reno_sacked_ - known;
}

void Connection::note_delivered(const SendEntry& e, SeqNum end, uint32_t bytes, const Segment& s,
                                AckWork& work) {
  work.delivered += bytes;
  delivered_total_ += bytes;
  if (e.last_sent() > work.newest_sent_at) {
    work.newest_sent_at = e.last_sent();
    work.delivered_before = e.delivered_at_send;
  }
  Instant sent_at = e.last_sent();
  bool is_certain = !e.is_retransmitted(), is_of_earlier = false;
  if (!is_certain && has_timestamps_ && s.options.timestamps) {
    const uint32_t echo = s.options.timestamps->echo;
    is_of_earlier = static_cast<int32_t>(echo - timestamp_at(sent_at)) < 0;
    const bool is_echo_of_it = end <= s.ack;  // A SACK echoes what came before the hole.
    // An earlier copy's answer came after a timer had fired in vain: as for FreeBSD it is no
    // measure of the path. A SYN's is, for there is no other to begin with.
    const bool is_wanted = !is_of_earlier || e.has(SendEntry::kSyn);
    if (const auto copy = copy_sent_in(e, echo - timestamp_offset_);
        copy && is_echo_of_it && is_wanted) {
      sent_at = *copy;
      is_certain = true;
    }
  }
  if (!is_of_earlier) {  // RFC 8985 section 6.2, step 2
    const bool was_reordering = rack_.has_reordering_been_seen();
    rack_.on_delivered(e, end, s.arrival, rtt_.min());
    if (!was_reordering && rack_.has_reordering_been_seen()) ++total_.reorderings;
  }
  if (!is_certain) return;  // Karn: which copy is answered only a timestamp can tell.
  if (e.has(SendEntry::kWasSacked)) return;  // It came long ago, whatever was sent since.
  const auto rtt = std::max<Duration>(s.arrival - sent_at, 1us);
  Duration& lowest = e.is_retransmitted() ? work.rtt : work.rtt_once;
  if (lowest == kNone || rtt < lowest) lowest = rtt;
}

inline void Connection::keep_once_sent(AckWork& work) {
  const Duration once = std::exchange(work.rtt_once, kNone);
  if (once > kNone && (work.rtt == kNone || once < work.rtt)) work.rtt = once;
}

void Connection::take_rtt(Duration rtt) {
  rtt_.sample(rtt, rto_profile());
  backoffs_ = 0;  // Not before: Karn's other half (RFC 6298 section 5).
  window_.srtt = rtt_.srtt();
  if (observer_ != nullptr) observer_->on_rtt(*this, rtt);
}

inline bool Connection::note_dupack(const Segment& s, AckWork& work) {
  if (work.sacked_new) return true;
  // With nothing outstanding it can answer the second copy of a probe (RFC 8985 section 7.4.2).
  const bool may_be = !map_.empty() || (tlp_outstanding_ && s.ack == tlp_end_);
  const bool is_duplicate = s.payload == 0 && !s.has(net::kTcpFin) && may_be &&
                            (uint32_t{s.window} << snd_scale_) == snd_wnd_;  // RFC 5681 section 2
  if (!is_duplicate || has_sack_) return is_duplicate;
  // Of what was sent again in the episode that ended just here (RFC 6582 section 3.2, step 2).
  if (recovery_ == Recovery::Open && snd_una_ == recover_) return true;
  ++dupacks_;
  // Each stands for a segment that arrived behind the hole; at least one is missing.
  const uint32_t room = map_.outstanding() - std::min(map_.outstanding(), mss_);
  const uint32_t more = std::min(mss_, room - std::min(room, reno_sacked_));
  reno_sacked_ += more;
  work.delivered += more;
  SendEntry& first = map_.front();
  if (first.dupacks < 255) ++first.dupacks;
  return true;
}

void Connection::process_sacks(const Segment& s, AckWork& work) {
  const auto blocks = s.options.sack_blocks();
  stack_.counters().sack_blocks_in += blocks.size();
  size_t first = 0;
  if (process_dsack(s)) {
    work.has_dsack = true;
    first = 1;
  }
  std::array<SeqRange, net::TcpOptions::kMaxSackBlocks> seen{};
  uint8_t count = 0;
  for (size_t i = first; i < blocks.size(); ++i) {
    const SeqRange block{blocks[i].begin, blocks[i].end};
    const bool is_sound = block.begin < block.end && block.end <= snd_max_ && s.ack <= block.begin;
    if (!is_sound) {
      ++stack_.counters().bad_sacks;
      continue;
    }
    if (block.end <= snd_una_) continue;
    seen[count++] = block;
    // What the last acknowledgment reported too was dealt with then: only look at the news.
    SeqNum begin = net::later(block.begin, snd_una_), end = block.end;
    for (uint8_t k = 0; k < seen_sack_count_; ++k) {
      const SeqRange& old = seen_sacks_[k];
      if (old.begin <= begin && begin < old.end) begin = net::earlier(old.end, end);
      if (old.begin < end && end <= old.end) end = net::later(old.begin, begin);
    }
    if (begin < end) sack_range(begin, end, s, work);
  }
  keep_once_sent(work);  // A SACK comes at once.
  seen_sacks_ = seen;
  seen_sack_count_ = count;
}

bool Connection::process_dsack(const Segment& s) {
  // RFC 2883 section 4: the first block is below the acknowledgment, or inside the second block.
  const auto blocks = s.options.sack_blocks();
  const net::SackBlock& first = blocks[0];
  if (!(first.begin < first.end)) return false;
  const bool is_below = first.end <= s.ack;
  const bool is_inside =
      blocks.size() > 1 && blocks[1].begin <= first.begin && first.end <= blocks[1].end;
  if (!is_below && !is_inside) return false;
  if ((snd_max_ - first.begin).count() > std::max(max_snd_wnd_, 65535u) * 2) return false;
  ++stack_.counters().dsacks_in;
  ++total_.dsacks;
  // A duplicate of our own probe says nothing of reordering,
  if (tlp_outstanding_ && tlp_is_retransmission_ && first.end == tlp_end_) return true;
  rack_.on_dsack(snd_una_, snd_max_);
  // and one of what this episode did not send again nothing of the episode (RFC 3708 section 2).
  const bool is_of_episode = may_undo() && undo_retransmitted_ > 0 &&
                             undo_range_.begin <= first.begin && first.end <= undo_range_.end;
  if (!is_of_episode) return true;
  undo_dsacked_ += (first.end - first.begin).count();
  if (recovery_ != Recovery::Loss) rack_.note_reordering(s.arrival);
  return true;
}

// Whether a SACK may cut an entry in two. Honest ones cut where a segment began, so a map of far
// more entries than segments is an attack on our memory and time.
bool Connection::may_split_for_sack() const {
  const int64_t limit = stack_.tunables().split_limit;
  if (limit > 0 && map_.splits() >= static_cast<uint64_t>(limit)) return false;
  constexpr size_t kSmallSegments = 128;
  return map_.size() < 2 * size_t{map_.outstanding() / mss_} + kSmallSegments;
}

void Connection::sack_range(SeqNum begin, SeqNum end, const Segment& s, AckWork& work) {
  size_t i = map_.index_of(begin);
  while (i < map_.size() && map_[i].start < end) {
    const bool is_cut = map_[i].start < begin || end < map_[i].end;
    if (map_[i].has(SendEntry::kSacked)) {
      ++i;
      continue;
    }
    if (is_cut && !may_split_for_sack()) return;
    if (map_[i].start < begin) {
      if (map_.split(i, begin) == nullptr) return;
      ++i;
    }
    if (end < map_[i].end && map_.split(i, end) == nullptr) return;
    SendEntry& e = map_[i];
    note_delivered(e, e.end, e.length(), s, work);
    map_.mark_sacked(e, s.arrival);
    work.sacked_new = true;
    ++i;
  }
}

// RFC 9293 section 3.10.7.4, fifth. Of two that differ in neither number the later one is believed,
// also where it takes room back.
inline void Connection::update_send_window(const Segment& s) {
  const bool is_newer = snd_wl1_ < s.seq || (snd_wl1_ == s.seq && snd_wl2_ <= s.ack);
  if (s.ack < snd_una_ || !is_newer) return;
  const uint32_t window = uint32_t{s.window} << snd_scale_;
  if (window < snd_wnd_) clear_fast_send();
  snd_wnd_ = window;
  snd_wl1_ = s.seq;
  snd_wl2_ = s.ack;
  max_snd_wnd_ = std::max(max_snd_wnd_, window);
}

void Connection::grow_window(const Segment& s, const AckWork& work) {
  if (recovery_ == Recovery::Recovery || !is_synchronised(state_)) return;
  AckEvent event;
  event.now = s.arrival;
  event.acked = Bytes(work.newly_acked);
  event.flight = Bytes(work.flight_before);
  event.rtt = work.rtt;
  event.srtt = rtt_.srtt();
  event.min_rtt = rtt_.min();
  event.is_after_timeout = recovery_ == Recovery::Loss;
  event.is_round_start = work.is_round_start;
  max_flight_ = std::max(max_flight_, work.flight_before);
  const bool is_used = window_.in_slow_start() && window_.cwnd.count() < 2 * int64_t{max_flight_};
  event.is_cwnd_limited = cwnd_limited_ || is_used || event.is_after_timeout;
  if (!has_model()) control_->on_ack(window_, event);
  if (work.is_round_start) max_flight_ = work.flight_before;
}

// What is outstanding stays in the send buffer, also where it was SACKed. It grows to hold a window
// besides, and the writer is told when as much is free as waits: so there is something to send
// whenever something may be sent, in a recovery too. A buffer that holds less is to be empty.
void Connection::make_room() {
  const int64_t wanted =
      window_.cwnd.count() + std::max(window_.cwnd.count(), int64_t{map_.outstanding()});
  const int64_t limit = std::min(wanted, stack_.tunables().sendbuf_max);
  if (send_auto_ && limit > send_.limit().count()) send_.set_limit(Bytes(limit));
  const auto most = static_cast<size_t>(send_.limit().count());
  if (!can_send_data() || send_.space() < std::min(most, std::max<size_t>(mss_, unsent()))) return;
  writer_waits_ = false;
  tell(kWritable);
}

inline void Connection::after_our_fin_acked() {
  if (!fin_acked_) return;
  switch (state_) {
    case State::FinWait1:
      enter(State::FinWait2);
      restart_idle_timer();
      return;
    case State::Closing: return enter_time_wait();
    case State::LastAck: return finish(End::Normal);
    default: return;
  }
}

}  // namespace wh::tcp
