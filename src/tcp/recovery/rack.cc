#include "tcp/recovery/rack.h"

#include <algorithm>

namespace wh::tcp {

void Rack::on_delivered(const SendEntry& e, SeqNum end, Instant now, Duration min_rtt) {
  // Step 3: it was sent once, and something behind it was delivered before it.
  if (had_fack_ && end <= fack_before_ && !e.is_retransmitted() && !e.has(SendEntry::kWasSacked)) {
    reordering_seen_ = true;
    reordered_at_ = now;
  }
  if (!has_fack_ || end > fack_) {
    fack_ = end;
    has_fack_ = true;
  }
  // Step 2: an answer to a retransmission that came too soon is an answer to an earlier copy.
  const Duration rtt = std::max<Duration>(now - e.last_sent(), 1ns);
  if (e.is_retransmitted() && rtt < min_rtt) return;
  const bool is_later =
      !has_sample_ || e.last_sent() > xmit_ts_ || (e.last_sent() == xmit_ts_ && end > end_seq_);
  if (!is_later) return;
  has_sample_ = true;
  xmit_ts_ = e.last_sent();
  end_seq_ = end;
  rtt_ = rtt;
}

void Rack::on_dsack(SeqNum snd_una, SeqNum round_end) {
  if (in_dsack_round_ && snd_una < dsack_round_end_) return;
  in_dsack_round_ = true;
  dsack_round_end_ = round_end;
  ++dsack_rounds_;
  dsack_persist_ = kDsackPersist;
}

void Rack::on_recovery_end() {
  if (dsack_persist_ > 0 && --dsack_persist_ == 0) dsack_rounds_ = 0;
}

Duration Rack::threshold(const RttEstimator& rtt, Instant now, const Situation& s) const {
  const Duration base = rtt_ > Duration::zero() ? rtt_ : rtt.has_sample() ? rtt.srtt() : 1s;
  if (s.rule == Rule::Rfc8985) {
    const bool is_certain = s.in_recovery || s.sacked >= s.mss * kDupThresh;
    if (!reordering_seen_ && is_certain) return base;
    const Duration quarter = rtt.min() / 4;
    const uint32_t rounds = s.uses_dsack ? dsack_rounds_ : 0;
    return base + std::min(quarter * (rounds + 1), rtt.srtt());
  }
  const bool is_live = is_reordering_live(now, s.reorder_fade);
  Duration threshold = base + s.packet_delay;
  if (s.rule == Rule::FreeBsd) {
    threshold = base + base / 4;
  } else if (is_live) {
    threshold += base / (int64_t{1} << s.reorder_shift);
  }
  if (is_live && s.uses_dsack) threshold += base / 4 * dsack_rounds_;
  return std::min({threshold, base * 2, s.rto_max});
}

Rack::Detection Rack::detect(SendMap& map, const RttEstimator& rtt, Instant now,
                             const Situation& s) const {
  Detection found;
  const Duration limit = threshold(rtt, now, s);
  for (SendEntry* e = map.oldest(); e != nullptr;) {
    const bool is_passed =
        s.rule == Rule::Rfc8985 ? is_before_latest(*e) : e->has(SendEntry::kSackPassed);
    if (!is_passed && e->dupacks < kDupThresh) break;
    const Instant due = std::max(e->last_sent(), undone_at_) + limit;
    if (due > now) {
      found.look_again = std::max(due, now + s.least_timeout);
      break;
    }
    SendEntry* next = map.next_in_time(*e);
    found.newly_lost += e->length();
    map.mark_lost(*e);
    e = next;
  }
  return found;
}

Duration Rack::tlp_timeout(const RttEstimator& rtt, Duration rto, const Tail& tail) const {
  const Duration base = rtt.has_sample() ? std::max(rtt.srtt(), rtt_) : 1s;
  Duration wait = base + base / std::max(tail.divisor, 1u);
  if (tail.is_alone) {
    wait = std::max(wait, base + base / 2 + 40ms);
  } else {
    wait += tail.gap;
  }
  return std::clamp(wait, tail.least, std::max(tail.least, rto));
}

}  // namespace wh::tcp
