#include "tcp/receive_buffer.h"

#include <algorithm>

namespace wh::tcp {

uint32_t SliceQueue::room_in_tail() const {
  if (!owns_tail_ || slices_.empty()) return 0;
  const net::Slice& tail = slices_.back();
  return tail.chunk->capacity() - tail.offset - tail.size;
}

void SliceQueue::copy(std::span<const uint8_t> bytes) {
  size_ += bytes.size();
  while (!bytes.empty()) {
    uint32_t room = room_in_tail();
    if (room == 0) {
      slices_.push_back({net::ChunkRef::make(kLeastChunk), 0, 0});
      owns_tail_ = true;
      room = kLeastChunk;
    }
    net::Slice& tail = slices_.back();
    const size_t n = std::min<size_t>(bytes.size(), room);
    std::memcpy(tail.chunk->bytes() + tail.offset + tail.size, bytes.data(), n);
    tail.size += static_cast<uint32_t>(n);
    bytes = bytes.subspan(n);
  }
}

void SliceQueue::append(const net::Packet& packet, uint32_t from, uint32_t n) {
  const uint32_t in_head = packet.head_size();
  if (from < in_head) {
    const uint32_t here = std::min(n, in_head - from);
    copy(packet.head().subspan(from, here));
    from += here;
    n -= here;
  }
  uint32_t begin = in_head;
  for (const net::Slice& s : packet.slices) {
    if (n == 0) return;
    if (from < begin + s.size) {
      const uint32_t here = std::min(n, begin + s.size - from);
      if (here < kLeastReferred) {
        copy(s.bytes().subspan(from - begin, here));
      } else {
        slices_.push_back(s.sub(from - begin, here));
        owns_tail_ = false;
        size_ += here;
      }
      from += here;
      n -= here;
    }
    begin += s.size;
  }
  CHECK_EQ(n, 0u);
}

void SliceQueue::append(SliceQueue&& other) {
  // Runs that grow backwards fill their chunks as those do that grow forwards.
  if (!other.slices_.empty() && other.slices_.front().size <= room_in_tail()) {
    const net::Slice first = other.slices_.pop_front();
    other.size_ -= first.size;
    copy(first.bytes());
  }
  if (!other.slices_.empty()) owns_tail_ = other.owns_tail_;
  size_ += other.size_;
  // The shorter list moves: no order of arrival has the longer one moved again and again.
  if (slices_.size() < other.slices_.size()) {
    for (size_t i = slices_.size(); i-- > 0;) other.slices_.insert(0, std::move(slices_[i]));
    slices_ = std::move(other.slices_);
  } else {
    while (!other.slices_.empty()) slices_.push_back(other.slices_.pop_front());
  }
  other.clear();
}

net::Slice SliceQueue::read_slice(size_t most) {
  if (size_ == 0 || most == 0) return {};
  net::Slice& first = slices_.front();
  if (first.size <= most) {  // All of it: its reference goes along.
    size_ -= first.size;
    if (size_ == 0) owns_tail_ = false;
    return slices_.pop_front();
  }
  const auto n = static_cast<uint32_t>(most);
  net::Slice taken = first.sub(0, n);
  drop_front(n);
  return taken;
}

void SliceQueue::drop_front(size_t n) {
  CHECK(n <= size_);
  size_ -= n;
  while (n > 0) {
    net::Slice& first = slices_.front();
    if (n < first.size) {
      first.offset += static_cast<uint32_t>(n);
      first.size -= static_cast<uint32_t>(n);
      return;
    }
    n -= first.size;
    slices_.pop_front();
  }
  if (size_ == 0 && slices_.empty()) owns_tail_ = false;
}

size_t SliceQueue::peek(std::span<uint8_t> out) const {
  size_t done = 0;
  for (size_t i = 0; i < slices_.size() && done < out.size(); ++i) {
    const size_t n = std::min<size_t>(out.size() - done, slices_[i].size);
    std::memcpy(out.data() + done, slices_[i].data(), n);
    done += n;
  }
  return done;
}

size_t SliceQueue::read(std::span<uint8_t> out) {
  size_t done = 0;
  while (done < out.size() && size_ > 0) {
    const net::Slice& first = slices_.front();
    const size_t n = std::min<size_t>(out.size() - done, first.size);
    std::memcpy(out.data() + done, first.data(), n);
    drop_front(n);
    done += n;
  }
  return done;
}

void SliceQueue::clear() {
  slices_.clear();
  size_ = 0;
  owns_tail_ = false;
}

size_t ReceiveBuffer::discard(size_t most) {
  const size_t n = std::min(most, ready_.size());
  ready_.drop_front(n);
  return n;
}

ReceiveBuffer::Insertion ReceiveBuffer::insert_ready(SeqNum rcv_nxt, const net::Packet& packet,
                                                     uint32_t from, uint32_t n) {
  const SeqNum end = rcv_nxt + SeqLen(n);
  SeqNum next = rcv_nxt;
  const auto take_until = [&](SeqNum stop) {
    ready_.append(packet, from + (next - rcv_nxt).count(), (stop - next).count());
    next = stop;
  };
  uint32_t duplicate = 0;
  const size_t before = islands_.size();
  while (has_islands() && islands_.front().begin <= end) {  // Theirs came first.
    Island island = islands_.pop_front();
    duplicate += (net::earlier(end, island.end) - island.begin).count();
    take_until(island.begin);
    ready_.append(std::move(island.bytes));
    next = island.end;
  }
  if (next < end) take_until(end);
  if (islands_.size() < before) {
    if (!has_islands()) islands_.clear();
    size_t kept = 0;
    for (size_t i = 0; i < recent_count_; ++i) {
      if (recent_[i].begin > next) recent_[kept++] = recent_[i];
    }
    recent_count_ = kept;
  }
  return {.advance = (next - rcv_nxt).count(), .duplicate = duplicate};
}

ReceiveBuffer::Insertion ReceiveBuffer::insert(SeqNum rcv_nxt, SeqNum seq,
                                               const net::Packet& packet, uint32_t from, uint32_t n,
                                               size_t max_islands) {
  CHECK(n > 0 && rcv_nxt <= seq);
  if (islands_.empty() && seq == rcv_nxt) {
    ready_.append(packet, from, n);
    return {.advance = n};
  }
  SeqRange repeated{};
  const SeqNum end = seq + SeqLen(n);
  size_t at = first_island_to(seq);
  if (at < islands_.size() && islands_[at].end == seq) ++at;  // It touches, and repeats nothing.
  if (at < islands_.size() && islands_[at].begin < end) {
    repeated = {net::later(islands_[at].begin, seq), net::earlier(islands_[at].end, end)};
  }
  Insertion result = place(rcv_nxt, seq, packet, from, n, max_islands);
  result.repeated = repeated;
  return result;
}

size_t ReceiveBuffer::first_island_to(SeqNum seq) const {
  size_t first = 0, last = islands_.size();
  if (last > 0 && islands_[last - 1].end < seq) return last;  // The usual one: behind them all.
  while (first < last) {
    const size_t middle = (first + last) / 2;
    if (islands_[middle].end < seq) {
      first = middle + 1;
    } else {
      last = middle;
    }
  }
  return first;
}

ReceiveBuffer::Insertion ReceiveBuffer::place(SeqNum rcv_nxt, SeqNum seq, const net::Packet& packet,
                                              uint32_t from, uint32_t n, size_t max_islands) {
  if (seq == rcv_nxt) return insert_ready(rcv_nxt, packet, from, n);
  const SeqNum end = seq + SeqLen(n);
  Insertion result;
  size_t at = first_island_to(seq);  // The first that this segment touches or lies before.
  SeqNum next = seq;
  while (next < end) {
    const bool has_island = at < islands_.size();
    if (!has_island || next < islands_[at].begin) {
      if (!has_island || end < islands_[at].begin) {  // A hole on both sides.
        if (islands_.size() >= max_islands) {
          result.is_refused = true;
          return result;
        }
      }
      const SeqNum stop = has_island ? net::earlier(end, islands_[at].begin) : end;
      Island fresh{next, stop, {}};
      fresh.bytes.append(packet, from + (next - seq).count(), (stop - next).count());
      if (has_island && stop == islands_[at].begin) {
        fresh.bytes.append(std::move(islands_[at].bytes));
        fresh.end = islands_[at].end;
        islands_[at] = std::move(fresh);
      } else {
        islands_.insert(at, std::move(fresh));
      }
      next = stop;
      continue;
    }
    Island& island = islands_[at];
    if (next < island.end) {
      const SeqNum known = net::earlier(end, island.end);
      result.duplicate += (known - next).count();
      next = known;
    }
    if (next == end) break;
    const bool has_next = at + 1 < islands_.size();
    const SeqNum stop = has_next ? net::earlier(end, islands_[at + 1].begin) : end;
    island.bytes.append(packet, from + (next - seq).count(), (stop - next).count());
    island.end = next = stop;
    if (has_next && stop == islands_[at + 1].begin) {
      island.bytes.append(std::move(islands_[at + 1].bytes));
      island.end = islands_[at + 1].end;
      islands_.erase(at + 1);
    }
  }
  if (at < islands_.size()) note_change({islands_[at].begin, islands_[at].end});
  return result;
}

void ReceiveBuffer::note_change(const SeqRange& range) {
  std::array<SeqRange, kMaxSackBlocks> updated{};
  size_t count = 0;
  updated[count++] = range;
  for (size_t i = 0; i < recent_count_ && count < kMaxSackBlocks; ++i) {
    const bool is_inside = recent_[i].begin >= range.begin && recent_[i].end <= range.end;
    if (!is_inside) updated[count++] = recent_[i];
  }
  recent_ = updated;
  recent_count_ = count;
}

size_t ReceiveBuffer::sack_blocks(std::span<SeqRange> out) const {
  size_t n = std::min(out.size(), recent_count_);
  std::copy_n(recent_.begin(), n, out.begin());
  // "As many as possible" (RFC 2018 section 4 (2)): then any that newer ones had pushed out.
  for (size_t i = 0; n < out.size() && n < islands_.size(); ++i) {
    const Island& island = islands_[i];
    const auto is_told = [&](const SeqRange& r) {
      return island.begin <= r.begin && r.end <= island.end;
    };
    if (!std::any_of(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(n), is_told)) {
      out[n++] = {island.begin, island.end};
    }
  }
  return n;
}

void ReceiveBuffer::clear_islands() {
  islands_.clear();
  recent_count_ = 0;
}

void ReceiveBuffer::clear() {
  ready_.clear();
  clear_islands();
}

void ReceiveBuffer::check_invariants(SeqNum rcv_nxt) const {
  SeqNum at = rcv_nxt;
  for (size_t i = 0; i < islands_.size(); ++i) {
    const Island& island = islands_[i];
    CHECK(at < island.begin && island.begin < island.end);
    CHECK_EQ(island.bytes.size(), size_t{(island.end - island.begin).count()});
    at = island.end;
  }
  for (size_t i = 0; i < recent_count_; ++i) {
    const size_t index = first_island_to(recent_[i].end);
    CHECK(index < islands_.size());
    const Island& holder = islands_[index];
    CHECK(holder.begin <= recent_[i].begin && recent_[i].end <= holder.end);
  }
}

}  // namespace wh::tcp
