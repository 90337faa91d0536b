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
  int64_t reass_maxqueuelen = 100;  // Islands of out-of-order data a connection.
  int64_t syncookies = 1;
  int64_t blackhole = 0;  // Do not answer segments to nobody.
  int64_t drop_synfin = 0;
  int64_t insecure_rst = 0;
  int64_t insecure_syn = 0;         // A SYN in the window resets, as RFC 793 had it.
  int64_t icmp_may_rst = 1;         // An ICMP error may end a connection attempt.
  int64_t tolerate_missing_ts = 0;  // Take segments without timestamps where they were agreed.
  int64_t rexmit_initial_ms = 1000;
  int64_t rexmit_drop_options = 0;  // After three SYNs without an answer.
  int64_t ecn_maxretries = 1;       // SYNs that ask for ECN before one does not.
  int64_t syncookies_only = 0;
  int64_t ack_war_cnt = 5, ack_war_timewindow_ms = 1000;  // Challenge ACKs (RFC 5961 section 7).
  int64_t abc_l_var = 2;
  int64_t path_mtu_discovery = 1;
  int64_t max_connections = 1'100'000;
  int64_t port_first = 10000, port_last = 65535;  // net.inet.ip.portrange.*
  std::string cc_algorithm = "newreno";
  int64_t newreno_beta = 50, newreno_beta_ecn = 80;
  int64_t hystart = 1;  // HyStart++ in CUBIC's first slow start.

  // net.inet.tcp.rack.*
  int64_t timers_minrto_ms = 30, timers_maxrto_ms = 4000, timers_slop_ms = 200;
  int64_t timers_persmin_ms = 250, timers_persmax_ms = 2000;
  int64_t rfc6298 = 0;    // RFC 6298's timer values instead of the RACK stack's.
  int64_t loss_rule = 0;  // 0 the RACK stack's threshold, 1 with the packet delay, 2 RFC 8985.
  int64_t prr = 1;        // 0 FreeBSD's, 1 RFC 9937.
  int64_t tlp_limit = 2;
  int64_t pacing_divisor = 250, pacing_max_segments = 40, pacing_min_segments = 0;
  int64_t defprofile = 0;        // TCP_RACK_PROFILE of new connections.
  int64_t req_measure_cnt = 1;   // TCP_RACK_MEASURE_CNT of new connections.
  int64_t fillcw_cap = 3750000;  // FCC of new connections, bytes a second: 30 Mbps,
  int64_t fillcw_share = 0;      // or so many percent of the measured capacity.
  int64_t gp_use_ltbw = 2;       // TCP_GP_USE_LTBW: 0 goodput only, 1 the lesser, 2 the greater.
  int64_t gp_self_limited = 90;  // Dgp::Config::self_limited
  int64_t probertt_mode = 3;     // 0 gain, 1 cwnd4, 2 off, 3 gain or, if need be, cwnd4.
  int64_t fast_send = 1, fast_resend = 1;  // features.rfo, features.rsmrfo
  int64_t split_limit = 0;                 // SACK splits a connection may hold; 0 for no limit.
};

// Registers tunables and counters. `storage` must outlive the tree's last use.
void add_sysctls(SysctlTree& tree, Tunables& tunables, Counters& counters);
void remove_sysctls(SysctlTree& tree);

}  // namespace wh::tcp
