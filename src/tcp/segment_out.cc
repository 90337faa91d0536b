// Building segments: header from the template, options, and payload by reference.
#include <algorithm>

#include "tcp/stack.h"

namespace wh::tcp {
namespace {

constexpr uint8_t kEct0 = 2;

}  // namespace

// The window field for a segment that leaves now; moves rcv_adv.
uint16_t Connection::advertise(bool is_syn) {
  const uint8_t scale = is_syn ? 0 : rcv_scale_;
  // Rounded up, so that the edge never moves back by what the scale cannot say.
  const uint32_t rounding = (1u << scale) - 1;
  const auto field =
      static_cast<uint16_t>(std::min<uint32_t>((receive_window() + rounding) >> scale, 65535));
  rcv_adv_ = net::later(rcv_adv_, rcv_nxt_ + SeqLen(uint32_t{field} << scale));
  return field;
}

TcpFlags Connection::ecn_flags(bool is_new_data) {
  TcpFlags flags;
  if (!has_ecn_) return flags;
  if (echo_ce_) flags |= net::kTcpEce;
  if (is_new_data && std::exchange(send_cwr_, false)) flags |= net::kTcpCwr;
  return flags;
}

// What lies behind a hole, or came twice, as a segment that leaves now reports it (RFC 2018, RFC
// 2883): so many blocks.
size_t Connection::sacks_now(std::span<SeqRange, ReceiveBuffer::kMaxSackBlocks> blocks) const {
  if (!has_sacks()) return 0;
  size_t count = 0;
  if (has_dsack_) blocks[count++] = dsack_;
  const auto rest = blocks.first(net::sack_room(has_timestamps_)).subspan(count);
  return count + receive_.sack_blocks(rest);
}

void Connection::after_sending(TcpFlags flags, uint32_t packets) {
  total_.segments_sent += packets;
  if (!flags.has(net::kTcpAck)) return;
  if (has_dsack_) {
    ++stack_.counters().dsacks_out;
    has_dsack_ = false;
  }
  last_ack_sent_ = rcv_nxt_;
  ack_now_ = ack_delayed_ = false;
  delack_due_ = kNever;
  unacked_segments_ = 0;
}

net::PacketPtr Connection::make_segment(HeaderTemplate::Fields fields) {
  net::PacketPtr packet = stack_.packet();
  if (packet == nullptr) return nullptr;
  fields.ack = rcv_nxt_;
  fields.window = fields.flags.has(net::kTcpRst) ? 0 : advertise(false);
  fields.tos |= tos_;
  std::array<SeqRange, ReceiveBuffer::kMaxSackBlocks> sacks;
  const size_t count = sacks_now(sacks);
  fields.options = option_bytes() + sack_bytes(count);
  uint8_t* at = headers_.write(*packet, fields);
  if (has_timestamps_) write_timestamps(at, {timestamp_now(), ts_recent_});
  write_sacks(at + option_bytes(), std::span(sacks).first(count));
  return packet;
}

void Connection::dispatch(net::PacketPtr packet) {
  if (!checksum_offload_) complete_tcp_checksum(*packet);
  stack_.send(std::move(packet));
}

// Sends [seq, seq + length) and, with FIN among the flags, the FIN behind it. New data also enters
// the sendmap. False when there is no packet or no sendmap entry: nothing was sent and nothing
// changed.
bool Connection::send_data(SeqNum seq, uint32_t length, SendBuffer::Position& at, TcpFlags flags,
                           bool is_retransmission, Burst& burst) {
  HeaderTemplate::Fields fields;
  fields.seq = seq;
  fields.flags = flags | ecn_flags(!is_retransmission);
  fields.payload = length;
  if (has_ecn_ && !is_retransmission && length > 0) fields.tos = kEct0;
  net::PacketPtr packet = make_segment(fields);
  if (packet == nullptr) return false;
  if (!is_retransmission && !note_new_data(seq, length, at, flags)) return false;
  if (length > 0) send_.attach(*packet, at, length);
  const uint32_t segment = full_payload(), segments = segments_in(length, segment);
  if (segments > 1) packet->gso_size = static_cast<uint16_t>(segment);
  note_sent(seq, length, segments, packet->size() - length, is_retransmission, burst);
  dispatch(std::move(packet));
  after_sending(fields.flags, 1);
  if (box_ != nullptr && !is_retransmission) box_->sent_new(*this, seq, length, segments, flags);
  return true;
}

// Books the payload [seq, seq + length) that leaves in so many segments, each with `headers` bytes
// of IP and TCP.
void Connection::note_sent(SeqNum seq, uint32_t length, uint32_t segments, uint32_t headers,
                           bool is_retransmission, Burst& burst) {
  burst.wire += length + int64_t{segments} * (headers + 14);
  burst.allowance -= length;
  burst.segments += segments;
  burst.sent += length;
  if (recovery_ == Recovery::Recovery) prr_.on_sent(Bytes(length));
  Counters& counters = stack_.counters();
  counters.data_segments_out += segments;
  total_.data_segments_sent += segments;
  counters.data_bytes_out += length;
  total_.sent += Bytes(length);
  if (!is_retransmission) {
    burst.fresh += length;
    return;
  }
  counters.retransmitted_segments += segments;
  counters.retransmitted_bytes += length;
  total_.retransmitted += Bytes(length);
  const SeqRange range{seq, seq + SeqLen(length)};
  if (undo_retransmitted_ == 0) undo_range_ = range;
  undo_range_ = {net::earlier(undo_range_.begin, range.begin),
                 net::later(undo_range_.end, range.end)};
  undo_retransmitted_ += length;
  // Without SACK a repair shows one hole in a round trip: by the first and by that of the first
  // partial acknowledgment the timeout waits, and then looks after what is left (RFC 6582 section
  // 3.2, step 3: "Impatient").
  const bool is_slow = !has_sack_ && recovery_ == Recovery::Recovery;
  if (!is_slow || undo_retransmitted_ <= 2 * mss_) resent_at_ = now();
}

// Enters new data into the sendmap and moves snd_max. False when the pool of entries is empty.
bool Connection::note_new_data(SeqNum seq, uint32_t length, const SendBuffer::Position& at,
                               TcpFlags flags) {
  uint16_t marks = 0;
  if (flags.has(net::kTcpFin)) marks |= SendEntry::kFin;
  if (flags.has(net::kTcpPsh)) marks |= SendEntry::kPush;
  const uint32_t taken = length + (flags.has(net::kTcpFin) ? 1u : 0u);
  if (map_.empty()) first_unanswered_ = now();
  if (!map_.append(seq, taken, send_.advance(at, 0), marks, now(), delivered_total_)) {
    ++stack_.counters().no_packet;
    return false;
  }
  snd_max_ += SeqLen(taken);
  if (flags.has(net::kTcpFin)) fin_sent_ = true;
  return true;
}

bool Connection::send_control(SeqNum seq, TcpFlags flags) {
  HeaderTemplate::Fields fields;
  fields.seq = seq;
  fields.flags = flags | ecn_flags(false);
  net::PacketPtr packet = make_segment(fields);
  if (packet == nullptr) return false;
  ++stack_.counters().acks_out;
  dispatch(std::move(packet));
  after_sending(fields.flags, 1);
  if (box_ != nullptr) box_->sent_control(*this, seq, fields.flags);
  return true;
}

void Connection::send_reset() {
  HeaderTemplate::Fields fields;
  fields.seq = snd_max_;
  fields.flags = net::kTcpRst | net::kTcpAck;
  net::PacketPtr packet = make_segment(fields);
  if (packet == nullptr) return;
  ++stack_.counters().resets_out;
  dispatch(std::move(packet));
  after_sending(fields.flags, 1);
  if (box_ != nullptr) box_->sent_control(*this, fields.seq, fields.flags);
}

// SYN or SYN-ACK: the offers, in FreeBSD's order (mss, window scale, SACK, timestamps).
bool Connection::send_syn() {
  const Tunables& t = stack_.tunables();
  const bool is_answer = state_ == State::SynReceived;
  net::TcpOptions o;
  o.mss = static_cast<uint16_t>(std::min(mtu_ - headers_.ip_size() - 20, 65535u));
  const bool offers = t.rfc1323 != 0 && !no_options_;
  if (is_answer ? has_scaling_ : offers) {
    o.window_scale = is_answer ? rcv_scale_ : stack_.receive_scale();
  }
  o.sack_permitted = is_answer ? has_sack_ : t.sack_enable != 0 && !no_options_;
  if (is_answer ? has_timestamps_ : offers) {
    o.timestamps = net::TcpTimestamps{timestamp_now(), is_answer ? ts_recent_ : 0};
  }
  HeaderTemplate::Fields fields;
  fields.seq = iss_;
  fields.flags = net::kTcpSyn;
  if (is_answer) fields.flags |= net::kTcpAck;
  if (has_ecn_) fields.flags |= is_answer ? net::kTcpEce : net::kTcpEce | net::kTcpCwr;
  fields.ack = is_answer ? rcv_nxt_ : SeqNum(0);
  fields.window = advertise(true);
  fields.tos = tos_;
  fields.options = o.size();
  net::PacketPtr packet = stack_.packet();
  if (packet == nullptr) return false;
  if (map_.empty()) {
    if (!map_.append(iss_, 1, send_.front(), SendEntry::kSyn, now(), 0)) return false;
    snd_max_ = iss_ + SeqLen(1);
    first_unanswered_ = now();
  } else {
    // A SYN that came again makes ours go again, but tells of no loss (RFC 6928 section 2).
    if (map_.front().has(SendEntry::kTimedOut)) syn_was_lost_ = true;
    map_.mark_retransmitted(map_.front(), now(), 0, false);
    if (!is_answer_to_syn_) {
      ++stack_.counters().retransmitted_segments;
    }
    is_answer_to_syn_ = false;
  }
  o.emit({headers_.write(*packet, fields), fields.options});
  dispatch(std::move(packet));
  after_sending(fields.flags, 1);
  if (box_ != nullptr) box_->sent_control(*this, iss_, fields.flags);
  return true;
}

}  // namespace wh::tcp
