#include "tcp/sendmap.h"

#include <algorithm>

namespace wh::tcp {

SendEntry* SendEntryPool::take() {
  if (free_.empty()) {
    if (in_use_ >= limit_) {
      ++exhausted_;
      return nullptr;
    }
    slabs_.emplace_back(new SendEntry[kSlab]);
    for (size_t i = kSlab; i-- > 0;) free_.push_back(&slabs_.back()[i]);
  }
  SendEntry* e = free_.back();
  free_.pop_back();
  ++in_use_;
  return e;
}

void SendEntryPool::give(SendEntry* entry) {
  entry->by_time.unlink();
  free_.push_back(entry);
  --in_use_;
}

size_t SendMap::index_of(SeqNum at) const {
  size_t low = 0, high = entries_.size();
  while (low < high) {
    const size_t middle = (low + high) / 2;
    if (entries_[middle]->end <= at) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < entries_.size() && entries_[low]->start <= at ? low : entries_.size();
}

bool SendMap::append(SeqNum start, uint32_t n, SendBuffer::Position data, uint16_t flags,
                     Instant now, uint64_t delivered) {
  CHECK(n > 0 && (empty() || back().end == start));
  constexpr uint16_t kAlone = SendEntry::kSyn | SendEntry::kFin;
  if (!empty()) {
    SendEntry& last = back();
    if (last.transmissions == 1 && last.sent[0] == now && (last.flags & ~kAlone) == 0 &&
        !last.has(kAlone)) {
      last.end += SeqLen(n);
      last.flags |= flags;
      outstanding_ += n;
      return true;
    }
  }
  SendEntry* e = pool_.take();
  if (e == nullptr) return false;
  e->start = start;
  e->end = start + SeqLen(n);
  e->flags = flags;
  e->transmissions = 1;
  e->dupacks = 0;
  e->retransmitted = 0;
  e->data = data;
  e->sent[0] = now;
  e->delivered_at_send = delivered;
  entries_.push_back(e);
  by_time_.push_back(*e);
  outstanding_ += n;
  return true;
}

SendEntry* SendMap::split(size_t i, SeqNum at) {
  SendEntry& left = *entries_[i];
  CHECK(left.start < at && at < left.end);
  SendEntry* right = pool_.take();
  if (right == nullptr) return nullptr;
  constexpr uint16_t kRightOnly = SendEntry::kFin | SendEntry::kPush;
  const uint32_t syn = left.has(SendEntry::kSyn) ? 1 : 0;
  right->start = at;
  right->end = left.end;
  right->flags = left.flags & static_cast<uint16_t>(~SendEntry::kSyn);
  right->transmissions = left.transmissions;
  right->dupacks = left.dupacks;
  right->data = buffer_.advance(left.data, (at - left.start).count() - syn);
  right->sent = left.sent;
  right->sacked_at = left.sacked_at;
  right->delivered_at_send = left.delivered_at_send;
  left.end = at;
  left.flags &= static_cast<uint16_t>(~kRightOnly);
  // What was sent again of an entry is its bytes from the front.
  const uint32_t kept = std::min(left.retransmitted, left.length());
  right->retransmitted = left.retransmitted - kept;
  left.retransmitted = kept;
  entries_.insert(i + 1, right);
  if (left.by_time.is_linked()) by_time_.insert_after(left, *right);
  ++splits_;
  return right;
}

void SendMap::forget_sums(const SendEntry& e) {
  if (e.has(SendEntry::kSacked)) sacked_ -= e.length();
  if (e.has(SendEntry::kLost)) lost_ -= e.length();
  retransmitted_ -= e.retransmitted;
}

void SendMap::mark_sacked(SendEntry& e, Instant now) {
  if (e.has(SendEntry::kSacked)) return;
  clear_lost(e);
  retransmitted_ -= std::exchange(e.retransmitted, 0);
  e.flags |= SendEntry::kSacked;
  e.sacked_at = now;
  sacked_ += e.length();
  if (!e.by_time.is_linked())
    return;  // It was lost: all that was sent before it was passed already.
  for (SendEntry* earlier = by_time_.prev(e); earlier != nullptr;
       earlier = by_time_.prev(*earlier)) {
    if (earlier->has(SendEntry::kSackPassed)) break;
    earlier->flags |= SendEntry::kSackPassed;
  }
  e.by_time.unlink();
}

void SendMap::mark_lost(SendEntry& e) {
  if (e.has(SendEntry::kLost | SendEntry::kSacked)) return;
  if (lost_ == 0 || e.start < lost_hint_) lost_hint_ = e.start;
  e.flags |= SendEntry::kLost;
  lost_ += e.length();
  lost_total_ += e.length();
  ++lost_marks_;
  lost_sent_at_ = e.last_sent();
  e.by_time.unlink();
}

void SendMap::clear_lost(SendEntry& e) {
  if (!e.has(SendEntry::kLost)) return;
  e.flags &= static_cast<uint16_t>(~SendEntry::kLost);
  lost_ -= e.length();
}

void SendMap::unmark_all_lost() {
  for (size_t i = entries_.size(); lost_ > 0 && i-- > 0;) {
    SendEntry& e = *entries_[i];
    if (!e.has(SendEntry::kLost)) continue;
    clear_lost(e);
    by_time_.push_front(e);  // It left before whatever was sent again.
  }
}

void SendMap::mark_retransmitted(SendEntry& e, Instant now, uint64_t delivered, bool is_probe) {
  clear_lost(e);
  constexpr uint16_t kCleared = SendEntry::kSackPassed | SendEntry::kTimedOut;
  e.flags &= static_cast<uint16_t>(~kCleared);
  if (e.transmissions < 255) ++e.transmissions;
  e.sent[std::min<unsigned>(e.transmissions, SendEntry::kTimes) - 1] = now;
  e.dupacks = 0;
  e.delivered_at_send = delivered;
  if (!is_probe) {
    retransmitted_ += e.length() - e.retransmitted;
    e.retransmitted = e.length();
  }
  e.by_time.unlink();
  by_time_.push_back(e);
}

void SendMap::retire_front() {
  SendEntry* e = entries_.pop_front();
  outstanding_ -= e->length();
  forget_sums(*e);
  pool_.give(e);
}

void SendMap::trim_front(uint32_t n) {
  SendEntry& e = front();
  outstanding_ -= n;
  if (e.has(SendEntry::kSacked)) sacked_ -= n;
  if (e.has(SendEntry::kLost)) lost_ -= n;
  const uint32_t gone = std::min(n, e.retransmitted);
  e.retransmitted -= gone;
  retransmitted_ -= gone;
  const uint32_t syn = e.has(SendEntry::kSyn) ? 1 : 0;
  e.flags &= static_cast<uint16_t>(~SendEntry::kSyn);
  e.data = buffer_.advance(e.data, n - syn);
  e.start += SeqLen(n);
}

void SendMap::renege() {
  IntrusiveList<SendEntry, &SendEntry::by_time> in_order;
  for (size_t i = 0; i < entries_.size(); ++i) {
    SendEntry& e = *entries_[i];
    if (e.has(SendEntry::kSacked)) e.flags |= SendEntry::kWasSacked;
    constexpr uint16_t kCleared = SendEntry::kSacked | SendEntry::kSackPassed;
    e.flags &= static_cast<uint16_t>(~kCleared);
    e.by_time.unlink();
    if (!e.has(SendEntry::kLost)) in_order.push_back(e);
  }
  sacked_ = 0;
  by_time_.splice_back(in_order);
}

void SendMap::time_out() {
  renege();
  for (size_t i = 0; i < entries_.size(); ++i) {
    SendEntry& e = *entries_[i];
    e.flags |= SendEntry::kTimedOut;
    retransmitted_ -= std::exchange(e.retransmitted, 0);
    mark_lost(e);
  }
}

void SendMap::mark_all_lost() {
  while (SendEntry* e = by_time_.front()) mark_lost(*e);
}

SendEntry* SendMap::first_lost() {
  if (lost_ == 0) return nullptr;
  size_t i = lost_hint_ <= front().start ? 0 : index_of(lost_hint_);
  for (; i < entries_.size(); ++i) {
    if (entries_[i]->has(SendEntry::kLost)) {
      lost_hint_ = entries_[i]->start;
      return entries_[i];
    }
  }
  UNREACHABLE();
}

void SendMap::clear() {
  while (!entries_.empty()) retire_front();
  entries_.clear();
  CHECK(outstanding_ == 0 && sacked_ == 0 && lost_ == 0 && retransmitted_ == 0);
}

void SendMap::check_invariants(SeqNum snd_una, SeqNum snd_max) const {
  SeqNum at = snd_una;
  uint32_t sacked = 0, lost = 0, retransmitted = 0;
  size_t linked = 0;
  for (size_t i = 0; i < entries_.size(); ++i) {
    const SendEntry& e = *entries_[i];
    CHECK(e.start == at);
    CHECK(e.start < e.end);
    CHECK(e.transmissions > 0 && e.retransmitted <= e.length());
    CHECK(!(e.has(SendEntry::kSacked) && e.has(SendEntry::kLost)));
    CHECK_EQ(e.by_time.is_linked(), !e.has(SendEntry::kSacked | SendEntry::kLost));
    if (e.has(SendEntry::kSacked)) sacked += e.length();
    if (e.has(SendEntry::kLost)) lost += e.length();
    if (e.by_time.is_linked()) ++linked;
    retransmitted += e.retransmitted;
    at = e.end;
  }
  CHECK(at == snd_max);
  CHECK_EQ(outstanding_, (snd_max - snd_una).count());
  CHECK_EQ(sacked, sacked_);
  CHECK_EQ(lost, lost_);
  CHECK_EQ(retransmitted, retransmitted_);
  auto& times = const_cast<SendMap&>(*this).by_time_;  // Walked, not changed.
  size_t walked = 0;
  for (SendEntry* e = times.front(); e != nullptr; e = times.next(*e)) ++walked;
  CHECK_EQ(walked, linked);
}

}  // namespace wh::tcp
