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

#include <cstdint>
#include <string_view>

#include "core/units.h"
#include "pacing/goodput.h"
#include "pacing/long_term_bandwidth.h"
#include "pacing/min_rtt.h"
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
    Rate rate_cap;           // TCP_PACING_RATE_CAP; zero: none.
    Duration rtt_window = 10s;
  };
  // What the connection is doing now. Positions count bytes from the beginning of the stream.
  struct Situation {
    Instant now{};
    Phase phase = Phase::SlowStart;
    uint64_t una = 0, snd_max = 0;
    Bytes mss{0}, t_maxseg{0}, ip_header{20};
    Bytes cwnd{0}, rwnd{0}, flight{0}, initial_window{0};
    Duration srtt{0}, latest_rtt{0};  // Zero: no sample yet.
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
  void on_sent(const Situation& s, uint64_t begin);  // New data from `begin` on, or a repair.
  void on_acked(const Situation& s, const Acked& a);
  void on_app_limited(const Situation& s);
  void on_loss() { saw_loss_ = true; }
  void on_second_timeout() { window_.abandon(); }
  void on_persist(const Situation& s);

  // --- what follows ---
  // Infinite until data was acknowledged: the initial window leaves in a burst.
  PaceParts parts(const Situation& s) const;
  Rate pace(const Situation& s) const { return parts(s).pace; }
  // Most that may be in flight (probeRTT of the article's kind); no limit otherwise.
  Bytes cwnd_limit(Bytes mss) const { return probe_.cwnd_limit(mss); }
  bool is_probing() const { return probe_.is_active(); }

  void set_fcc(Rate fcc) { config_.fcc = fcc; }
  Rate fcc() const { return config_.fcc; }
  Config& config() { return config_; }
  Timely& timely() { return timely_; }
  const GoodputFilter& goodput() const { return goodput_; }

 private:
  GoodputWindow::Situation window_situation(const Situation& s) const;
  ProbeRtt::Situation probe_situation(const Situation& s) const;
  Rate bandwidth(const Situation& s) const;  // max(GPest, LTbw), payload.
  uint32_t multiplier(const Situation& s) const;
  void note_rtt(const Situation& s, Duration rtt);
  void note_measurement(const Situation& s, const GoodputWindow::Measurement& m);
  void note_bottom(const Situation& s, const Acked& a);
  void enter_probe(const Situation& s);
  void run_probe(const Situation& s);

  Config config_;
  GoodputFilter goodput_;
  GoodputWindow window_;
  LongTermBandwidth long_term_;
  Timely timely_;
  MinRtt min_rtt_;
  ProbeRtt probe_;
  Duration lowest_rtt_{0}, highest_rtt_{0}, goodput_rtt_{0};
  bool was_acked_ = false;
  bool saw_slow_start_ = false, saw_loss_ = false;
  uint64_t probes_ = 0;
  Instant idle_since_ = kNever;
};

}  // namespace wh::pacing
