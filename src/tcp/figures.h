// The figures that a connection's decisions are made of. Each is asked for several times with every
// segment, so they are inline; some ask the stack, whose header includes this one at its end.
#pragma once

#include <algorithm>

#include "tcp/stack.h"

namespace wh::tcp {

inline Instant Connection::now() const {
  return stack_.now();
}

// --- sending ---

// Bytes of data in the sendmap: what is outstanding, without SYN and FIN.
inline uint32_t Connection::sent_data() const {
  const uint32_t control =
      (is_handshaking() && !map_.empty() ? 1u : 0u) + (fin_is_outstanding() ? 1u : 0u);
  return map_.outstanding() - control;
}

// New data, a FIN, or what is lost.
inline bool Connection::has_payload_to_send() const {
  return unsent() > 0 || map_.lost() > 0 || (shut_down_ && !fin_sent_);
}

inline uint32_t Connection::pipe() const {
  return map_.pipe() - std::min(map_.pipe(), reno_sacked_);
}

// What may be sent of new data at once, windows permitting; ignores bursts and small-segment rules.
inline uint32_t Connection::sendable_now() const {
  const uint32_t out = map_.outstanding();
  const uint32_t peer_room = snd_wnd_ > out ? snd_wnd_ - out : 0;
  return std::min<uint32_t>(peer_room,
                            static_cast<uint32_t>(std::min<size_t>(unsent(), UINT32_MAX)));
}

// What new data counts as in the network. Limited Transmit (RFC 3042): what is reported as arrived
// behind a hole makes room before a recovery begins.
inline uint32_t Connection::new_data_flight() const {
  const bool may_transmit = stack_.tunables().rfc3042 != 0 || recovery_ != Recovery::Open;
  return may_transmit ? pipe() : map_.outstanding();
}

inline int64_t Connection::send_cwnd() const {
  const Bytes cwnd = window_.cwnd;
  if (dgp_ == nullptr) return cwnd.count();
  return std::min(cwnd, dgp_->cwnd_limit(window_.mss, Bytes(wanted_train()))).count();
}

// Payload of the burst to measure the capacity with that should leave next; 0: none.
inline int64_t Connection::wanted_train() const {
  if (dgp_ == nullptr || recovery_ != Recovery::Open || dgp_->is_probing()) return 0;
  return dgp_->wanted_burst(now()) * window_.mss.count();
}

// A burst to measure the capacity with is wanted, and a full window has no room for it: what
// acknowledgments free adds up to it.
inline bool Connection::waits_for_train() const {
  const int64_t train = wanted_train();
  if (train == 0 || sendable_now() < train || int64_t{pipe()} < 2 * train) return false;
  return send_cwnd() - int64_t{pipe()} < train;
}

// --- segments ---

inline uint32_t Connection::timestamp_at(Instant when) const {
  return timestamp_offset_ + static_cast<uint32_t>(when.time_since_epoch() / 1ms);
}
inline uint32_t Connection::timestamp_now() const {
  return timestamp_at(now());
}

inline bool Connection::has_sacks() const {
  constexpr uint32_t kLeastWithSacks = 64;  // A smaller segment has no room for SACK blocks.
  return has_sack_ && mss_ >= kLeastWithSacks && (has_dsack_ || receive_.has_islands());
}

// Payload of a full segment that leaves now: SACK blocks take their room from it (RFC 9293 section
// 3.7.1: what is subtracted are all the options).
inline uint32_t Connection::full_payload() const {
  if (!has_sacks()) return mss_;
  std::array<SeqRange, ReceiveBuffer::kMaxSackBlocks> sacks;
  return mss_ - sack_bytes(sacks_now(sacks));
}

inline uint32_t Connection::segments_in(uint32_t length, uint32_t segment) {
  return length <= segment ? 1 : (length + segment - 1) / segment;
}

// The window to offer (RFC 9293 section 3.8.6): what the buffer has room for, nothing rather than a
// silly little, and never less than was offered before.
inline uint32_t Connection::receive_window() const {
  const auto limit = static_cast<uint32_t>(std::min<int64_t>(receive_limit_.count(), INT32_MAX));
  const auto held = static_cast<uint32_t>(std::min<size_t>(receive_.readable(), limit));
  uint32_t room = limit - held;
  if (room < std::min(limit / 4, mss_)) room = 0;
  const uint32_t offered = rcv_adv_ > rcv_nxt_ ? (rcv_adv_ - rcv_nxt_).count() : 0;
  return std::max(std::min(room, uint32_t{65535} << rcv_scale_), offered);
}

}  // namespace wh::tcp
