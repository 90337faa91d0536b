#include "packetdrill/tcp_info.h"

#include <algorithm>

namespace wh::packetdrill {
namespace {

uint32_t us(Duration d) {
  return static_cast<uint32_t>(std::clamp<int64_t>(d / 1us, 0, UINT32_MAX));
}

uint64_t us64(Duration d) {
  return static_cast<uint64_t>(d / 1us);
}

}  // namespace

uint8_t linux_state(tcp::State state) {
  switch (state) {
    case tcp::State::Established: return 1;
    case tcp::State::SynSent: return 2;
    case tcp::State::SynReceived: return 3;
    case tcp::State::FinWait1: return 4;
    case tcp::State::FinWait2: return 5;
    case tcp::State::TimeWait: return 6;
    case tcp::State::Closed: return 7;
    case tcp::State::CloseWait: return 8;
    case tcp::State::LastAck: return 9;
    case tcp::State::Closing: return 11;
  }
  return 0;
}

tcp_info linux_info(const tcp::Connection& connection, Instant now) {
  constexpr uint32_t kInfinite = 0x7fffffff;  // Linux's TCP_INFINITE_SSTHRESH.
  const tcp::Info i = connection.info();
  const int64_t mss = std::max<int64_t>(i.mss.count(), 1);
  const auto segments = [mss](Bytes b) {
    return static_cast<uint32_t>((b.count() + mss - 1) / mss);
  };
  tcp_info t{};
  t.tcpi_state = linux_state(i.state);
  const bool has_sacks = i.sacked > Bytes(0);
  t.tcpi_ca_state = i.recovery == tcp::Recovery::Loss       ? 4
                    : i.recovery == tcp::Recovery::Recovery ? 3
                    : has_sacks                             ? 1
                                                            : 0;
  t.tcpi_retransmits = t.tcpi_backoff = static_cast<uint8_t>(i.backoffs);
  t.tcpi_options =
      static_cast<uint8_t>((i.timestamps ? TCPI_OPT_TIMESTAMPS : 0) | (i.sack ? TCPI_OPT_SACK : 0) |
                           (i.scaling ? TCPI_OPT_WSCALE : 0) | (i.ecn ? TCPI_OPT_ECN : 0));
  t.tcpi_snd_wscale = i.send_scale & 15;
  t.tcpi_rcv_wscale = i.receive_scale & 15;
  t.tcpi_rto = us(i.rto);
  t.tcpi_ato = us(i.ack_delay);
  t.tcpi_snd_mss = t.tcpi_rcv_mss = t.tcpi_advmss = static_cast<uint32_t>(mss);
  t.tcpi_unacked = segments(i.outstanding);
  t.tcpi_sacked = segments(i.sacked);
  t.tcpi_lost = segments(i.lost);
  t.tcpi_retrans = segments(i.retransmitted_outstanding);
  t.tcpi_pmtu = i.path_mtu;
  t.tcpi_rtt = us(i.srtt);
  t.tcpi_rttvar = us(i.rtt_variance);
  t.tcpi_min_rtt = i.rtt_samples > 0 ? us(i.min_rtt) : UINT32_MAX;
  t.tcpi_snd_cwnd = static_cast<uint32_t>(i.cwnd.count() / mss);
  t.tcpi_snd_ssthresh = i.ssthresh.count() / mss > kInfinite
                            ? kInfinite
                            : static_cast<uint32_t>(i.ssthresh.count() / mss);
  t.tcpi_reordering = 3;
  t.tcpi_reord_seen = static_cast<uint32_t>(i.reorderings);
  t.tcpi_rcv_space = static_cast<uint32_t>(i.receive_window.count());
  t.tcpi_total_retrans = segments(i.retransmitted);
  t.tcpi_pacing_rate = i.pace.is_infinite() ? UINT64_MAX : i.pace.bytes_per_second();
  t.tcpi_max_pacing_rate = t.tcpi_pacing_rate;
  t.tcpi_bytes_acked = static_cast<uint64_t>(i.acknowledged.count());
  t.tcpi_bytes_received = static_cast<uint64_t>(i.received.count());
  t.tcpi_bytes_sent = static_cast<uint64_t>(i.sent.count());
  t.tcpi_bytes_retrans = static_cast<uint64_t>(i.retransmitted.count());
  t.tcpi_segs_out = static_cast<uint32_t>(i.segments_sent);
  t.tcpi_segs_in = static_cast<uint32_t>(i.segments_received);
  t.tcpi_notsent_bytes = static_cast<uint32_t>(i.unsent.count());
  t.tcpi_delivered = segments(i.acknowledged + i.sacked);
  t.tcpi_snd_wnd = static_cast<uint32_t>(i.send_window.count());
  const auto since = [now](Instant then) { return us(now - then) / 1000; };
  t.tcpi_last_data_sent = since(i.last_sent);
  t.tcpi_last_ack_recv = since(i.last_heard);
  t.tcpi_last_data_recv = since(i.data_segments_received > 0 ? i.last_data_received : Instant{});
  t.tcpi_data_segs_out = static_cast<uint32_t>(i.data_segments_sent);
  t.tcpi_data_segs_in = static_cast<uint32_t>(i.data_segments_received);
  t.tcpi_rcv_ooopack = static_cast<uint32_t>(i.out_of_order);
  t.tcpi_dsack_dups = static_cast<uint32_t>(i.dsacks);
  t.tcpi_delivered_ce = segments(i.delivered_marked);
  t.tcpi_delivery_rate = i.delivery_rate.bytes_per_second();
  t.tcpi_busy_time = us64(i.busy);
  t.tcpi_rwnd_limited = us64(i.window_limited);
  t.tcpi_sndbuf_limited = us64(i.buffer_limited);
  t.tcpi_rcv_rtt = us(i.receive_rtt);
  t.tcpi_rcv_ssthresh = static_cast<uint32_t>(i.receive_limit.count());
  return t;
}

}  // namespace wh::packetdrill
