// One TCP connection: the control block, and what an application and the stack may do with it.
//
//        send() ---> SendBuffer ---> SendMap ---------> segments --->   output.cc, segment_out.cc
//                                     | RACK, PRR            ^               recovery.cc
//                        acks ---> congestion control     the gate: pacing   timers.cc
//        recv() <--- ReceiveBuffer <------------------- segments <---        input.cc, ack.cc
//
// Nothing is sent from where something changes: input, timers and the application's verbs mark the
// connection, and when the stack's batch ends output is considered once (stack.h). While a pacing
// delay runs output does nothing. The pacing delay or else the nearest timer goes through the
// wheel, as one entry; the idle timer, hours away, waits in the stack.
//
// Ownership: connections belong to their stack. close() and abort() give the connection up: the
// pointer is not to be used after them (the stack keeps it while the peer needs it). Until then it
// stays valid, also when the connection has ended. Threads: belongs to its stack's loop. Invariants
// (check_invariants): the sendmap tiles [snd_una, snd_max); cwnd is at least one segment; what was
// sent and not acknowledged is in the buffer; a closed connection holds no data and no timer.
#pragma once

#include <array>
#include <memory>

#include "core/intrusive_list.h"
#include "core/result.h"
#include "net/ip_service.h"
#include "pacing/dgp.h"
#include "pacing/hpts.h"
#include "tcp/congestion/congestion.h"
#include "tcp/idle_timers.h"
#include "tcp/limit_clock.h"
#include "tcp/own_options.h"
#include "tcp/pacer.h"
#include "tcp/receive_buffer.h"
#include "tcp/recovery/prr.h"
#include "tcp/recovery/rack.h"
#include "tcp/rtt.h"
#include "tcp/segment.h"
#include "tcp/send_buffer.h"
#include "tcp/sendmap.h"
#include "tcp/types.h"

namespace wh::tcp {

class BlackBox;

class Connection final : private pacing::HptsClient {
 public:
  // Made by a stack: TcpStack::connect() or a Listener.
  Connection(TcpStack& stack, const Endpoint& local, const Endpoint& remote,
             const net::Route& route);
  ~Connection() override;

  // --- verbs ---
  // Takes as many bytes as there is room for, which may be none; kWritable tells when to go on.
  // Errors: not_connected when the connection has ended or was shut down, with the reason.
  Result<size_t> send(std::span<const uint8_t> bytes);
  // The same by reference: the chunk must not change until acknowledged.
  Result<size_t> send(const net::Slice& slice);
  // Takes up to out.size() bytes; 0 when none are there. at_end() tells an end of stream from a
  // pause.
  size_t recv(std::span<uint8_t> out);
  net::Slice recv_slice(size_t most);  // Without copying; empty when none are there.
  size_t peek(std::span<uint8_t> out) const { return receive_.peek(out); }  // They stay.
  size_t discard(size_t most);  // As recv(), for who does not want to look.
  void shutdown_send();         // FIN after what was written. Nothing when done before.
  void close();                 // Gives the connection up; what was written is still delivered.
  void abort();                 // Gives the connection up with a RST.
  void drop();                  // Ends it without a word to the peer, as tcpdrop(8) does.

  // --- settings; as FreeBSD's socket options of these names ---
  void set_observer(ConnectionObserver* observer) { observer_ = observer; }
  ConnectionObserver* observer() const { return observer_; }
  // Logs what is decided from now on (tcp/black_box.h); null ends that.
  void set_black_box(std::unique_ptr<BlackBox> box);
  void set_nodelay(bool on);                           // TCP_NODELAY
  void set_cork(bool on);                              // TCP_NOPUSH: only full segments
  void set_keepalive(bool on);                         // SO_KEEPALIVE
  void set_send_buffer(Bytes limit);                   // SO_SNDBUF; ends its automatic growth
  void set_receive_buffer(Bytes limit);                // SO_RCVBUF
  Result<void> set_congestion(std::string_view name);  // TCP_CONGESTION. Errors: unknown.
  void set_user_timeout(Duration timeout) { user_timeout_ = timeout; }  // RFC 5482; 0: none
  // TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_KEEPINIT; 0 for the stack's.
  void set_keepalive_times(Duration idle, Duration interval, int64_t count);
  void set_connect_timeout(Duration timeout) { keep_init_ = timeout; }
  void set_max_segment(uint32_t bytes);  // TCP_MAXSEG: at most this, options included.
  void set_delayed_ack(bool on) { delayed_ack_ = on; }  // TCP_DELACK
  void set_no_options(bool on) { no_options_ = on; }    // TCP_NOOPT: offer none, and take none.
  void set_traffic_class(uint8_t tos) { tos_ = tos & 0xfc; }          // IP_TOS, less ECN's bits.
  void set_hop_limit(uint8_t hops) { headers_.set_hop_limit(hops); }  // IP_TTL
  // A fixed pace in all states: frame bytes a second, above 0; Rate::infinite() ends all pacing.
  void set_pace_rate(Rate rate);
  // TCP_RACK_PACE_RATE_SS, _CA, _REC: in one state, and in those that have none. REQUIRES: finite.
  void set_pace_rate(pacing::Phase phase, Rate rate);
  // TCP_RACK_PROFILE: 0 chooses no rate, 1 is Dynamic Goodput Pacing, 6 the same with a discounted
  // FillCwBw. Errors: another number; device_or_resource_busy when a fixed rate is set.
  Result<void> set_profile(int64_t profile);
  static Result<void> check_profile(int64_t profile);
  // TCP_FILLCW_RATE_CAP: DGP's FCC. Zero is no cap. Kept until DGP is on.
  void set_fcc(Rate fcc);
  // FCC as a share of the path's measured capacity. REQUIRES: 1 to 100 percent.
  void set_fcc_share(uint32_t percent);
  // TCP_RACK_PACE_TO_FILL: pace at cwnd / RTT, whatever the congestion control; under a profile
  // whether FillCwBw counts. Errors: as set_profile().
  Result<void> set_pace_to_fill(bool on);
  // TCP_RACK_PACE_ALWAYS: without a rate or a profile the pace is twice the estimated goodput.
  void set_pace_always(bool on);
  // FreeBSD's RACK options, by number, with their C values (tcp/socket_option.h). Errors: as
  // read_pacing_option(); device_or_resource_busy. get returns the bytes written.
  Result<void> set_option(int option, std::span<const uint8_t> value);
  Result<size_t> get_option(int option, std::span<uint8_t> value) const;
  pacing::BurstLimits& burst_limits() { return pacer_.limits(); }

  // --- queries ---
  State state() const { return state_; }
  End end() const { return end_; }
  bool at_end() const { return fin_received_ && receive_.readable() == 0; }
  size_t readable() const { return receive_.readable(); }
  size_t writable() const { return can_send_data() ? send_.space() : 0; }
  size_t unacknowledged() const { return send_.size(); }  // Written and not yet acknowledged.
  Bytes send_buffer() const { return send_.limit(); }
  Bytes receive_buffer() const { return receive_limit_; }
  uint32_t max_segment() const { return mss_ + option_bytes(); }  // t_maxseg: options included.
  const Endpoint& local() const { return local_; }
  const Endpoint& remote() const { return remote_; }
  Info info() const;
  TcpStack& stack() { return stack_; }
  const SendMap& sendmap() const { return map_; }
  const Pacer& pacer() const { return pacer_; }
  const CongestionState& congestion() const { return window_; }
  const CongestionControl* congestion_control() const { return control_.get(); }
  Rate fixed_pace(pacing::Phase phase) const { return fixed_pace_[static_cast<size_t>(phase)]; }
  // The pace now, taken apart (what decided it, and from what). For reports.
  pacing::PaceParts pace_parts() const;

  // Fails a CHECK when an invariant does not hold. For tests and simulations, after any event.
  void check_invariants() const;

 private:
  friend class TcpStack;
  friend class Listener;
  friend class BlackBox;
  friend class IdleTimers;
  friend struct ConnectionTestPeer;

  enum class TimerKind : uint8_t { None, Retransmit, TailLossProbe, Reorder, Persist, Memory };
  struct Burst {
    int64_t allowance;  // Payload bytes that may still leave.
    int64_t wire = 0;   // Frame bytes that left.
    uint32_t segments = 0;
    int64_t fresh = 0;  // Payload bytes that left for the first time,
    int64_t sent = 0;   // and all of them.
  };
  struct AckWork {  // What an acknowledgment turned out to do.
    uint32_t newly_acked = 0, delivered = 0;
    uint32_t flight_before = 0;
    uint64_t delivered_before = 0;  // In all, when the newest of what was delivered had left.
    Duration rtt{0};                // Lowest sample; 0 for none.
    Duration rtt_once{0};  // The same of what was sent once, while it is not known to be worth it.
    bool has_dsack = false, sacked_new = false, is_round_start = false, is_dupack = false;
    bool acked_retransmitted = false;
    Instant newest_sent_at{};  // Last transmission of the most recently sent of what was delivered.
    Instant acked_sent_at{};   // First transmission of the last byte acknowledged cumulatively.
  };

  // connection.cc: the life of it.
  void open_actively(SeqNum iss);
  void open_passively(const Segment& syn, SeqNum iss);
  void adopt_cookie(const Segment& ack, SeqNum iss, SeqNum irs, const net::TcpOptions& offered);
  void become_established();
  void enter(State state);
  void on_ip_error(const net::IpError& error, SeqNum quoted);
  void lower_mtu(uint32_t mtu);
  void finish(End end);  // To CLOSED: frees everything, tells the application.
  void enter_time_wait();
  void negotiate(const net::TcpOptions& options);
  void negotiate_nothing(const net::TcpOptions& options);
  void update_mss();
  void round_buffers();
  bool can_send_data() const {
    return (state_ == State::Established || state_ == State::CloseWait ||
            state_ == State::SynSent || state_ == State::SynReceived) &&
           !shut_down_;
  }
  void tell(uint8_t readiness);
  template <class What>
  Result<size_t> write(const What& what, size_t size);
  void after_read();
  uint32_t sent_data() const;
  size_t unsent() const { return send_.size() - sent_data(); }
  bool fin_is_outstanding() const { return fin_sent_ && !fin_acked_ && !map_.empty(); }
  bool is_handshaking() const { return state_ == State::SynSent || state_ == State::SynReceived; }

  // input.cc: what a segment does.
  void input(const Segment& s);
  void input_syn_sent(const Segment& s);
  void keep_early(const Segment& s);
  bool makes_way_for(const Segment& s) const;
  void input_time_wait(const Segment& s);
  bool check_timestamps(const Segment& s);
  void handle_reset_or_syn(const Segment& s);
  void input_synchronised(const Segment& original);
  void input_in_window(const Segment& original, const Segment& s);
  bool trim(Segment& s);
  void cut_duplicate(Segment& s);
  bool check_ack(const Segment& s);
  void take_payload(const Segment& s);
  void acknowledge_soon(bool at_once);
  void note_dsack(const SeqRange& range);
  uint32_t receive_window_at_open() const;
  void take_fin(SeqNum at);
  void process_fin();
  void update_ts_recent(const Segment& s);
  void grow_receive_buffer(const Segment& s, uint32_t bytes);
  void challenge();
  bool may_challenge();
  void answer(const Segment& s, const SeqRange& twice = {});
  uint32_t window_held() const;
  void note_ecn(const Segment& s);

  // ack.cc: what an acknowledgment does.
  bool process_ack(const Segment& s);  // False: the segment goes no further.
  void advance_una(const Segment& s, AckWork& work);
  void process_sacks(const Segment& s, AckWork& work);
  bool process_dsack(const Segment& s);
  bool may_split_for_sack() const;
  void sack_range(SeqNum begin, SeqNum end, const Segment& s, AckWork& work);
  void note_delivered(const SendEntry& e, SeqNum end, uint32_t bytes, const Segment& s,
                      AckWork& work);
  void update_send_window(const Segment& s);
  bool note_dupack(const Segment& s, AckWork& work);
  void discount_dupacks(AckWork& work);
  void grow_window(const Segment& s, const AckWork& work);
  void make_room();
  static void keep_once_sent(AckWork& work);
  void take_rtt(Duration rtt);
  void after_our_fin_acked();

  // recovery.cc: losses and what is done about them.
  void detect_losses(const AckWork& work);
  void look_for_losses(Instant now);
  void mark_lost_without_sack(const AckWork& work);
  void enter_recovery(uint32_t flight_before);
  void run_recovery(const AckWork& work, bool found_loss);
  void leave_recovery();
  void remember_for_undo();
  void undo_reduction();
  bool may_undo() const;
  void undo_if_all_duplicate();
  void on_timeout();
  void detect_spurious(const Segment& s, const AckWork& work);
  void settle_tlp(const Segment& s, const AckWork& work);
  void react_to_ecn(const Segment& s);
  void note_reduction();
  Rack::Situation rack_situation() const;
  bool is_prr_off() const;
  uint32_t pipe() const;

  // output.cc: what may leave, decided once a batch.
  void output();
  bool open_gate(Instant now);
  void send_full(Burst& burst);
  bool send_retransmission(Burst& burst);
  bool retransmit(SendEntry& e, uint32_t most, bool is_probe, Burst& burst);
  bool send_new(Burst& burst);
  void send_probe(Burst& burst);
  bool send_handshake();
  bool has_payload_to_send() const;
  uint32_t sendable_now() const;
  uint32_t new_data_flight() const;
  uint32_t largest_send(uint32_t segment) const;
  bool may_send_small(uint32_t length, uint32_t available) const;
  bool needs_window_update() const;
  void finish_output(Instant now, const Burst& burst);
  void note_limit(Instant now);
  int64_t burst_allowance() const;

  // rate_policy.cc: the pace.
  enum class Policy : uint8_t { None, Dgp, Fill, Estimate };
  Policy policy() const;
  Result<void> set_policy(Policy policy);
  bool has_rate_policy() const { return dgp_ != nullptr; }
  bool has_model() const { return control_ != nullptr && control_->owns_window(); }
  pacing::Dgp::Situation dgp_situation() const;
  pacing::Phase fixed_pace_phase() const;
  void choose_pace();
  void adopt_pace(Rate rate, pacing::PaceBy by);
  void tell_sent(const Burst& burst);
  void tell_acked(const Segment& s, const AckWork& work);
  void tell_loss();
  void tell_delivery(Instant when, const AckWork& work, const SendMap::LossMark& before);
  int64_t send_cwnd() const;
  int64_t wanted_train() const;
  bool waits_for_train() const;

  // socket_option.cc
  Result<void> apply_option(int option, uint64_t value);
  void apply_dgp_option(int option, uint64_t value);
  void apply_own_option(int option, uint64_t value);
  uint64_t option_now(int option) const;

  // fast_output.cc
  bool send_fast(Burst& burst);
  bool retransmit_fast(SendEntry& e, uint32_t most, Burst& burst);
  bool has_plain_headers() const { return !has_dsack_ && !receive_.has_islands(); }
  net::Frame packets_for(uint32_t& length);
  void send_stamped(net::Frame&& packets, SeqNum seq, uint32_t length, SendBuffer::Position& at,
                    TcpFlags last, bool is_retransmission, Burst& burst);
  void set_up_fast_send();
  void extend_fast_send(uint32_t acked);
  void clear_fast_send() { fast_left_ = 0; }

  // segment_out.cc: building segments.
  bool send_data(SeqNum seq, uint32_t length, SendBuffer::Position& at, TcpFlags flags,
                 bool is_retransmission, Burst& burst);
  bool note_new_data(SeqNum seq, uint32_t length, const SendBuffer::Position& at, TcpFlags flags);
  net::PacketPtr make_segment(HeaderTemplate::Fields fields);
  void dispatch(net::PacketPtr packet);
  static uint32_t segments_in(uint32_t length, uint32_t segment);
  void note_sent(SeqNum seq, uint32_t length, uint32_t segments, uint32_t headers,
                 bool is_retransmission, Burst& burst);
  bool send_control(SeqNum seq, TcpFlags flags);
  // While our FIN is on its way every acknowledgment repeats it, as FreeBSD's do.
  void send_ack() {
    const bool repeats_fin = fin_is_outstanding();
    send_control(repeats_fin ? snd_max_ - SeqLen(1) : snd_max_,
                 repeats_fin ? net::kTcpAck | net::kTcpFin : net::kTcpAck);
  }
  void send_reset();
  size_t sacks_now(std::span<SeqRange, ReceiveBuffer::kMaxSackBlocks> blocks) const;
  bool has_sacks() const;
  uint32_t full_payload() const;
  uint16_t advertise(bool is_syn);
  uint32_t receive_window() const;
  bool send_syn();
  uint32_t option_bytes() const { return has_timestamps_ ? kTimestampBytes : 0; }
  uint32_t timestamp_at(Instant when) const;
  uint32_t timestamp_now() const;
  TcpFlags ecn_flags(bool is_new_data);
  void after_sending(TcpFlags flags, uint32_t packets);

  // timers.cc
  void hpts_output(Duration delayed_by) override;
  void idle_output();
  void run_timers(Instant now);
  void arm_timers(Instant now);
  void choose_recovery_timer(Instant now);
  bool lacked_packet(Instant now) const;
  Duration rto() const;
  Duration least_timeout() const;
  Duration persist_interval() const;
  Instant user_timeout_due() const;
  bool is_user_timeout() const;
  void suspect_blackhole();
  void on_recovery_timer(TimerKind kind);
  void on_idle_timer();
  void restart_idle_timer();
  Duration keep_idle() const;
  Duration keep_interval() const;
  Duration finwait2_time() const;
  void stop_timers();
  Instant next_timer() const;  // Of those that the wheel keeps.
  static std::string_view timer_name(TimerKind kind);
  Instant now() const;
  RtoProfile rto_profile() const;

  // --- touched by every segment, kept together ---
  TcpStack& stack_;
  std::unique_ptr<BlackBox> box_;  // Null unless decisions are logged.
  State state_ = State::Closed;
  Recovery recovery_ = Recovery::Open;
  bool wants_output_ = false;   // On the stack's list of connections to consider.
  bool ack_now_ = false;        // An acknowledgment is owed at once,
  bool ack_delayed_ = false;    // or may wait for delack_due_.
  bool challenge_due_ = false;  // An acknowledgment that is nothing else (RFC 5961).
  bool has_timestamps_ = false, has_sack_ = false, has_ecn_ = false, has_scaling_ = false;
  uint8_t snd_scale_ = 0, rcv_scale_ = 0;
  uint8_t told_ = 0;          // Readiness to report when the batch ends.
  SeqNum snd_una_, snd_max_;  // What is outstanding; snd_max is also the next to send.
  uint32_t snd_wnd_ = 0;
  SeqNum snd_wl1_, snd_wl2_;
  SeqNum rcv_nxt_, rcv_adv_;  // Next expected; right edge of the window offered.
  SeqNum last_ack_sent_;
  uint32_t ts_recent_ = 0;
  uint32_t unacked_segments_ = 0;  // Received since the last acknowledgment left.
  uint32_t mss_ = 536;             // Payload of a full segment, options taken off.
  uint32_t fast_left_ = 0;         // Fast send block: bytes it may still send.
  CongestionState window_;
  SendBuffer::Position unsent_at_;  // Where the byte snd_max is.
  Pacer pacer_;
  TimerKind recovery_timer_ = TimerKind::None;
  Instant recovery_due_ = kNever, delack_due_ = kNever;
  Instant rack_due_ = kNever;  // When RACK wants to look again.
  Instant idle_due_ = kNever;  // Keepalive, FIN-WAIT-2, TIME-WAIT: the state says which.
  IdleTimers::Entry idle_entry_;
  Instant idle_entry_due_ = kNever;  // kNever: no entry. It may be earlier than needed.
  Instant wheel_due_ = kNever;  // When the wheel was asked to call; it may be earlier than needed.

  SendBuffer send_;
  SendMap map_;
  ReceiveBuffer receive_;
  RttEstimator rtt_;
  Rack rack_;
  Prr prr_;
  std::unique_ptr<CongestionControl> control_;
  std::unique_ptr<pacing::Dgp> dgp_;  // The rate policy; null: none.
  pacing::PaceBy pace_by_ = pacing::PaceBy::Nothing;
  std::array<Rate, 3> fixed_pace_ = {Rate::infinite(), Rate::infinite(), Rate::infinite()};
  HeaderTemplate headers_;

  // --- sending, per round trip or rarer ---
  SeqNum iss_, irs_;
  SeqNum recover_;  // Recovery ends when this is acknowledged.
  SeqNum round_end_;
  uint32_t max_snd_wnd_ = 0;
  uint32_t max_flight_ = 0;   // Largest in this round.
  uint32_t dupacks_ = 0;      // In a row.
  uint32_t reno_sacked_ = 0;  // Bytes that dupacks of a peer without SACK stand for.
  uint32_t unanswered_ = 0;   // Delivered while a loss is in doubt, and nothing sent for it.
  bool cwnd_limited_ = false;
  uint8_t timeouts_in_row_ = 0;
  uint8_t backoffs_ = 0;        // Timeouts since a round trip was measured (RFC 6298 section 5).
  uint8_t persist_probes_ = 0;  // Since the window was shut.
  uint8_t probes_in_row_ = 0;   // Tail loss probes without an answer.
  bool probe_due_ = false, window_probe_due_ = false, keepalive_due_ = false;
  bool send_small_ = false;  // Once, whatever the rules against small segments say.
  bool tlp_outstanding_ = false, tlp_is_retransmission_ = false;
  SeqNum tlp_end_;
  Instant first_unanswered_ = kNever;  // For the user timeout.
  Instant resent_at_{};                // When something was last sent again.
  Instant last_sent_at_{};
  Bytes undo_cwnd_{0}, undo_ssthresh_{0};
  bool undo_possible_ = false;  // In the episode, and until then after it.
  Instant undo_until_{};
  uint32_t undo_timestamp_ = 0;  // Our clock when the first retransmission of the episode left.
  uint32_t undo_retransmitted_ = 0, undo_dsacked_ = 0;
  SeqRange undo_range_{};  // What was sent again in the episode lies in it.
  // Of the last acknowledgment.
  std::array<SeqRange, net::TcpOptions::kMaxSackBlocks> seen_sacks_{};
  uint8_t seen_sack_count_ = 0;
  bool shut_down_ = false;  // FIN is queued behind the data.
  bool fin_sent_ = false, fin_acked_ = false, sending_fast_ = false, syn_was_lost_ = false;
  bool is_answer_to_syn_ = false;  // A SYN came while ours was out: ours goes again, as a SYN-ACK.
  bool nodelay_ = false, cork_ = false, keepalive_ = true;
  bool writer_waits_ = false;  // send() took less than it was given.
  bool send_cwr_ = false;
  bool has_reduced_ = false;  // With ECN: the window was cut, and not all of its data has been
  SeqNum reduced_at_;         // acknowledged, which ended here.

  // --- receiving, rarer ---
  uint32_t early_bytes_ = 0;   // Of data that came with a SYN, before the handshake was done.
  bool fin_received_ = false;  // In order.
  bool has_fin_at_ = false;
  SeqNum fin_at_;         // Sequence number of a FIN that came out of order.
  bool echo_ce_ = false;  // ECE until CWR (RFC 3168 section 6.1.3).
  bool has_dsack_ = false;
  SeqRange dsack_{};  // To report in the next acknowledgment.
  Instant ts_recent_at_{};
  Bytes receive_limit_{65536};
  bool receive_auto_ = true, send_auto_ = true;
  uint32_t tune_timestamp_ = 0, tune_bytes_ = 0, tune_previous_ = 0;

  // --- identity and life ---
  Endpoint local_, remote_;
  uint32_t mtu_;
  uint32_t peer_mss_ = 536;
  uint32_t timestamp_offset_ = 0;
  bool checksum_offload_;
  uint32_t max_gso_;             // 0: the interface cuts nothing.
  bool is_released_ = false;     // The application gave it up.
  bool is_listed_ = false;       // In the stack's table.
  bool is_waiting_ = false;      // For accept().
  uint32_t answers_earned_ = 0;  // By data: answers to such as is not taken.
  int64_t challenges_ = 0;       // Challenge ACKs sent or held back
  Instant challenges_end_{};     // since this began to count; then it begins anew.
  End end_ = End::None;
  ConnectionObserver* observer_ = nullptr;
  Listener* listener_ = nullptr;  // While in its backlog.
  uint8_t keepalive_probes_ = 0;
  Instant last_heard_{};
  Duration user_timeout_{0};
  Duration keep_idle_{0}, keep_interval_{0}, keep_init_{0};  // 0: the stack's.
  int64_t keep_count_ = 0;
  uint32_t own_max_segment_ = UINT32_MAX;
  uint32_t blackhole_segment_ = UINT32_MAX;  // What passes where nobody says why the rest does not.
  bool delayed_ack_ = true, no_options_ = false;
  uint8_t tos_ = 0;
  End soft_error_ = End::None;  // Of an ICMP error that did not end it; said when it ends.
  uint64_t delivered_total_ = 0;
  Rate fcc_;
  uint8_t fcc_share_ = 0;  // Percent; 0: fcc_ is fixed.
  OwnOptions own_;
  LimitClock limits_;
  Bytes rate_bytes_{0};    // What was delivered while the newest of it was under way,
  Duration rate_time_{0};  // and how long that was: a delivery rate.
  Info total_;             // The counting members only.

  ListLink in_batch_, in_backlog_, in_all_;
};

}  // namespace wh::tcp
