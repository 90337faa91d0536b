// Dynamic Goodput Pacing: the rate policy that joins a delay-based and a loss-based view of a path.
//
//   Bw       = max(GPest, LTbw) x TimelyMultiplier                  (delay)
//   FillCwBw = cwnd / CurrentRTT                                    (loss)
//   PaceRate = max(Bw, FCC == 0 ? FillCwBw : min(FillCwBw, FCC))
//
// FCC, the fill congestion window cap, is the fulcrum: up to it the connection pushes against
// loss-based flows, above it only the delay decides. One Dgp belongs to a connection, which tells
// it what it sent and what was acknowledged and asks for the pace before each burst. It reads no
// clock and sends nothing.
//
// All rates count Ethernet frames, as pacing does: goodput is scaled by what a segment costs on the
// wire, FCC is compared as it is. As in FreeBSD, the loss-based part is silent in recovery and
// while probing the round trip, cwnd counts no further than the receiver's window, and the pace is
// at least 64 kbps. Source: "Dynamic Goodput Pacing" (FreeBSD Journal, 2024-11); FreeBSD RACK,
// 2024.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/units.h"
#include "pacing/goodput.h"
#include "pacing/long_term_bandwidth.h"
#include "pacing/min_rtt.h"
#include "pacing/path_capacity.h"
#include "pacing/probe_rtt.h"
#include "pacing/timely.h"

namespace wh::pacing {

// Which part decided the pace.
enum class PaceBy : uint8_t { Nothing, Fixed, Control, Bandwidth, FillCwnd, Fulcrum, Cap };
std::string_view to_string(PaceBy by);  // "none", "fixed", "cc", "bw", "fill", "fcc", "cap"

// FillCwBw: the rate that spreads a window over a round trip. REQUIRES: rtt > 0.
inline Rate fill_cwnd_rate(Bytes cwnd, Duration rtt) {
  return Rate::of(cwnd, rtt);
}

struct PaceChoice {
  Rate rate;
  PaceBy by = PaceBy::Nothing;
};
// The formula's last line. An FCC of zero is no cap; a FillCwBw of zero is silent.
PaceChoice choose_pace(Rate bw, Rate fill_cwnd, Rate fcc);

constexpr Rate kDefaultFcc = 30_Mbps;  // net.inet.tcp.rack.pacing.fillcw_cap = 3750000

// A connection's pace taken apart, for reports.
struct PaceParts {
  enum class State : uint8_t { Unpaced, Startup, SlowStart, Avoidance, Recovery, ProbeRtt };
  State state = State::Unpaced;
  PaceBy by = PaceBy::Nothing;
  Rate pace = Rate::infinite();  // Infinite: not paced.
  Rate goodput, long_term;       // GPest, LTbw: payload a second.
  uint32_t multiplier = 100;     // Percent.
  Rate bw;                       // max(goodput, long_term) x multiplier, in frames a second.
  Rate fill_cwnd, fcc;           // Zero FCC: no cap.
  Rate capacity;                 // Measured, in frames a second; zero: unknown or not asked for.
  Duration current_rtt{0}, goodput_rtt{0}, previous_goodput_rtt{0}, min_rtt{0};
  uint64_t measurements = 0, probes = 0;
};
std::string_view to_string(PaceParts::State state);  // "slow_start", ...

class Dgp {
 public:
  struct Config {
    GoodputFilter::Config filter;
    GoodputWindow::Config window;
    Timely::Config timely;
    ProbeRtt::Config probe;
    enum class UseLongTerm : uint8_t { No, Min, Max } use_long_term = UseLongTerm::Max;
    Rate fcc = kDefaultFcc;  // Zero: no cap.
    // FCC is a share of the measured capacity instead, once that is known.
    std::optional<PathCapacity::Config> capacity;
    // No estimate at all: the pace is FillCwBw, also in recovery (TCP_RACK_PACE_TO_FILL).
    bool fill_only = false;
    bool fill_in_recovery = false;  // TCP_RACK_DGP_IN_REC: FillCwBw counts in recovery too.
    bool fill = true;               // Without it FillCwBw is silent: the estimate alone paces.
    // Profile 6: the window counts by the multiplier (at most 250 %), in recovery by
    // recovery_share; one below the initial window says nothing, and LTbw stands for it.
    bool discounts_fill = false;
    uint32_t recovery_share = 50;        // Percent; TCP_RACK_HI_BETA.
    uint32_t required_measurements = 1;  // Before the estimate counts: TCP_RACK_MEASURE_CNT.
    // The bandwidth before anything is known of it (TCP_BBR_RACK_INIT_RATE), payload; zero: the
    // initial window leaves in a burst.
    Rate init_rate;
    Rate rate_cap;  // TCP_PACING_RATE_CAP; zero: none.
    Duration rtt_window = 10s;
    // A measurement that comes within so many percent of what was asked for says that the path
    // carried it all, not that it has no more: it only raises the estimate. 0: every measurement
    // counts alike.
    uint32_t self_limited = 90;
    // pacing.rnd_gp_gain and dgp_out_of_ss_at: slow start ends when the goodput has grown by less
    // than so many percent in so many measurements; 0 measurements: losses only.
    uint32_t slow_start_growth = 20, slow_start_rounds = 5;
    // One is enough when its round trip is above so many percent of the minimum: the path is full.
    uint32_t slow_start_rtt = 150;
  };
  // What the connection is doing now. Positions count bytes from the beginning of the stream.
  struct Situation {
    Instant now{};
    Phase phase = Phase::SlowStart;
    uint64_t una = 0, snd_max = 0;
    Bytes mss{0}, t_maxseg{0}, ip_header{20};
    Bytes cwnd{0}, rwnd{0}, flight{0}, initial_window{0};
    Duration srtt{0}, latest_rtt{0};  // Zero: no sample yet.
    Rate pace = Rate::infinite();     // At which data leaves.
  };
  struct Acked {
    Bytes bytes{0};     // Newly acknowledged cumulatively.
    Instant sent_at{};  // As GoodputWindow::Acked.
    Instant next_sent_at{};
    bool next_is_new = true;
    Duration rtt{0};
    bool pacer_waits = false;  // A pacing delay runs,
    bool has_more = false;     // and there is data that could be sent.
  };

  explicit Dgp(const Config& config);

  // --- what happened ---
  void on_sent(const Situation& s, uint64_t begin);  // New data from `begin` on.
  void on_acked(const Situation& s, const Acked& a);
  void on_app_limited(const Situation& s);
  void on_loss(const Situation& s);
  void on_second_timeout() { window_.abandon(); }
  void on_persist(const Situation& s);

  // --- what follows ---
  // Infinite until data was acknowledged: the initial window leaves in a burst.
  PaceParts parts(const Situation& s) const;
  Rate pace(const Situation& s) const { return parts(s).pace; }
  // Most that may be in flight, besides the congestion window: in probeRTT of the article's kind;
  // and with a measured capacity (flight_limit()). A `train` that is to measure the capacity goes
  // beyond the latter: cut to the room there is, it would find again what is known already.
  Bytes cwnd_limit(Bytes mss, Bytes train) const {
    const Bytes probing = probe_.cwnd_limit(mss);
    if (flight_limit_ == Bytes::max()) return probing;
    return std::min(probing, flight_limit_ + train);
  }
  bool is_probing() const { return probe_.is_active(); }
  // The bandwidth has stopped growing: there is nothing for slow start to find any more.
  bool is_slow_start_over() const {
    return config_.slow_start_rounds != 0 && flat_measurements_ >= config_.slow_start_rounds;
  }

  // The same as a fixed rate, or as a share of the capacity.
  void set_fcc(Rate fcc);
  void set_fcc_share(uint32_t percent);
  // The next burst should have so many segments, to measure the capacity; 0: as many as the pace
  // makes it.
  int64_t wanted_burst(Instant now) const {
    return capacity_ && capacity_->wants_train(now) ? PathCapacity::kTrainSegments : 0;
  }
  Config& config() { return config_; }
  bool is_fill_only() const { return config_.fill_only; }
  Timely& timely() { return timely_; }
  const GoodputFilter& goodput() const { return goodput_; }

 private:
  GoodputWindow::Situation window_situation(const Situation& s) const;
  static GoodputWindow::Acked window_acked(const Acked& a);
  ProbeRtt::Situation probe_situation(const Situation& s) const;
  Rate bandwidth(const Situation& s) const;  // max(GPest, LTbw), payload.
  uint32_t multiplier(const Situation& s) const;
  Rate fill(const Situation& s, uint32_t multiplier) const;  // FillCwBw; zero: silent.
  void note_rtt(const Situation& s, Duration rtt);
  void note_measurement(const Situation& s, const GoodputWindow::Measurement& m);
  void note_bottom(const Situation& s, const Acked& a);
  Bytes flight_limit(const Situation& s) const;
  void note_growth(const Situation& s, const GoodputWindow::Measurement& m);
  void run_probe(const Situation& s, const Acked& a);

  Config config_;
  GoodputFilter goodput_;
  GoodputWindow window_;
  LongTermBandwidth long_term_;
  Timely timely_;
  MinRtt min_rtt_;
  ProbeRtt probe_;
  std::optional<PathCapacity> capacity_;
  Duration lowest_rtt_{0}, highest_rtt_{0}, goodput_rtt_{0};
  Rate asked_, asked_before_;  // Highest pace in this window and in the last, of payload.
  bool was_acked_ = false;
  bool saw_slow_start_ = false, saw_loss_ = false, probe_now_ = false;
  Rate grown_from_;
  uint32_t flat_measurements_ = 0;
  uint64_t probes_ = 0;
  Instant idle_since_ = kNever;
  Bytes flight_limit_ = Bytes::max();
};

}  // namespace wh::pacing
