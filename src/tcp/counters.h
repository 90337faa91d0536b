// What a TCP stack counts. Each counter is a sysctl below net.inet.tcp.stats (tcp/sysctls.cc).
#pragma once

#include <cstdint>

namespace wh::tcp {

struct Counters {
  // Segments in: every one is counted once under segments_in, and what was dropped under its
  // reason.
  uint64_t segments_in = 0, segments_out = 0;
  uint64_t bad_checksum = 0;   // The checksum is wrong.
  uint64_t bad_header = 0;     // Too short, or the header's length is impossible.
  uint64_t bad_address = 0;    // To or from a group, a broadcast or nobody.
  uint64_t bad_options = 0;    // An option's length is impossible; the segment is used.
  uint64_t no_connection = 0;  // To a port where nobody listens; answered by RST.
  uint64_t bad_flags = 0;      // Flags that have no meaning where they came.
  uint64_t missing_timestamp =
      0;                       // Dropped: timestamps were agreed on and it has none (RFC 7323 3.2).
  uint64_t paws_drops = 0;     // Dropped: its timestamp is old (RFC 7323 section 5).
  uint64_t out_of_window = 0;  // Dropped: nothing of it is in the window.
  uint64_t trimmed_bytes = 0;  // Outside the window, of segments otherwise used.
  uint64_t after_close = 0;    // Data for an application that has closed; answered by RST.
  uint64_t reassembly_full = 0;  // Dropped: would have been an island too many.
  uint64_t out_of_order = 0;     // Segments that left a hole.
  uint64_t duplicate_bytes = 0;
  uint64_t bad_ack = 0;           // Acknowledges what was never sent, or is older than any window.
  uint64_t unacceptable_rst = 0;  // Dropped: RST outside the window.
  uint64_t challenge_acks = 0;    // RFC 5961.
  uint64_t challenge_acks_limited = 0;

  uint64_t connects = 0, accepts = 0, established = 0, closed = 0;
  uint64_t resets_in = 0, resets_out = 0;
  uint64_t listen_overflows = 0;  // SYN dropped: the backlog is full and cookies are off.
  uint64_t accept_overflows = 0;  // The accept queue is full.
  uint64_t connection_limit = 0;  // Refused: the stack has as many connections as it may.
  uint64_t cookies_sent = 0, cookies_accepted = 0, cookies_refused = 0;
  uint64_t dropped_by_timeout = 0;  // Connections given up after too many retransmissions.
  uint64_t dropped_by_keepalive = 0;

  uint64_t data_segments_out = 0, data_bytes_out = 0;
  uint64_t retransmitted_segments = 0, retransmitted_bytes = 0;
  uint64_t acks_out = 0, delayed_acks = 0, window_probes = 0, keepalive_probes = 0;
  uint64_t timeouts = 0, spurious_timeouts = 0;
  uint64_t tlp_probes = 0, tlp_losses = 0;
  uint64_t recoveries = 0, false_recoveries = 0;
  uint64_t dsacks_in = 0, dsacks_out = 0, sack_blocks_in = 0, bad_sacks = 0, reneges = 0;
  uint64_t ecn_ce_in = 0, ecn_echoes_in = 0, ecn_reductions = 0;
  uint64_t blackholes_suspected = 0;  // Segments made smaller after timeouts.
  uint64_t pmtu_changes = 0, icmp_errors = 0, icmp_ignored = 0;
  uint64_t no_packet = 0;  // Could not send: the packet pool or the sendmap's pool is empty.

  // Pacing and the two fast paths, by the RACK stack's names.
  uint64_t inpace = 0;        // Output was asked for while a pacing delay ran, and did nothing.
  uint64_t fto_send = 0;      // Bursts of new data sent by the fast path,
  uint64_t nfto_send = 0;     // by the full path.
  uint64_t fto_rsm_send = 0;  // Retransmissions sent straight from the sendmap,
  uint64_t nfto_resend = 0;   // by the full path.
  uint64_t rfo_extended = 0;  // A fast send block that an acknowledgment made longer.
};

}  // namespace wh::tcp
