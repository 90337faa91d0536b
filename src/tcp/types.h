// The words of this room: endpoints, states, what an application is told, what a report asks.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/units.h"
#include "net/address.h"
#include "net/seq.h"

namespace wh::tcp {

using net::SeqLen;
using net::SeqNum;

class Connection;
class Listener;
class TcpStack;

struct SeqRange {
  SeqNum begin, end;
  bool operator==(const SeqRange&) const = default;
};

struct Endpoint {
  net::IpAddress address;
  uint16_t port = 0;
  uint16_t table = 0;  // In which the address means something (net/ip_service.h).
  auto operator<=>(const Endpoint&) const = default;
};
std::string to_string(const Endpoint& e);  // 10.0.0.1:80, [2001:db8::1]:80

// RFC 9293 section 3.3.2. LISTEN is an object of its own (tcp/listener.h).
enum class State : uint8_t {
  Closed,
  SynSent,
  SynReceived,
  Established,
  CloseWait,
  FinWait1,
  Closing,
  LastAck,
  FinWait2,
  TimeWait,
};
std::string_view to_string(State state);  // "ESTABLISHED"

// Data may come from the peer: it has sent no FIN.
constexpr bool can_receive(State s) {
  return s == State::Established || s == State::FinWait1 || s == State::FinWait2;
}
constexpr bool is_synchronised(State s) {
  return s != State::Closed && s != State::SynSent && s != State::SynReceived;
}
// This side's FIN is queued or sent.
constexpr bool has_closed(State s) {
  return s >= State::FinWait1;
}

// The peer's FIN has come: what it sent is all there will be.
constexpr bool has_peer_closed(State s) {
  return s == State::CloseWait || s == State::LastAck || s == State::Closing ||
         s == State::TimeWait;
}

// Why a connection ended.
enum class End : uint8_t { None, Normal, Reset, Refused, TimedOut, Unreachable, Aborted };
std::string_view to_string(End end);

// What changed since the application was last told. Flags, or-ed.
enum Readiness : uint8_t {
  kConnected = 1,   // The handshake is done.
  kReadable = 2,    // recv() has bytes, or an end of stream to report.
  kWritable = 4,    // There is room to send again, after send() took less than it was given.
  kPeerClosed = 8,  // The peer sends nothing more.
  kEnded = 16,      // The connection is over; end() says why.
};

// An application's side of a connection. Called when a batch is done, never in the middle of one;
// it may use every verb of the connection, and close it.
class ConnectionObserver {
 public:
  virtual ~ConnectionObserver() = default;
  virtual void on_ready(Connection& connection, uint8_t readiness) = 0;
  // Each round-trip sample, as it is taken. Must not call into the connection.
  virtual void on_rtt(Connection& /*connection*/, Duration /*rtt*/) {}
};

enum class Recovery : uint8_t {
  Open,      // No loss being repaired.
  Recovery,  // Fast recovery: losses found by RACK or duplicate acknowledgments.
  Loss,      // After a retransmission timeout.
};
std::string_view to_string(Recovery r);

// A connection as reports see it (FreeBSD's tcp_info, in words).
struct Info {
  State state = State::Closed;
  Recovery recovery = Recovery::Open;
  std::string_view congestion_control;
  Duration srtt{0}, rtt_variance{0}, latest_rtt{0}, min_rtt{0}, rto{0};
  uint64_t rtt_samples = 0;
  Bytes mss{0}, cwnd{0}, ssthresh{0}, send_window{0}, receive_window{0};
  Bytes pipe{0}, outstanding{0}, sacked{0}, lost{0}, unsent{0};
  Rate pace = Rate::infinite();
  Bytes burst{0};  // Largest paced burst; 0 when not paced.
  Duration agg_delayed{0}, agg_early{0};
  // Since the connection began. Payload; a byte sent twice counts twice in `sent`.
  Bytes sent{0}, retransmitted{0}, acknowledged{0}, received{0};
  uint64_t segments_sent = 0, segments_received = 0;
  uint64_t data_segments_sent = 0, data_segments_received = 0;
  uint64_t out_of_order = 0;  // Received behind a hole.
  uint64_t dsacks = 0;        // Duplicate SACKs received.
  Bytes delivered_marked{0};  // By acknowledgments with ECE.
  // How long there was something to deliver; how long the peer's window, or the send buffer, was
  // what that waited for.
  Duration busy{0}, window_limited{0}, buffer_limited{0};
  Rate delivery_rate;       // Of the last acknowledgment: what arrived in a round trip, over it.
  Duration receive_rtt{0};  // Round trip as the receiver sees it, of ms; 0: not measured.
  Duration ack_delay{0};    // How long a single segment's acknowledgment waits; 0: not at all.
  Bytes receive_limit{0};   // The largest window that can be offered now.
  uint64_t timeouts = 0, recoveries = 0, tlp_probes = 0, reorderings = 0;
  uint32_t sendmap_entries = 0;
  unsigned backoffs = 0;               // Retransmission timeouts in a row.
  Bytes retransmitted_outstanding{0};  // Sent again and not acknowledged since.
  uint32_t path_mtu = 0;
  Instant last_sent{}, last_heard{}, last_data_received{};
  bool timestamps = false, sack = false, ecn = false, scaling = false;
  uint8_t send_scale = 0, receive_scale = 0;
};

// "ESTABLISHED open cwnd 14480 ssthresh - pipe 2896 ...": one line for logs and test failures.
std::string to_string(const Info& info);

}  // namespace wh::tcp
