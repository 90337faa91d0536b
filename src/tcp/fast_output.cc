// The fast path: a burst that was cut short leaves a note of what may still be sent, and the next
// call sends that without asking again what the full path asks (what to retransmit, windows, Nagle,
// probes).
//
// The note (the "fast send block") is one number of bytes: where they are is unsent_at_. It is
// thrown away by anything that could change the answer: a loss, a timer, a smaller window, a
// shutdown, a change of path. Acknowledgments make it longer, never the growth of cwnd.
//
// A burst is made at once: its headers are written one time and stamped on each packet, it enters
// the sendmap as one entry and the books as one sum. What was lost is sent again in the same way,
// straight from its entry (the fast retransmit path).
#include <algorithm>

#include "tcp/stack.h"

namespace wh::tcp {

// A paced connection makes the note when a burst was cut short. One that is not paced has it made
// anew each time: what may be sent is then only a matter of windows.
void Connection::set_up_fast_send() {
  fast_left_ = 0;
  if (stack_.tunables().send_block == 0 || stack_.tunables().fast_send == 0) return;
  const bool is_plain = state_ == State::Established && recovery_ == Recovery::Open &&
                        !shut_down_ && !receive_.has_islands() && map_.lost() == 0 && !probe_due_;
  if (!is_plain) return;
  const int64_t room = send_cwnd() - int64_t{new_data_flight()};
  const int64_t left = std::min<int64_t>(room, sendable_now());
  if (left >= mss_) fast_left_ = static_cast<uint32_t>(left);
}

bool Connection::send_fast(Burst& burst) {
  // The rest of an older burst would cut a train short.
  const bool is_rest = int64_t{fast_left_} < wanted_train();
  if (!has_plain_headers() || fast_left_ > unsent() || send_cwr_ || is_rest || waits_for_train()) {
    clear_fast_send();
    return false;
  }
  const auto most = static_cast<uint32_t>(std::min<int64_t>(fast_left_, burst.allowance));
  uint32_t left = most - most % mss_;
  const bool is_anything = left > 0;
  sending_fast_ = true;
  while (left > 0) {
    uint32_t length = left;
    net::Frame packets = packets_for(length);
    const TcpFlags last = length == unsent() ? net::kTcpAck | net::kTcpPsh : net::kTcpAck;
    // No packet, or no room in the sendmap: the full path says which.
    if (length == 0 || !note_new_data(snd_max_, length, unsent_at_, last)) break;
    send_stamped(std::move(packets), snd_max_ - SeqLen(length), length, unsent_at_, last, false,
                 burst);
    left -= length;
    fast_left_ -= length;
  }
  sending_fast_ = false;
  const bool is_done = is_anything && left == 0;
  if (!is_done || fast_left_ < mss_) clear_fast_send();
  if (is_done) ++stack_.counters().fto_send;
  return is_done;
}

// The fast retransmit path: straight from the sendmap, as many segments as lie in one entry, `most`
// bytes at most.
bool Connection::retransmit_fast(SendEntry& e, uint32_t most, Burst& burst) {
  uint32_t length = std::min(e.length(), most);
  if (length > mss_ && length < e.length()) length -= length % mss_;
  net::Frame packets = packets_for(length);
  if (length == 0) return false;
  if (length < e.length() && map_.split(map_.index_of(e), e.start + SeqLen(length)) == nullptr) {
    return false;
  }
  const TcpFlags last = e.has(SendEntry::kPush) ? net::kTcpAck | net::kTcpPsh : net::kTcpAck;
  SendBuffer::Position at = e.data;
  send_stamped(std::move(packets), e.start, length, at, last, true, burst);
  const uint16_t history = e.flags;
  map_.mark_retransmitted(e, now(), delivered_total_, false);
  if (box_ != nullptr) {
    box_->sent_again(*this, e, {length, segments_in(length, mss_), last, history, false, true});
  }
  ++stack_.counters().fto_rsm_send;
  return true;
}

// Packets for `length` bytes, or for as many as there are; `length` becomes what they carry.
net::Frame Connection::packets_for(uint32_t& length) {
  const uint32_t most = largest_send(mss_);
  net::Frame packets;
  uint32_t carried = 0;
  while (carried < length && !packets.full()) {
    net::PacketPtr packet = stack_.packet();
    if (packet == nullptr) break;
    packets.push(std::move(packet));
    carried += std::min(most, length - carried);
  }
  length = carried;
  return packets;
}

// Sends [seq, seq + length), whose bytes are at `at`, in the packets made for them. Headers are
// made once for all; `last` are the flags of the last packet, the others' have no PSH.
// REQUIRES: has_plain_headers().
void Connection::send_stamped(net::Frame&& packets, SeqNum seq, uint32_t length,
                              SendBuffer::Position& at, TcpFlags last, bool is_retransmission,
                              Burst& burst) {
  constexpr uint8_t kEct0 = 2;
  const uint32_t most = std::min(largest_send(mss_), length);
  HeaderTemplate::Fields fields;
  fields.ack = rcv_nxt_;
  fields.window = advertise(false);
  fields.tos = has_ecn_ && !is_retransmission ? tos_ | kEct0 : tos_;
  fields.options = option_bytes();
  fields.payload = most;
  const TcpFlags echo = ecn_flags(false);
  const net::TcpTimestamps timestamps{has_timestamps_ ? timestamp_now() : 0, ts_recent_};
  HeaderStamp stamp(headers_, fields, timestamps);
  uint32_t left = length;
  for (net::Packet* packet : packets.packets()) {
    const uint32_t n = std::min(most, left);
    left -= n;
    if (n != most) stamp.set_payload(n);
    stamp.press(*packet, seq, echo | (left == 0 ? last : net::kTcpAck));
    send_.attach(*packet, at, n);
    if (n > mss_) packet->gso_size = static_cast<uint16_t>(mss_);
    if (!checksum_offload_) complete_tcp_checksum(*packet);
    seq += SeqLen(n);
  }
  const uint32_t count = packets.size();
  note_sent(seq - SeqLen(length), length, segments_in(length, mss_), stamp.size(),
            is_retransmission, burst);
  stack_.send(std::move(packets));
  after_sending(echo | net::kTcpAck, count);
  if (box_ == nullptr || is_retransmission) return;
  for (uint32_t from = 0; from < length; from += most) {
    const uint32_t n = std::min(most, length - from);
    box_->sent_new(*this, seq - SeqLen(length - from), n, segments_in(n, mss_),
                   from + n == length ? last : net::kTcpAck);
  }
}

// The cumulative acknowledgment moved by `acked`: as much may follow, if both data and the peer's
// window have it.
void Connection::extend_fast_send(uint32_t acked) {
  if (fast_left_ == 0) return;
  if (uint64_t{fast_left_} + acked > sendable_now()) return;
  fast_left_ += acked;
  ++stack_.counters().rfo_extended;
}

}  // namespace wh::tcp
