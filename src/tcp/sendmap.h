// The sendmap: every byte that was sent and not yet cumulatively acknowledged, when it left, and
// what became of it.
//
//   snd_una                                                          snd_max
//     | [0,2896) sent | [2896,4344) lost | [4344,8688) sacked | [8688,..) |
//
// One entry to a contiguous range that has one history; a burst that leaves at one instant is one
// entry, and SACKs and partial retransmissions split it. Two orders: by sequence (a ring, searched
// by halving) and by time of the last transmission (`by time`, holding what is thought to be in the
// network: neither SACKed nor lost), which is the order RACK walks. SYN and FIN occupy their
// sequence numbers here like bytes do.
//
//   pipe() = outstanding - sacked - lost          (RFC 6675's estimate of what is in the network)
//
// Ownership: entries come from a pool that the connections of a stack share; the map gives them
// back. Invariants, proved by check_invariants(): (1) entries tile [snd_una, snd_max) (2) sacked,
// lost and retransmitted sums are what adding up the entries gives (3) the time list holds exactly
// the entries neither SACKed nor lost. Source: the RACK stack's sendmap (FreeBSD Journal, "Fast
// Path Retransmissions"); RFC 8985 section 5.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/intrusive_list.h"
#include "core/units.h"
#include "net/seq.h"
#include "tcp/ring.h"
#include "tcp/send_buffer.h"

namespace wh::tcp {

using net::SeqLen;
using net::SeqNum;

struct SendEntry {
  enum Flag : uint16_t {
    kSacked = 1,      // The peer has it, above a hole.
    kLost = 2,        // Deemed lost and not yet sent again.
    kSackPassed = 4,  // Something sent later was SACKed.
    kWasSacked = 8,   // A retransmission timeout withdrew its SACK.
    kSyn = 16,
    kFin = 32,
    kPush = 64,
    kTimedOut = 128,  // A retransmission timeout hit it.
  };
  static constexpr unsigned kTimes = 3;

  SeqNum start, end;
  uint16_t flags = 0;
  uint8_t transmissions = 0;   // 1: sent once. Counts on to 255.
  uint8_t dupacks = 0;         // Strikes against it from a peer without SACK.
  uint32_t retransmitted = 0;  // Bytes of it sent again and not yet acknowledged.
  SendBuffer::Position data;
  // Times of the first transmissions; the last place is the latest one.
  std::array<Instant, kTimes> sent{};
  Instant sacked_at{};
  uint64_t delivered_at_send = 0;  // The connection's delivered() when it was last sent.
  ListLink by_time;

  uint32_t length() const { return (end - start).count(); }
  bool has(uint16_t flag) const { return (flags & flag) != 0; }
  bool is_retransmitted() const { return transmissions > 1; }
  Instant last_sent() const { return sent[(transmissions < kTimes ? transmissions : kTimes) - 1u]; }
  // Its bytes of data: the range without SYN and FIN.
  uint32_t data_length() const { return length() - (has(kSyn) ? 1u : 0u) - (has(kFin) ? 1u : 0u); }
};

// Entries for all connections of a stack. Bounded: take() returns null at the limit and counts it.
class SendEntryPool {
 public:
  explicit SendEntryPool(size_t limit = 4'000'000) : limit_(limit) {}
  SendEntry* take();
  void give(SendEntry* entry);
  size_t in_use() const { return in_use_; }
  uint64_t exhausted() const { return exhausted_; }
  void set_limit(size_t limit) { limit_ = limit; }

 private:
  static constexpr size_t kSlab = 64;
  std::vector<std::unique_ptr<SendEntry[]>> slabs_;
  std::vector<SendEntry*> free_;
  size_t limit_;
  size_t in_use_ = 0;
  uint64_t exhausted_ = 0;
};

class SendMap {
 public:
  SendMap(SendEntryPool& pool, const SendBuffer& buffer) : pool_(pool), buffer_(buffer) {}
  ~SendMap() { clear(); }
  SendMap(const SendMap&) = delete;
  SendMap& operator=(const SendMap&) = delete;

  bool empty() const { return entries_.empty(); }
  size_t size() const { return entries_.size(); }
  SendEntry& operator[](size_t i) { return *entries_[i]; }
  const SendEntry& operator[](size_t i) const { return *entries_[i]; }
  SendEntry& front() { return *entries_.front(); }
  SendEntry& back() { return *entries_.back(); }
  // The index of the entry that contains `at`; size() when none does.
  size_t index_of(SeqNum at) const;

  // New data [start, start + n) leaves now. It joins the last entry when that left at the same
  // instant in the same way, and else becomes an entry. False when the pool is empty: do not send.
  // REQUIRES: n > 0 and start is the end of the last entry.
  bool append(SeqNum start, uint32_t n, SendBuffer::Position data, uint16_t flags, Instant now,
              uint64_t delivered);

  // Cuts entry i at `at`: it keeps [start, at), a new entry i + 1 has the rest. SYN stays left; FIN
  // and PUSH go right. Null when the pool is empty. REQUIRES: start < at < end.
  SendEntry* split(size_t i, SeqNum at);

  // Each of these does what its name says to the entry and to the sums.
  // mark_sacked() also marks kSackPassed all that was sent before it.
  void mark_sacked(SendEntry& e, Instant now);
  void mark_lost(SendEntry& e);  // Nothing when it is SACKed or lost already.
  void mark_retransmitted(SendEntry& e, Instant now, uint64_t delivered, bool is_probe);
  // What is marked lost was not: a timeout or a reordering deceived us. It is in the network as
  // before.
  void unmark_all_lost();

  // Retires everything before `una`. Calls fn(entry, bytes) for each entry or part of one that
  // goes, before it goes.
  template <class Fn>
  void acknowledge(SeqNum una, Fn fn) {
    while (!entries_.empty() && front().start < una) {
      SendEntry& e = front();
      const bool whole = e.end <= una;
      const uint32_t bytes = whole ? e.length() : (una - e.start).count();
      fn(e, bytes);
      if (whole) {
        retire_front();
      } else {
        trim_front(bytes);
      }
    }
  }

  // A retransmission timeout: SACKs are withdrawn (the peer may have reneged), everything is lost
  // and is to be sent again in sequence order.
  void time_out();
  // All that is not SACKed is to be sent again; no retransmission timeout happened (a smaller path
  // MTU).
  void mark_all_lost();
  // The peer reneged: an entry it had SACKed is at the left edge of what it acknowledges. Withdraws
  // all SACKs.
  void renege();
  void clear();

  // Oldest transmission first; only what is neither SACKed nor lost.
  SendEntry* oldest() { return by_time_.front(); }
  SendEntry* newest() { return by_time_.back(); }
  SendEntry* next_in_time(SendEntry& e) { return by_time_.next(e); }
  SendEntry* previous_in_time(SendEntry& e) { return by_time_.prev(e); }
  // The first lost entry in sequence order; null when nothing is lost.
  SendEntry* first_lost();
  size_t index_of(const SendEntry& e) const { return index_of(e.start); }

  uint32_t outstanding() const { return outstanding_; }
  uint32_t sacked() const { return sacked_; }
  uint32_t lost() const { return lost_; }
  uint32_t retransmitted() const {
    return retransmitted_;
  }  // Sent again and still outstanding ("holes_rxt").
  uint32_t pipe() const { return outstanding_ - sacked_ - lost_; }
  uint64_t splits() const { return splits_; }
  // All that was ever marked lost, in so many marks, the last of them last sent when.
  uint64_t lost_total() const { return lost_total_; }
  uint32_t lost_marks() const { return lost_marks_; }
  Instant lost_sent_at() const { return lost_sent_at_; }
  struct LossMark {  // To tell what is newly lost.
    uint64_t bytes;
    uint32_t marks;
  };
  LossMark loss_mark() const { return {lost_total_, lost_marks_}; }

  // Fails a CHECK when an invariant does not hold for a connection with these edges.
  void check_invariants(SeqNum snd_una, SeqNum snd_max) const;

 private:
  void retire_front();
  void trim_front(uint32_t n);
  void clear_lost(SendEntry& e);
  void forget_sums(const SendEntry& e);

  SendEntryPool& pool_;
  const SendBuffer& buffer_;
  Ring<SendEntry*> entries_;
  IntrusiveList<SendEntry, &SendEntry::by_time> by_time_;
  uint32_t outstanding_ = 0, sacked_ = 0, lost_ = 0, retransmitted_ = 0;
  SeqNum lost_hint_;  // No lost entry begins before it, while lost_ > 0.
  uint64_t splits_ = 0, lost_total_ = 0;
  uint32_t lost_marks_ = 0;
  Instant lost_sent_at_{};
};

}  // namespace wh::tcp
