// The names, units, bounds and descriptions of the stack's tunables and counters.
#include "tcp/connection.h"
#include "tcp/tunables.h"

namespace wh::tcp {
namespace {

struct Tunable {
  const char* name;  // Below net.inet.tcp.
  int64_t Tunables::*member;
  const char* unit;
  int64_t min, max;
  const char* description;
  Result<void> (*check)(int64_t) = nullptr;  // Of a value within bounds.
};

constexpr int64_t kDay = 86'400'000, kGiB = int64_t{1} << 30;

constexpr Tunable kTunables[] = {
    {"rfc1323", &Tunables::rfc1323, "bool", 0, 1, "offer window scaling and timestamps (RFC 7323)"},
    {"sack.enable", &Tunables::sack_enable, "bool", 0, 1,
     "offer selective acknowledgments (RFC 2018)"},
    {"ecn.enable", &Tunables::ecn_enable, "", 0, 2,
     "ECN (RFC 3168): 0 off, 1 ask and agree, 2 agree only"},
    {"mssdflt", &Tunables::mssdflt, "bytes", 216, 65495,
     "segment size of an IPv4 peer that names none"},
    {"v6mssdflt", &Tunables::v6mssdflt, "bytes", 216, 65475,
     "segment size of an IPv6 peer that names none"},
    {"minmss", &Tunables::minmss, "bytes", 64, 1460, "least segment size accepted from a peer"},
    {"msl", &Tunables::msl_ms, "ms", 1, kDay,
     "maximum segment lifetime; TIME-WAIT lasts twice that"},
    {"delacktime", &Tunables::delacktime_ms, "ms", 1, 500,
     "time before a single segment is acknowledged"},
    {"delayed_ack", &Tunables::delayed_ack, "bool", 0, 1,
     "delay acknowledgments (RFC 1122 4.2.3.2)"},
    {"sendspace", &Tunables::sendspace, "bytes", 1, kGiB, "initial send buffer"},
    {"recvspace", &Tunables::recvspace, "bytes", 1, kGiB, "initial receive buffer"},
    {"sendbuf_max", &Tunables::sendbuf_max, "bytes", 1, kGiB, "largest automatic send buffer"},
    {"recvbuf_max", &Tunables::recvbuf_max, "bytes", 1, kGiB, "largest automatic receive buffer"},
    {"sendbuf_auto", &Tunables::sendbuf_auto, "bool", 0, 1, "let the send buffer grow with cwnd"},
    {"recvbuf_auto", &Tunables::recvbuf_auto, "bool", 0, 1,
     "let the receive buffer grow with the rate"},
    {"keepinit", &Tunables::keepinit_ms, "ms", 1, kDay, "time to establish a connection"},
    {"keepidle", &Tunables::keepidle_ms, "ms", 1, kDay, "idle time before keepalive probes"},
    {"keepintvl", &Tunables::keepintvl_ms, "ms", 1, kDay, "time between keepalive probes"},
    {"keepcnt", &Tunables::keepcnt, "", 1, 100, "keepalive probes before a connection is dropped"},
    {"always_keepalive", &Tunables::always_keepalive, "bool", 0, 1, "probe every idle connection"},
    {"finwait2_timeout", &Tunables::finwait2_timeout_ms, "ms", 1, kDay,
     "time in FIN-WAIT-2 after the application has closed"},
    {"reass.maxqueuelen", &Tunables::reass_maxqueuelen, "", 1, 1 << 20,
     "islands of out-of-order data a connection holds"},
    {"syncookies", &Tunables::syncookies, "bool", 0, 1,
     "answer with cookies when a backlog is full"},
    {"syncache.rexmtlimit", &Tunables::syncache_rexmtlimit, "", 0, 100,
     "times that a SYN is answered again before it is forgotten"},
    {"blackhole", &Tunables::blackhole, "bool", 0, 1, "do not answer segments to closed ports"},
    {"drop_synfin", &Tunables::drop_synfin, "bool", 0, 1, "drop segments with SYN and FIN"},
    {"insecure_rst", &Tunables::insecure_rst, "bool", 0, 1, "accept a RST anywhere in the window"},
    {"insecure_syn", &Tunables::insecure_syn, "bool", 0, 1, "let a SYN in the window reset"},
    {"icmp_may_rst", &Tunables::icmp_may_rst, "bool", 0, 1,
     "let ICMP errors end a connection attempt (RFC 5927)"},
    {"tolerate_missing_ts", &Tunables::tolerate_missing_ts, "bool", 0, 1,
     "take segments without the timestamps that were agreed"},
    {"rexmit_initial", &Tunables::rexmit_initial_ms, "ms", 1, kDay,
     "retransmission timeout before a round trip was measured"},
    {"rexmit_drop_options", &Tunables::rexmit_drop_options, "bool", 0, 1,
     "offer no options after three SYNs without an answer"},
    {"ecn.maxretries", &Tunables::ecn_maxretries, "", 0, 100,
     "SYNs that ask for ECN before one does not"},
    {"syncookies_only", &Tunables::syncookies_only, "bool", 0, 1, "answer every SYN with a cookie"},
    {"rexmit_min", &Tunables::timers_minrto_ms, "ms", 1, 60000, "rack.timers.minrto"},
    {"rexmit_slop", &Tunables::timers_slop_ms, "ms", 0, 60000, "rack.timers.slop"},
    {"ack_war_cnt", &Tunables::ack_war_cnt, "", 0, 1'000'000,
     "challenge ACKs, and answers to segments out of place beyond those that new data has earned, "
     "that a connection sends in ack_war_timewindow; 0 for no limit"},
    {"ack_war_timewindow", &Tunables::ack_war_timewindow_ms, "ms", 0, kDay,
     "time for which challenge ACKs are counted; 0 for no limit"},
    {"abc_l_var", &Tunables::abc_l_var, "segments", 1, 100,
     "slow start's growth an acknowledgment (RFC 3465)"},
    {"path_mtu_discovery", &Tunables::path_mtu_discovery, "bool", 0, 1, "heed ICMP packet too big"},
    {"do_prr", &Tunables::do_prr, "bool", 0, 1,
     "proportional rate reduction; without it a recovery's window is ssthresh"},
    {"rfc3042", &Tunables::rfc3042, "bool", 0, 1,
     "Limited Transmit: new data for what is duplicated or SACKed before a recovery"},
    {"rfc3465", &Tunables::rfc3465, "bool", 0, 1,
     "NewReno counts bytes (appropriate byte counting), not acknowledgments"},
    {"initcwnd_segments", &Tunables::initcwnd_segments, "segments", 0, 1000,
     "initial window (RFC 6928); 0 for rfc3390's"},
    {"rfc3390", &Tunables::rfc3390, "bool", 0, 1,
     "initial window without initcwnd_segments: RFC 3390's, not RFC 5681's"},
    {"retries", &Tunables::retries, "", 1, 12,
     "retransmission timeouts in a row before a connection is dropped"},
    {"persmin", &Tunables::timers_persmin_ms, "ms", 1, kDay, "rack.timers.persmin"},
    {"persmax", &Tunables::timers_persmax_ms, "ms", 1, kDay, "rack.timers.persmax"},
    {"nolocaltimewait", &Tunables::nolocaltimewait, "bool", 0, 1,
     "no TIME-WAIT for connections to an address of our own"},
    {"fast_finwait2_recycle", &Tunables::fast_finwait2_recycle, "bool", 0, 1,
     "finwait2_timeout for FIN-WAIT-2 after the application has closed; else keepcnt * keepintvl"},
    {"pmtud_blackhole_detection", &Tunables::pmtud_blackhole_detection, "", 0, 3,
     "smaller segments after timeouts that no ICMP error explains: 0 off, 1 on, 2 IPv4, 3 IPv6"},
    {"pmtud_blackhole_mss", &Tunables::pmtud_blackhole_mss, "bytes", 216, 65495,
     "segment size that pmtud_blackhole_detection tries first with IPv4"},
    {"v6pmtud_blackhole_mss", &Tunables::v6pmtud_blackhole_mss, "bytes", 216, 65475,
     "segment size that pmtud_blackhole_detection tries first with IPv6"},
    {"maxtcpcb", &Tunables::max_connections, "", 1, 100'000'000, "connections this stack may have"},
    {"portrange.first", &Tunables::port_first, "", 1, 65535, "first port chosen for connect"},
    {"portrange.last", &Tunables::port_last, "", 1, 65535, "last port chosen for connect"},
    {"cc.newreno.beta", &Tunables::newreno_beta, "%", 1, 100, "cwnd kept at a loss"},
    {"cc.newreno.beta_ecn", &Tunables::newreno_beta_ecn, "%", 1, 100,
     "cwnd kept at a mark (RFC 8511)"},
    {"cc.abe", &Tunables::cc_abe, "bool", 0, 1, "beta_ecn for a mark, not beta (RFC 8511)"},
    {"cc.hystartplusplus.enable", &Tunables::hystart, "bool", 0, 1,
     "HyStart++ in CUBIC (RFC 9406)"},
    {"rack.timers.minrto", &Tunables::timers_minrto_ms, "ms", 1, 60000,
     "least retransmission timeout"},
    {"rack.timers.maxrto", &Tunables::timers_maxrto_ms, "ms", 1, kDay,
     "largest retransmission timeout"},
    {"rack.timers.slop", &Tunables::timers_slop_ms, "ms", 0, 60000,
     "added to the retransmission timeout"},
    {"rack.timers.rfc6298", &Tunables::rfc6298, "bool", 0, 1, "RFC 6298's timer values instead"},
    {"rack.timers.persmin", &Tunables::timers_persmin_ms, "ms", 1, kDay, "least persist interval"},
    {"rack.timers.persmax", &Tunables::timers_persmax_ms, "ms", 1, kDay,
     "largest persist interval"},
    {"rack.timers.delayed_ack", &Tunables::delacktime_ms, "ms", 1, 500, "delacktime"},
    {"rack.timers.minto", &Tunables::timers_minto_ms, "ms", 1, 60000, "least time of any timer"},
    {"rack.misc.rack_dsack_ctl", &Tunables::rack_dsack_ctl, "", 0, 3,
     "bit 0: loss_rule 0 is rtt/4, else the packet delay; bit 1: DSACKs widen the threshold "
     "(TCP_RACK_DSACK_OPT)"},
    {"rack.misc.no_prr", &Tunables::no_prr, "bool", 0, 1,
     "no proportional rate reduction for a paced connection (TCP_NO_PRR)"},
    {"rack.misc.loss_rule", &Tunables::loss_rule, "", 0, 2,
     "RACK's threshold: 0 rtt/4 (or as rack_dsack_ctl has it), 1 packet delay, 2 RFC 8985"},
    {"rack.misc.prr", &Tunables::prr, "", 0, 1,
     "proportional rate reduction: 0 FreeBSD's, 1 RFC 9937"},
    {"rack.tlp.limit", &Tunables::tlp_limit, "", 0, 2, "tail loss probes in a row"},
    {"rack.tlp.tlpminto", &Tunables::tlp_minto_us, "us", 1, 60'000'000,
     "least time to a tail loss probe"},
    {"rack.tlp.rtt_tlp_thresh", &Tunables::rtt_tlp_thresh, "", 0, 1000,
     "tail loss probe after rtt + rtt / this; 0 as 1 (TCP_RACK_TLP_THRESH)"},
    {"rack.tlp.pktdelay", &Tunables::pktdelay_us, "us", 0, 60'000'000,
     "the packet delay of RACK's threshold (TCP_RACK_PKT_DELAY)"},
    {"rack.tlp.reorder_thresh", &Tunables::reorder_thresh, "", 1, 30,
     "with the packet delay: rtt >> this more while reordering is live (TCP_RACK_REORD_THRESH)"},
    {"rack.tlp.reorder_fade", &Tunables::reorder_fade_us, "us", 0, 1000 * kDay,
     "how long reordering is live; 0 for ever (TCP_RACK_REORD_FADE)"},
    {"rack.pacing.divisor", &Tunables::pacing_divisor, "", 50, 100000,
     "a burst is this part of a second"},
    {"rack.pacing.pace_max_seg", &Tunables::pacing_max_segments, "segments", 1, 63,
     "largest paced burst"},
    {"rack.pacing.min_burst", &Tunables::pacing_min_segments, "segments", 0, 63,
     "least paced burst"},
    {"rack.misc.defprofile", &Tunables::defprofile, "", 0, 6,
     "rate policy of new connections (TCP_RACK_PROFILE): 0 none, 1 Dynamic Goodput Pacing, 6 the "
     "same with its window discounted",
     Connection::check_profile},
    {"rack.req_measure_cnt", &Tunables::req_measure_cnt, "", 1, 255,
     "goodput measurements before DGP trusts them (TCP_RACK_MEASURE_CNT)"},
    {"rack.pacing.fillcw_cap", &Tunables::fillcw_cap, "bytes/s", 0, 1'000'000'000'000,
     "DGP's fill congestion window cap (FCC); 0 for no cap"},
    {"rack.pacing.fillcw_share", &Tunables::fillcw_share, "%", 0, 100,
     "FCC as a share of the path's measured capacity; 0 for fillcw_cap as it is"},
    {"rack.pacing.rate_cap", &Tunables::rate_cap, "bytes/s", 0, 1'000'000'000'000,
     "DGP's pace is never faster (TCP_PACING_RATE_CAP); 0 for no cap"},
    {"rack.pacing.gp_per_ss", &Tunables::gp_per_ss, "%", 1, 1000,
     "multiplier with which slow start begins (TCP_RACK_GP_INCREASE_SS)"},
    {"rack.timely.decrease", &Tunables::timely_decrease, "%", 1, 100,
     "Timely's beta: how much of the gradient the multiplier follows down"},
    {"rack.measure.min_target", &Tunables::measure_min_target, "segments", 8, 1000,
     "a goodput measurement covers so much, or eight segments where two round trips are less"},
    {"rack.measure.use_ltbw", &Tunables::gp_use_ltbw, "", 0, 2,
     "DGP's bandwidth: 0 goodput, 1 the lesser of it and the long-term bandwidth, 2 the greater"},
    {"rack.measure.self_limited", &Tunables::gp_self_limited, "%", 0, 100,
     "goodput so near to what was asked for only raises the estimate; 0 for no such rule"},
    {"rack.probertt.mode", &Tunables::probertt_mode, "", 0, 3,
     "how DGP probes the round trip: 0 paces slower, 1 holds cwnd at 4 segments, 2 not at all, 3 "
     "paces slower and, where that found no queue's end, holds cwnd"},
    {"rack.probertt.time_between", &Tunables::probertt_time_between_us, "us", 100'000,
     1'000'000'000, "time since the round trip was last lowered after which DGP probes it"},
    {"rack.features.hystartplusplus", &Tunables::rack_hystart, "bool", 0, 1,
     "HyStart++ in NewReno (TCP_RACK_ENABLE_HYSTART)"},
    {"rack.features.fsb", &Tunables::send_block, "bool", 0, 1,
     "the fast send block: without it neither fast path"},
    {"rack.features.rfo", &Tunables::fast_send, "bool", 0, 1, "the fast transmit path"},
    {"rack.features.rsmrfo", &Tunables::fast_resend, "bool", 0, 1, "the fast retransmit path"},
    {"rack.sack_attack.split_limit", &Tunables::split_limit, "", 0, kGiB,
     "sendmap splits that SACKs may cause on a connection; 0 for no limit"},
};

struct Counter {
  const char* name;  // Below net.inet.tcp.stats.
  uint64_t Counters::*member;
  const char* description;
};

#define WH_COUNTER(name, text) \
  { #name, &Counters::name, text }
constexpr Counter kCounters[] = {
    WH_COUNTER(segments_in, "segments received"),
    WH_COUNTER(segments_out, "segments sent"),
    WH_COUNTER(bad_checksum, "dropped: wrong checksum"),
    WH_COUNTER(bad_header, "dropped: too short or an impossible header length"),
    WH_COUNTER(bad_address, "dropped: to or from a group, a broadcast or nobody"),
    WH_COUNTER(bad_options, "an option of impossible length; the segment was used"),
    WH_COUNTER(no_connection, "to a port where nobody listens"),
    WH_COUNTER(bad_flags, "dropped: flags without a meaning here"),
    WH_COUNTER(missing_timestamp, "dropped: timestamps were agreed on and it has none"),
    WH_COUNTER(paws_drops, "dropped: its timestamp is old"),
    WH_COUNTER(out_of_window, "dropped: nothing of it is in the window"),
    WH_COUNTER(trimmed_bytes, "bytes cut off beyond the window"),
    WH_COUNTER(after_close, "data for an application that has closed"),
    WH_COUNTER(reassembly_full, "dropped: too many islands of out-of-order data"),
    WH_COUNTER(out_of_order, "segments that left a hole"),
    WH_COUNTER(duplicate_bytes, "bytes received again"),
    WH_COUNTER(bad_ack, "acknowledgments of what was never sent or is too old"),
    WH_COUNTER(unacceptable_rst, "dropped: RST outside the window"),
    WH_COUNTER(challenge_acks, "challenge ACKs sent"),
    WH_COUNTER(challenge_acks_limited, "challenge ACKs and answers not sent: too many this second"),
    WH_COUNTER(connects, "active opens"),
    WH_COUNTER(accepts, "connections accepted by applications"),
    WH_COUNTER(established, "connections established"),
    WH_COUNTER(closed, "connections closed"),
    WH_COUNTER(resets_in, "connections reset by the peer"),
    WH_COUNTER(resets_out, "RST sent"),
    WH_COUNTER(listen_overflows, "dropped: SYN to a full backlog"),
    WH_COUNTER(accept_overflows, "dropped: the accept queue is full"),
    WH_COUNTER(connection_limit, "connects refused: too many connections"),
    WH_COUNTER(cookies_sent, "SYNs answered with a cookie"),
    WH_COUNTER(cookies_accepted, "connections made from a cookie"),
    WH_COUNTER(cookies_refused, "ACKs to a listener without a valid cookie"),
    WH_COUNTER(dropped_by_timeout, "connections given up after timeouts"),
    WH_COUNTER(dropped_by_keepalive, "connections given up after keepalive probes"),
    WH_COUNTER(data_segments_out, "segments with data or FIN sent"),
    WH_COUNTER(data_bytes_out, "payload bytes sent"),
    WH_COUNTER(retransmitted_segments, "segments sent again"),
    WH_COUNTER(retransmitted_bytes, "payload bytes sent again"),
    WH_COUNTER(acks_out, "segments without data sent"),
    WH_COUNTER(delayed_acks, "acknowledgments that the timer sent"),
    WH_COUNTER(window_probes, "probes of a closed window"),
    WH_COUNTER(keepalive_probes, "keepalive probes"),
    WH_COUNTER(timeouts, "retransmission timeouts"),
    WH_COUNTER(spurious_timeouts, "retransmission timeouts undone"),
    WH_COUNTER(tlp_probes, "tail loss probes"),
    WH_COUNTER(tlp_losses, "losses that a tail loss probe repaired"),
    WH_COUNTER(recoveries, "fast recoveries"),
    WH_COUNTER(false_recoveries, "fast recoveries undone"),
    WH_COUNTER(dsacks_in, "duplicate SACKs received"),
    WH_COUNTER(dsacks_out, "duplicate SACKs sent"),
    WH_COUNTER(sack_blocks_in, "SACK blocks received"),
    WH_COUNTER(bad_sacks, "SACK blocks that make no sense"),
    WH_COUNTER(reneges, "peers that threw away what they had SACKed"),
    WH_COUNTER(ecn_ce_in, "segments received with a congestion mark"),
    WH_COUNTER(ecn_echoes_in, "segments received with ECE"),
    WH_COUNTER(ecn_reductions, "window reductions for a mark"),
    WH_COUNTER(pmtu_changes, "path MTU lowered by ICMP"),
    WH_COUNTER(blackholes_suspected, "segments made smaller after timeouts"),
    WH_COUNTER(icmp_errors, "ICMP errors received"),
    WH_COUNTER(icmp_ignored, "ICMP errors that match no connection"),
    WH_COUNTER(no_packet, "could not send: no packet or no sendmap entry"),
    WH_COUNTER(inpace, "output asked for while a pacing delay ran"),
    WH_COUNTER(fto_send, "bursts by the fast transmit path"),
    WH_COUNTER(nfto_send, "bursts by the full path"),
    WH_COUNTER(fto_rsm_send, "retransmissions straight from the sendmap"),
    WH_COUNTER(nfto_resend, "retransmissions by the full path"),
    WH_COUNTER(rfo_extended, "fast send blocks made longer by an acknowledgment"),
};
#undef WH_COUNTER

constexpr const char* kForget[] = {"net.inet.tcp.hostcache.purgenow",
                                   "net.inet.tcp.hostcache.purge"};

}  // namespace

void add_sysctls(SysctlTree& tree, Tunables& tunables, Counters& counters) {
  tree.add_int("kern.ipc.maxsockbuf", &tunables.maxsockbuf,
               {.description = "largest socket buffer; sets the window scale to offer",
                .unit = "bytes",
                .min = 2048,
                .max = int64_t{1} << 32});
  tree.add_int("kern.ipc.soacceptqueue", &tunables.soacceptqueue,
               {.description = "largest backlog that a socket's listen() is given",
                .min = 1,
                .max = 65535,
                .also = {"kern.ipc.somaxconn"}});
  // This stack keeps nothing of hosts it talked to: forgetting it is done before it is asked.
  for (const char* name : kForget) {
    tree.add_text(name, {.description = "forget what was learnt of other hosts: nothing is kept",
                         .get = [] { return std::string("0"); },
                         .set = [](std::string_view) -> Result<void> { return {}; }});
  }
  for (const Tunable& t : kTunables) {
    tree.add_int(std::string("net.inet.tcp.") + t.name, &(tunables.*t.member),
                 {.description = t.description,
                  .unit = t.unit,
                  .min = t.min,
                  .max = t.max,
                  .check = t.check});
  }
  for (const Counter& c : kCounters) {
    tree.add_counter(std::string("net.inet.tcp.stats.") + c.name, &(counters.*c.member),
                     c.description);
  }
}

void remove_sysctls(SysctlTree& tree) {
  tree.remove("kern.ipc.maxsockbuf");
  tree.remove("kern.ipc.soacceptqueue");
  tree.remove("kern.ipc.somaxconn");
  for (const char* name : kForget) tree.remove(name);
  for (const Tunable& t : kTunables) tree.remove(std::string("net.inet.tcp.") + t.name);
  for (const Counter& c : kCounters) tree.remove(std::string("net.inet.tcp.stats.") + c.name);
}

}  // namespace wh::tcp
