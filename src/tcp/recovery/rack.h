// RACK: a segment is lost when one sent sufficiently later was delivered (RFC 8985 section 6.2).
//
// The state is about the most recently *sent* segment known to be delivered. detect() walks the
// sendmap in order of transmission; what was passed by a SACK (by Rfc8985 by any acknowledgment)
// and is older than the threshold is marked lost, and the first that is not old enough says when to
// look again.
//
// Three thresholds, by `Rule`:
//   FreeBsd  rtt + rtt/4, plus rtt/4 for each round of duplicate SACKs while reordering is live, at
//   most 2 rtt PacketDelay  rtt + 1 ms, plus rtt/4 while reordering is live; duplicate SACKs as
//   above Rfc8985  rtt + reo_wnd; reo_wnd is 0 until reordering was seen, once three segments are
//   SACKed or in recovery
//
// The tail loss probe's timer is here too, since it shares the state: tlp_timeout().
#pragma once

#include <cstdint>

#include "core/units.h"
#include "tcp/rtt.h"
#include "tcp/sendmap.h"

namespace wh::tcp {

class Rack {
 public:
  enum class Rule : uint8_t { FreeBsd, PacketDelay, Rfc8985 };
  static constexpr unsigned kDupThresh = 3;
  static constexpr unsigned kDsackPersist = 16;   // Recoveries for which a wider window lasts.
  static constexpr Duration kReorderFade = 60s;   // net.inet.tcp.rack.tlp.reorder_fade
  static constexpr Duration kLeastTimeout = 1ms;  // net.inet.tcp.rack.timers.minto
  static constexpr Duration kPacketDelay = 1ms;   // net.inet.tcp.rack.tlp.pktdelay
  static constexpr Duration kLeastTlp = 10ms;     // net.inet.tcp.rack.tlp.tlpminto

  struct Situation {
    Rule rule = Rule::FreeBsd;
    bool in_recovery = false;  // Recovery or Loss.
    Bytes sacked{0}, mss{1};
    Duration rto_max = 4s;
    Duration least_timeout = kLeastTimeout;
    Duration packet_delay = kPacketDelay;
    Duration reorder_fade = kReorderFade;  // Zero: reordering once seen is live for ever.
    unsigned reorder_shift = 2;            // PacketDelay: rtt >> this while reordering is live.
    bool uses_dsack = true;                // Duplicate SACKs widen the threshold.
  };
  struct Detection {
    uint32_t newly_lost = 0;  // Bytes.
    Instant look_again = kNever;
  };

  // An acknowledgment came; on_delivered() says of what, in any order. One acknowledgment shows no
  // reordering, whatever it covers: RFC 8985 takes it in ascending order of sequence numbers.
  void begin_ack() { fack_before_ = fack_, had_fack_ = has_fack_; }
  // A transmission of `e` ending at `end` was acknowledged or SACKed.
  void on_delivered(const SendEntry& e, SeqNum end, Instant now, Duration min_rtt);
  // A duplicate SACK came. `round_end` is snd_max: one step a round trip.
  void on_dsack(SeqNum snd_una, SeqNum round_end);
  // What was sent again came twice: it was late, not lost.
  void note_reordering(Instant now) { reordering_seen_ = true, reordered_at_ = now; }
  // An episode was in vain: what had left by now may be as late, and has as long as if it left now.
  void on_undo(Instant now) { undone_at_ = now; }
  void on_recovery_end();

  // How long after its last transmission an entry that was passed is given up.
  Duration threshold(const RttEstimator& rtt, Instant now, const Situation& s) const;
  Detection detect(SendMap& map, const RttEstimator& rtt, Instant now, const Situation& s) const;
  // Whether detect() could find anything, whatever the situation: nearly never.
  bool has_suspect(SendMap& map) const {
    const SendEntry* e = map.oldest();
    return e != nullptr &&
           (e->has(SendEntry::kSackPassed) || e->dupacks >= kDupThresh || is_before_latest(*e));
  }

  bool is_reordering_live(Instant now, Duration fade) const {
    return reordering_seen_ && (fade == Duration::zero() || now - reordered_at_ <= fade);
  }
  bool has_reordering_been_seen() const { return reordering_seen_; }
  Duration rtt() const { return rtt_; }
  uint32_t dsack_rounds() const { return dsack_rounds_; }
  // For tests of the arithmetic.
  void set_rtt(Duration rtt) { rtt_ = rtt; }

  // How long after the last transmission to probe the tail (RFC 8985 section 7.2; FreeBSD's
  // method 2.1). `gap` is the time between the last two entries' transmissions when the last holds
  // at most one segment and has a predecessor; `is_alone` says that one segment is all that is
  // outstanding.
  struct Tail {
    bool is_alone = false;
    Duration gap{0};
    unsigned divisor = 1;  // Probe after rtt + rtt / this (rtt_tlp_thresh),
    Duration least = kLeastTlp;
  };
  Duration tlp_timeout(const RttEstimator& rtt, Duration rto, const Tail& tail) const;

 private:
  // Step 5: sent before the latest segment known to be delivered, by whatever acknowledgment.
  bool is_before_latest(const SendEntry& e) const {
    if (!has_sample_) return false;
    return e.last_sent() < xmit_ts_ || (e.last_sent() == xmit_ts_ && e.end < end_seq_);
  }

  Duration rtt_{0};     // Of the most recently sent delivered segment.
  Instant xmit_ts_{};   // When it was sent,
  SeqNum end_seq_;      // and where it ends.
  SeqNum fack_;         // The highest point that was delivered,
  SeqNum fack_before_;  // and that by the acknowledgments before this one.
  bool has_sample_ = false;
  bool has_fack_ = false;
  bool had_fack_ = false;
  bool reordering_seen_ = false;
  Instant reordered_at_{}, undone_at_{};
  uint32_t dsack_rounds_ = 0;  // "num_dsack"; reo_wnd_mult is one more.
  uint32_t dsack_persist_ = 0;
  bool in_dsack_round_ = false;
  SeqNum dsack_round_end_;
};

}  // namespace wh::tcp
