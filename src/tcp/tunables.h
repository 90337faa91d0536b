// The stack's tunables under FreeBSD's names, and their registration in the vnet's sysctl tree.
//
// Reading a tunable is reading a member; sysctls.cc binds each to its name, unit, bounds and
// description. Times carry their FreeBSD unit in the member's name since a sysctl stores a bare
// integer.
#pragma once

#include <cstdint>
#include <string>

#include "core/sysctl.h"
#include "tcp/counters.h"

namespace wh::tcp {

struct Tunables {
  // net.inet.tcp.*
  int64_t rfc1323 = 1;  // Offer window scaling and timestamps.
  int64_t sack_enable = 1;
  int64_t ecn_enable = 2;  // 0 off, 1 ask and agree, 2 agree only.
  int64_t mssdflt = 536;   // RFC 9293 section 3.7.1
  int64_t v6mssdflt = 1220;
  int64_t minmss = 216;
  int64_t msl_ms = 30000;
  int64_t delacktime_ms = 40;
  int64_t delayed_ack = 1;
  int64_t sendspace = 32768, recvspace = 65536;
  int64_t sendbuf_max = 2097152, recvbuf_max = 2097152;
  int64_t maxsockbuf = 2097152;  // kern.ipc.maxsockbuf; sets the window scale.
  int64_t sendbuf_auto = 1, recvbuf_auto = 1;
  int64_t keepinit_ms = 75000, keepidle_ms = 7200000, keepintvl_ms = 75000, keepcnt = 8;
  int64_t always_keepalive = 1;
  int64_t finwait2_timeout_ms = 60000;
  // Islands of out-of-order data a connection, and never more than the receive buffer's KiB.
  int64_t reass_maxqueuelen = 65536;
  int64_t syncookies = 1;
  int64_t blackhole = 0;  // Do not answer segments to nobody.
  int64_t drop_synfin = 0;
  int64_t insecure_rst = 0;
  int64_t insecure_syn = 0;         // A SYN in the window resets, as RFC 793 had it.
  int64_t icmp_may_rst = 1;         // An ICMP error may end a connection attempt.
  int64_t tolerate_missing_ts = 0;  // Take segments without timestamps where they were agreed.
  int64_t rexmit_initial_ms = 1000;
  int64_t syncache_rexmtlimit = 3;
  int64_t rexmit_drop_options = 0;  // After three SYNs without an answer.
  int64_t ecn_maxretries = 1;       // SYNs that ask for ECN before one does not.
  int64_t syncookies_only = 0;
  int64_t ack_war_cnt = 5, ack_war_timewindow_ms = 1000;  // Challenge ACKs (RFC 5961 section 7).
  int64_t abc_l_var = 2;
  int64_t path_mtu_discovery = 1;
  int64_t do_prr = 1;
  int64_t rfc3042 = 1;  // Limited Transmit.
  int64_t rfc3465 = 1;  // Appropriate byte counting; 0 counts acknowledgments.
  int64_t initcwnd_segments = 10, rfc3390 = 1;
  int64_t retries = 12;  // Retransmission timeouts in a row before a connection is given up.
  int64_t nolocaltimewait = 0;
  int64_t fast_finwait2_recycle = 1;  // finwait2_timeout, or else as long as keepalive probes.
  // Of IPv4 (2), of IPv6 (3), of both (1): timeouts without an ICMP error make segments smaller.
  int64_t pmtud_blackhole_detection = 0;
  int64_t pmtud_blackhole_mss = 1200, v6pmtud_blackhole_mss = 1220;
  int64_t soacceptqueue = 128;  // kern.ipc.soacceptqueue; for those who have a listen().
  int64_t max_connections = 1'100'000;
  int64_t port_first = 10000, port_last = 65535;  // net.inet.ip.portrange.*
  std::string cc_algorithm = "newreno";
  int64_t newreno_beta = 50, newreno_beta_ecn = 80;
  int64_t cc_abe = 1;   // RFC 8511: beta_ecn for a mark, not beta.
  int64_t hystart = 1;  // HyStart++ in CUBIC's first slow start.

  // net.inet.tcp.rack.*
  int64_t timers_minrto_ms = 30, timers_maxrto_ms = 4000, timers_slop_ms = 200;
  int64_t timers_persmin_ms = 250, timers_persmax_ms = 2000;
  int64_t timers_minto_ms = 1;
  int64_t rfc6298 = 0;         // RFC 6298's timer values instead of the RACK stack's.
  int64_t loss_rule = 0;       // 0 the RACK stack's threshold, 1 with the packet delay, 2 RFC 8985.
  int64_t rack_dsack_ctl = 3;  // Bit 0: rule 0 is rtt/4, else it is rule 1. Bit 1: DSACKs count.
  int64_t prr = 1;             // 0 FreeBSD's, 1 RFC 9937.
  int64_t no_prr = 0;          // No PRR for a paced connection.
  int64_t tlp_limit = 2, tlp_minto_us = 10'000, rtt_tlp_thresh = 1;
  int64_t reorder_thresh = 2, reorder_fade_us = 60'000'000, pktdelay_us = 1000;
  int64_t pacing_divisor = 250, pacing_max_segments = 40, pacing_min_segments = 0;
  int64_t defprofile = 0;        // TCP_RACK_PROFILE of new connections.
  int64_t req_measure_cnt = 1;   // TCP_RACK_MEASURE_CNT of new connections.
  int64_t fillcw_cap = 3750000;  // FCC of new connections, bytes a second: 30 Mbps,
  int64_t fillcw_share = 0;      // or so many percent of the measured capacity.
  int64_t gp_use_ltbw = 2;       // TCP_GP_USE_LTBW: 0 goodput only, 1 the lesser, 2 the greater.
  int64_t gp_self_limited = 90;  // Dgp::Config::self_limited
  int64_t probertt_mode = 3;     // 0 gain, 1 cwnd4, 2 off, 3 gain or, if need be, cwnd4.
  int64_t probertt_time_between_us = 9'600'000;
  int64_t rate_cap = 0;     // TCP_PACING_RATE_CAP of new connections, bytes a second; 0: none.
  int64_t gp_per_ss = 250;  // Multiplier that slow start begins with, percent.
  int64_t gp_per_ca = 200, gp_per_rec = 200;  // Multipliers of a pace without a profile, percent.
  // pacing/timely.h, pacing/goodput.h, pacing/probe_rtt.h and pacing/dgp.h: the Config of each.
  int64_t timely_increase = 2, timely_decrease = 80, timely_upper = 2, timely_lower = 4;
  int64_t timely_rtt_max_mul = 3, timely_rtt_min_div = 4, timely_lowerbound = 50;
  int64_t timely_bound_ss = 0, timely_bound_ca = 0, timely_max_push_drop = 3;
  int64_t timely_dec_raise_thresh = 100, max_pace_over = 30, no_timely = 0;
  int64_t measure_min_target = 20, measure_wma_divisor = 8, measure_goal_bdp = 2;
  int64_t probertt_gp_per_mul = 60, probertt_gp_per_reduce = 10, probertt_gp_per_low = 40;
  int64_t probertt_must_drain = 1, probertt_hold_us = 40'000, probertt_safety_us = 2'000'000;
  int64_t probertt_exit = 130, probertt_filter_life_us = 10'000'000;
  int64_t rnd_gp_gain = 1200;  // Growth of the goodput that keeps slow start, per mille.
  int64_t send_block = 1;      // features.fsb: whether there are fast paths at all,
  int64_t fast_send = 1, fast_resend = 1;  // features.rfo, features.rsmrfo
  int64_t rack_hystart = 0;                // features.hystartplusplus: HyStart++ in NewReno.
  int64_t split_limit = 0;                 // SACK splits a connection may hold; 0 for no limit.
};

// Registers tunables and counters. `storage` must outlive the tree's last use.
void add_sysctls(SysctlTree& tree, Tunables& tunables, Counters& counters);
void remove_sysctls(SysctlTree& tree);

}  // namespace wh::tcp
