// What a connection tells of itself: reports, and TCP_INFO.
#include <algorithm>

#include "tcp/stack.h"

namespace wh::tcp {

Info Connection::info() const {
  Info i = total_;
  i.state = state_;
  i.recovery = recovery_;
  i.congestion_control = control_ != nullptr ? control_->name() : "";
  i.srtt = rtt_.srtt();
  i.rtt_variance = rtt_.variance();
  i.latest_rtt = rtt_.latest();
  i.min_rtt = rtt_.min();
  i.rto = rto();
  i.rtt_samples = rtt_.samples();
  i.mss = window_.mss;
  i.cwnd = window_.cwnd;
  i.ssthresh = window_.ssthresh;
  i.send_window = Bytes(snd_wnd_);
  i.receive_window = Bytes((rcv_adv_ - rcv_nxt_).count());
  i.pipe = Bytes(pipe());
  i.outstanding = Bytes(map_.outstanding());
  i.sacked = Bytes(map_.sacked());
  i.lost = Bytes(map_.lost());
  i.unsent = Bytes(static_cast<int64_t>(unsent()));
  i.pace = pacer_.rate();
  i.burst = pacer_.is_on() ? pacer_.burst(window_.mss) : Bytes(0);
  i.agg_delayed = pacer_.account().agg_delayed();
  i.agg_early = pacer_.account().agg_early();
  i.sendmap_entries = static_cast<uint32_t>(map_.size());
  i.backoffs = timeouts_in_row_;
  i.path_mtu = mtu_;
  const Instant now = this->now();
  i.window_limited = limits_.in(LimitClock::State::WindowLimited, now);
  i.buffer_limited = limits_.in(LimitClock::State::BufferLimited, now);
  i.busy = limits_.in(LimitClock::State::Busy, now) + i.window_limited + i.buffer_limited;
  if (rate_time_ > Duration::zero()) i.delivery_rate = Rate::of(rate_bytes_, rate_time_);
  const Tunables& t = stack_.tunables();
  const bool is_delayed = delayed_ack_ && t.delayed_ack != 0;
  if (is_delayed) i.ack_delay = std::chrono::milliseconds(t.delacktime_ms);
  i.receive_limit = std::min(receive_limit_, Bytes(int64_t{65535} << rcv_scale_));
  i.last_sent = last_sent_at_;
  i.last_heard = last_heard_;
  i.retransmitted_outstanding = Bytes(map_.retransmitted());
  i.scaling = has_scaling_;
  i.timestamps = has_timestamps_;
  i.sack = has_sack_;
  i.ecn = has_ecn_;
  i.send_scale = snd_scale_;
  i.receive_scale = rcv_scale_;
  return i;
}

}  // namespace wh::tcp
