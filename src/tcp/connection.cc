#include "tcp/connection.h"

#include <algorithm>

#include "tcp/rate_policy.h"
#include "tcp/stack.h"

namespace wh::tcp {

Connection::Connection(TcpStack& stack, const Endpoint& local, const Endpoint& remote,
                       const net::Route& route)
    : stack_(stack),
      send_(Bytes(stack.tunables().sendspace)),
      map_(stack.entries_, send_),
      headers_(local, remote),
      receive_limit_(stack.tunables().recvspace),
      local_(local),
      remote_(remote),
      mtu_(route.mtu),
      checksum_offload_(route.checksum_offload),
      max_gso_(route.checksum_offload ? route.max_gso : 0) {
  const Tunables& t = stack.tunables();
  send_auto_ = t.sendbuf_auto != 0;
  receive_auto_ = t.recvbuf_auto != 0;
  keepalive_ = t.always_keepalive != 0;
  timestamp_offset_ = stack.timestamp_offset(local, remote);
  tune_timestamp_ = timestamp_now();
  peer_mss_ = static_cast<uint32_t>(local.address.is_v4() ? t.mssdflt : t.v6mssdflt);
  pacer_.limits() = usual_burst_limits(t);
  window_.initial = {static_cast<uint32_t>(t.initcwnd_segments), t.rfc3390 != 0};
  fcc_ = Rate::bytes_per_second(static_cast<uint64_t>(t.fillcw_cap));
  fcc_share_ = static_cast<uint8_t>(t.fillcw_share);
  if (t.defprofile != 0) MUST(set_profile(t.defprofile));  // Its bounds are the profiles.
  last_heard_ = last_sent_at_ = now();
}

Connection::~Connection() {
  CHECK(!is_listed_);
}

// --- the life of it ---

void Connection::open_actively(SeqNum iss) {
  iss_ = snd_una_ = snd_max_ = recover_ = round_end_ = iss;
  has_timestamps_ = has_sack_ = true;  // Offered; the answer decides.
  has_ecn_ = stack_.tunables().ecn_enable == 1;
  update_mss();
  enter(State::SynSent);
  idle_due_ = now() + (keep_init_ > Duration::zero()
                           ? keep_init_
                           : std::chrono::milliseconds(stack_.tunables().keepinit_ms));
  stack_.mark(*this);
}

void Connection::open_passively(const Segment& syn, SeqNum iss) {
  iss_ = snd_una_ = snd_max_ = recover_ = round_end_ = iss;
  irs_ = syn.seq;
  rcv_nxt_ = rcv_adv_ = last_ack_sent_ = irs_ + SeqLen(1);
  negotiate(syn.options);
  constexpr TcpFlags kAsksForEcn = net::kTcpEce | net::kTcpCwr;
  has_ecn_ = stack_.tunables().ecn_enable != 0 && syn.flags.has(kAsksForEcn);
  snd_wnd_ = max_snd_wnd_ = syn.window;  // Never scaled in a SYN (RFC 7323 section 2.2).
  snd_wl1_ = syn.seq;
  enter(State::SynReceived);
  idle_due_ = now() + (keep_init_ > Duration::zero()
                           ? keep_init_
                           : std::chrono::milliseconds(stack_.tunables().keepinit_ms));
  stack_.mark(*this);
}

void Connection::adopt_cookie(const Segment& ack, SeqNum iss, SeqNum irs,
                              const net::TcpOptions& offered) {
  iss_ = iss;
  irs_ = irs;
  recover_ = iss;
  snd_una_ = snd_max_ = round_end_ = iss + SeqLen(1);
  rcv_nxt_ = rcv_adv_ = last_ack_sent_ = irs + SeqLen(1);
  rcv_adv_ += SeqLen(65535);
  negotiate(offered);
  snd_wnd_ = max_snd_wnd_ = uint32_t{ack.window} << snd_scale_;
  snd_wl1_ = ack.seq;
  snd_wl2_ = ack.ack;
  become_established();
}

void Connection::negotiate(const net::TcpOptions& options) {
  const Tunables& t = stack_.tunables();
  if (no_options_) return negotiate_nothing(options);
  if (options.mss) peer_mss_ = *options.mss;
  has_sack_ = t.sack_enable != 0 && options.sack_permitted;
  has_timestamps_ = t.rfc1323 != 0 && options.timestamps.has_value();
  if (has_timestamps_) {
    ts_recent_ = options.timestamps->value;
    ts_recent_at_ = now();
  }
  has_scaling_ = t.rfc1323 != 0 && options.window_scale.has_value();
  if (has_scaling_) {
    constexpr uint8_t kMostScale = 14;  // RFC 7323 section 2.3
    snd_scale_ = std::min(*options.window_scale, kMostScale);
    rcv_scale_ = stack_.receive_scale();
  } else {
    snd_scale_ = rcv_scale_ = 0;
  }
  update_mss();
  round_buffers();
}

// TCP_NOOPT, or a peer that did not answer until no options were offered.
void Connection::negotiate_nothing(const net::TcpOptions& options) {
  if (options.mss) peer_mss_ = *options.mss;
  has_sack_ = has_timestamps_ = has_scaling_ = false;
  snd_scale_ = rcv_scale_ = 0;
  update_mss();
  round_buffers();
}

void Connection::update_mss() {
  const uint32_t largest = mtu_ - headers_.ip_size() - 20;
  const auto least = static_cast<uint32_t>(stack_.tunables().minmss);
  constexpr uint32_t kLeastPayload = 8;  // Whatever the application and a tiny MTU ask.
  const uint32_t segment =
      std::min({std::max(peer_mss_, least), largest, own_max_segment_, blackhole_segment_});
  mss_ = std::max(segment, option_bytes() + kLeastPayload) - option_bytes();
  window_.mss = Bytes(mss_);
}

// A full buffer is to be full segments: both become a multiple of the segment size, as FreeBSD's
// tcp_mss() has it.
void Connection::round_buffers() {
  const int64_t segment = max_segment(), most = stack_.tunables().maxsockbuf;
  const auto rounded = [&](Bytes limit) {
    if (limit.count() <= segment) return limit;
    return Bytes(
        std::max(limit.count(), std::min((limit.count() + segment - 1) / segment * segment, most)));
  };
  send_.set_limit(rounded(send_.limit()));
  receive_limit_ = rounded(receive_limit_);
}

void Connection::become_established() {
  enter(State::Established);
  ++stack_.counters().established;
  control_->on_established(window_);
  if (syn_was_lost_) window_.cwnd = window_.mss;  // RFC 6928 section 2
  timeouts_in_row_ = backoffs_ = 0;               // RFC 6298 section 5.7: begun anew.
  window_.max_cwnd = Bytes(int64_t{65535} << snd_scale_);
  unsent_at_ = send_.front();
  restart_idle_timer();
  tell(kConnected | kWritable);
  if (listener_ != nullptr) listener_->on_established(*this);
  if (shut_down_) enter(State::FinWait1);  // It was shut down during the handshake.
}

void Connection::enter(State state) {
  const State from = std::exchange(state_, state);
  if (box_ != nullptr) box_->entered(*this, from);
}

void Connection::enter_time_wait() {
  enter(State::TimeWait);
  if (stack_.tunables().nolocaltimewait != 0 &&
      stack_.ip_.is_local(remote_.address, remote_.table)) {
    if (ack_now_) send_ack();
    return finish(End::Normal);
  }
  stop_timers();
  map_.clear();
  send_.clear();
  receive_.clear_islands();
  snd_una_ = snd_max_;
  clear_fast_send();
  idle_due_ = now() + 2 * std::chrono::milliseconds(stack_.tunables().msl_ms);
  end_ = End::Normal;
  tell(kEnded);
  stack_.mark(*this);
}

void Connection::finish(End end) {
  if (state_ == State::Closed) return;
  if (end_ == End::None) end_ = end;
  if (is_handshaking()) map_.clear();  // Its SYN is no data to any other state.
  enter(State::Closed);
  ++stack_.counters().closed;
  limits_.note(now(), LimitClock::State::Idle);
  stop_timers();
  map_.clear();
  send_.clear();
  receive_.clear_islands();
  snd_una_ = snd_max_;
  reno_sacked_ = 0;
  clear_fast_send();
  ack_now_ = ack_delayed_ = challenge_due_ = false;
  if (is_listed_) stack_.remove(*this);
  if (listener_ != nullptr) {
    listener_->forget(*this);
    is_released_ = true;
  }
  tell(kEnded | kReadable | kWritable);
  if (is_released_) stack_.bury(*this);
}

void Connection::tell(uint8_t readiness) {
  if (observer_ == nullptr) return;
  told_ |= readiness;
  if (!in_batch_.is_linked()) stack_.batch_.push_back(*this);
}

// RFC 5927: an error counts only when it quotes what is outstanding now.
void Connection::on_ip_error(const net::IpError& error, SeqNum quoted) {
  Counters& counters = stack_.counters();
  if (map_.empty() || quoted < snd_una_ || quoted >= snd_max_) return void(++counters.icmp_ignored);
  switch (error.kind) {
    case net::IpError::Kind::PacketTooBig: return lower_mtu(error.mtu);
    case net::IpError::Kind::PortUnreachable:
    case net::IpError::Kind::ProtocolUnreachable:
    case net::IpError::Kind::AdminProhibited:
      if (state_ == State::SynSent && stack_.tunables().icmp_may_rst != 0) finish(End::Refused);
      return;
    case net::IpError::Kind::TimeExceeded:
      if (state_ == State::SynSent && stack_.tunables().icmp_may_rst != 0) finish(End::Unreachable);
      return;
    case net::IpError::Kind::HostUnreachable:
    case net::IpError::Kind::NetUnreachable:
      // Soft: the timers decide (RFC 1122 section 4.2.3.9), unless nobody has answered for long.
      if (is_handshaking() && timeouts_in_row_ > 3 && soft_error_ != End::None)
        return finish(soft_error_);
      soft_error_ = End::Unreachable;
      return;
    default: return;
  }
}

// RFC 1191 and RFC 8201: segments get smaller, and what is outstanding and too long is sent again
// at once.
void Connection::lower_mtu(uint32_t mtu) {
  const bool is_v4 = local_.address.is_v4();
  const uint32_t least = is_v4 ? 296 : 1280;
  if (mtu == 0 && is_v4)
    mtu = mtu_ > 1492 ? 1492 : mtu_ > 1006 ? 1006 : 576;  // RFC 1191 section 7.1
  const bool is_false = !is_v4 && mtu < least;            // RFC 8201 section 4: to be discarded.
  if (stack_.tunables().path_mtu_discovery == 0 || mtu >= mtu_ || is_false)
    return void(++stack_.counters().icmp_ignored);
  mtu_ = std::max(mtu, std::min(least, mtu_));
  ++stack_.counters().pmtu_changes;
  update_mss();
  window_.cwnd = std::max(window_.cwnd, window_.mss);
  clear_fast_send();
  if (!is_handshaking()) map_.mark_all_lost();
  if (box_ != nullptr) box_->lost(*this, map_.lost(), BlackBox::LossBy::PathMtu);
  stack_.mark(*this);
}

// --- verbs ---

template <class What>
Result<size_t> Connection::write(const What& what, size_t size) {
  stack_.turn_to(*this);
  if (!can_send_data()) return fail_with(std::errc::not_connected, to_string(state_));
  TcpStack::Batch batch(stack_);
  const bool was_idle = send_.size() == 0;
  const size_t taken = send_.append(what);
  if (taken < size) writer_waits_ = true;
  if (was_idle && taken > 0) unsent_at_ = send_.front();
  if (taken > 0 && !is_handshaking()) {
    // RFC 5681 section 4.1: after an idle time the window says nothing of the path.
    if (map_.empty() && now() - last_sent_at_ > rto()) {
      const Bytes cwnd = window_.cwnd;
      control_->on_idle(window_);
      if (box_ != nullptr && window_.cwnd < cwnd) box_->cut(*this, cwnd, "idle");
    }
    stack_.mark(*this);
  }
  return taken;
}

Result<size_t> Connection::send(std::span<const uint8_t> bytes) {
  return write(bytes, bytes.size());
}
Result<size_t> Connection::send(const net::Slice& slice) {
  return write(slice, slice.size);
}

size_t Connection::recv(std::span<uint8_t> out) {
  const size_t n = receive_.read(out);
  after_read();
  return n;
}

net::Slice Connection::recv_slice(size_t most) {
  net::Slice slice = receive_.read_slice(most);
  after_read();
  return slice;
}

size_t Connection::discard(size_t most) {
  const size_t n = receive_.discard(most);
  after_read();
  return n;
}

void Connection::after_read() {
  if (!can_receive(state_) || !needs_window_update()) return;
  TcpStack::Batch batch(stack_);
  stack_.mark(*this);
}

void Connection::shutdown_send() {
  if (shut_down_ || state_ == State::Closed) return;
  TcpStack::Batch batch(stack_);
  shut_down_ = true;
  clear_fast_send();
  if (state_ == State::Established) enter(State::FinWait1);
  if (state_ == State::CloseWait) enter(State::LastAck);
  stack_.mark(*this);
}

void Connection::close() {
  CHECK(!is_released_);
  TcpStack::Batch batch(stack_);
  is_released_ = true;
  observer_ = nullptr;
  told_ = 0;
  receive_.discard(receive_.readable());
  if (state_ == State::Closed) return stack_.bury(*this);
  if (state_ == State::SynSent) return finish(End::Aborted);  // RFC 9293 section 3.10.4
  shutdown_send();
  if (state_ == State::FinWait2) {
    restart_idle_timer();
    stack_.mark(*this);
  }
}

void Connection::drop() {
  TcpStack::Batch batch(stack_);
  finish(End::Aborted);
}

void Connection::abort() {
  CHECK(!is_released_);
  TcpStack::Batch batch(stack_);
  is_released_ = true;
  observer_ = nullptr;
  told_ = 0;
  if (state_ == State::Closed) return stack_.bury(*this);
  if (is_synchronised(state_) && state_ != State::TimeWait) send_reset();
  if (state_ == State::SynReceived) send_reset();
  finish(End::Aborted);
}

// --- settings ---

void Connection::set_black_box(std::unique_ptr<BlackBox> box) {
  box_ = std::move(box);
  if (box_ != nullptr) box_->opened(*this);
}

void Connection::set_nodelay(bool on) {
  nodelay_ = on;
  TcpStack::Batch batch(stack_);
  if (on) stack_.mark(*this);
}

void Connection::set_cork(bool on) {
  cork_ = on;
  TcpStack::Batch batch(stack_);
  if (!on) stack_.mark(*this);
}

void Connection::set_keepalive(bool on) {
  keepalive_ = on;
  if (state_ != State::Established && state_ != State::CloseWait) return;
  TcpStack::Batch batch(stack_);
  restart_idle_timer();
  stack_.mark(*this);
}

void Connection::set_keepalive_times(Duration idle, Duration interval, int64_t count) {
  keep_idle_ = idle;
  keep_interval_ = interval;
  keep_count_ = count;
  set_keepalive(keepalive_);
}

void Connection::set_max_segment(uint32_t bytes) {
  own_max_segment_ = bytes;
  if (state_ == State::Closed) return;
  update_mss();
  window_.cwnd = std::max(window_.cwnd, window_.mss);
}

void Connection::set_send_buffer(Bytes limit) {
  send_auto_ = false;
  send_.set_limit(std::max(limit, Bytes(1)));
}

void Connection::set_receive_buffer(Bytes limit) {
  receive_auto_ = false;
  receive_limit_ = std::max(limit, Bytes(1));
}

Result<void> Connection::set_congestion(std::string_view name) {
  auto made = TRY(stack_.make_congestion(name));
  control_ = std::move(made);
  // The pace that the old one asked for goes with it.
  if (pace_by_ == pacing::PaceBy::Control && dgp_ == nullptr) set_pace_rate(Rate::infinite());
  return {};
}

void Connection::set_pace_rate(Rate rate) {
  TcpStack::Batch batch(stack_);
  dgp_ = nullptr;
  pace_by_ = rate.is_infinite() ? pacing::PaceBy::Nothing : pacing::PaceBy::Fixed;
  pacer_.set_policy({.is_precise = stack_.wheel().is_precise()});
  fixed_pace_.fill(rate);
  pacer_.set_rate(rate);
  window_.has_rate_policy = false;
  window_.is_paced = pacer_.is_on();
  clear_fast_send();
  if (box_ != nullptr) box_->rate_set(*this);
  if (!is_handshaking()) stack_.mark(*this);
}

// --- for tests ---

void Connection::check_invariants() const {
  map_.check_invariants(snd_una_, snd_max_);
  receive_.check_invariants(rcv_nxt_);
  CHECK(send_.size() >= sent_data());
  if (state_ == State::Closed) {
    CHECK(map_.empty() && send_.size() == 0 && !receive_.has_islands());
    CHECK(!in_hpts() && next_timer() == kNever && !is_listed_);
    CHECK(idle_entry_due_ == kNever && idle_due_ == kNever);
    return;
  }
  CHECK(is_listed_);
  if (is_synchronised(state_)) CHECK_GE(window_.cwnd, window_.mss);
  CHECK(rcv_nxt_ <= rcv_adv_ + SeqLen(1));
  // Whatever is due is on the wheel, and no later.
  if (next_timer() != kNever && !wants_output_) CHECK(in_hpts());
  if (idle_due_ != kNever && !wants_output_) CHECK(idle_entry_due_ <= idle_due_);
  if (!map_.empty() && state_ != State::TimeWait && !wants_output_) {
    CHECK(recovery_timer_ != TimerKind::None || pacer_.is_pacing());
  }
}

}  // namespace wh::tcp
