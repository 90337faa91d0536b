// Congestion control: what an algorithm is told and what it may change.
//
// The connection finds losses, runs the recovery episode (PRR) and enforces the window; an
// algorithm only sets cwnd and ssthresh when told what happened. Each hook gets the state both
// share. An algorithm keeps its own state in itself, reads no clock and schedules nothing: `now`
// comes with the event.
//
// The life of a window:
//   on_established -> on_ack* -> on_loss -> (PRR, by the connection) -> on_recovery_end -> ...
//                             -> on_ecn -> on_ack* ...
//                             -> on_timeout -> on_ack* ...
// on_spurious() undoes the last on_loss or on_timeout. Sizes are bytes of payload.
//
// An algorithm with a model of the path (owns_window()) is told more, and also in recovery:
// on_send() for each burst, on_delivery() for whatever was acknowledged, SACKed or lost. It sets
// cwnd itself at all times (no PRR, no on_ack) and asks for a pace.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "core/units.h"

namespace wh::tcp {

struct InitialWindow {       // net.inet.tcp.*
  uint32_t segments = 10;    // initcwnd_segments; 0: what the RFCs before 6928 say,
  bool uses_rfc3390 = true;  // and which of them (rfc3390).
};
// RFC 6928 section 2: ten segments, or two when they are large. RFC 3390 section 1: two to four of
// at most 4380 bytes together. RFC 5681 section 3.1: four, three or two, by their size.
constexpr Bytes initial_window(Bytes mss, const InitialWindow& rule = {}) {
  if (rule.segments > 0) {
    return std::min(mss * rule.segments, std::max(mss * 2, Bytes(1460) * rule.segments));
  }
  if (rule.uses_rfc3390) return std::min(mss * 4, std::max(mss * 2, Bytes(4380)));
  return mss > Bytes(2190) ? mss * 2 : mss > Bytes(1095) ? mss * 3 : mss * 4;
}

struct CongestionState {
  Bytes mss{536};  // Payload bytes of a full segment.
  Bytes cwnd{0};
  Bytes ssthresh = Bytes::max();
  Bytes max_cwnd = Bytes(65535) * (1 << 14);
  Duration srtt{0};  // Zero before the first sample.
  bool is_paced = false;
  // DGP chooses the pace: NewReno gives way less (FreeBSD's hi-beta).
  bool has_rate_policy = false;
  // What the connection asks for itself; the algorithm's own way unless set.
  enum class HyStartUse : uint8_t { Usual, Off, On } hystart = HyStartUse::Usual;
  uint8_t hi_beta = 0;  // Percent that NewReno keeps at a loss (TCP_RACK_HI_BETA).
  uint8_t abc_l = 0;    // Segments an acknowledgment adds at most (TCP_RACK_ABC_VAL).
  InitialWindow initial;

  bool in_slow_start() const { return cwnd < ssthresh; }
  Bytes initial_window() const { return tcp::initial_window(mss, initial); }
  bool uses_hystart(bool usual) const {
    return hystart == HyStartUse::Usual ? usual : hystart == HyStartUse::On;
  }
};

struct AckEvent {
  Instant now{};
  Bytes acked{0};   // Newly acknowledged cumulatively.
  Bytes flight{0};  // In the network when the acknowledgment came.
  Duration rtt{0};  // This acknowledgment's sample; 0 when it gives none.
  Duration srtt{0}, min_rtt{0};
  bool is_cwnd_limited = false;   // The window is what keeps the sender back.
  bool is_round_start = false;    // The first to cover what was sent in this round.
  bool is_after_timeout = false;  // Repairing after a retransmission timeout.
};

struct LossEvent {
  Instant now{};
  Bytes flight{0};  // In the network when the loss was found.
  Bytes rwnd{0};
};

// A burst left, of new data or of repairs.
struct SendEvent {
  Instant now{};
  Bytes flight_before{0}, flight{0};  // In the network before it and with it.
};

// What an acknowledgment, or a timer that finds losses, turned out to say.
struct DeliveryEvent {
  Instant now{};
  Bytes delivered{0};        // Newly acknowledged or SACKed.
  Instant newest_sent_at{};  // When the most recently sent of that had left.
  Instant oldest_sent_at{};  // No segment that left before is still in the network.
  Bytes lost{0};             // Newly deemed lost, in so many pieces,
  uint32_t lost_ranges = 0;
  Instant lost_sent_at{};  // of which the last had left then.
  Bytes flight{0};         // In the network after it.
  Duration rtt{0};         // Sample; 0: none.
  Duration srtt{0}, min_rtt{0};
  bool is_cwnd_limited = false, in_recovery = false, has_sack = true;
};

class CongestionControl {
 public:
  explicit CongestionControl(bool owns_window = false) : owns_window_(owns_window) {}
  virtual ~CongestionControl() = default;
  virtual std::string_view name() const = 0;

  virtual void on_established(CongestionState& state) { state.cwnd = state.initial_window(); }
  // The cumulative acknowledgment moved, outside a recovery episode.
  virtual void on_ack(CongestionState& state, const AckEvent& event) = 0;
  // A loss was found: set ssthresh. The connection then walks cwnd down to it.
  virtual void on_loss(CongestionState& state, const LossEvent& event) = 0;
  // The peer echoed a congestion mark, at most once a round trip: set ssthresh and cwnd.
  virtual void on_ecn(CongestionState& state, const LossEvent& event) {
    on_loss(state, event);
    state.cwnd = state.ssthresh;
  }
  virtual void on_recovery_end(CongestionState& state, Instant /*now*/) {
    state.cwnd = std::max(state.ssthresh, state.mss);
  }
  // The retransmission timer expired. `is_first` of a row: ssthresh is set only then (RFC 5681
  // section 3.1).
  virtual void on_timeout(CongestionState& state, const LossEvent& event, bool is_first) = 0;
  // Nothing was sent for a retransmission timeout (RFC 5681 section 4.1).
  virtual void on_idle(CongestionState& state) {
    state.ssthresh = std::max(state.ssthresh, state.cwnd / 4 * 3);
    state.cwnd = std::min(state.cwnd, state.initial_window());
  }
  // The last reduction answered no loss; the connection has put cwnd and ssthresh back.
  virtual void on_spurious(CongestionState& /*state*/) {}
  // For an algorithm with a model of the path; see above.
  bool owns_window() const { return owns_window_; }
  virtual void on_send(CongestionState& /*state*/, const SendEvent& /*event*/) {}
  virtual void on_delivery(CongestionState& /*state*/, const DeliveryEvent& /*event*/) {}
  // The sender has no more data although the window has room.
  virtual void on_app_limited(CongestionState& /*state*/, Bytes /*flight*/) {}
  // The pace the algorithm asks for, of payload; nothing when it leaves pacing to others.
  virtual std::optional<Rate> pacing_rate(const CongestionState& /*state*/) const { return {}; }

 private:
  bool owns_window_;  // Asked several times a segment.
};

using CongestionFactory = std::function<std::unique_ptr<CongestionControl>()>;

}  // namespace wh::tcp
