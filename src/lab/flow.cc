#include "lab/flow.h"

#include "lab/stream.h"

namespace wh::lab {
namespace {

double mbps(Rate rate) {
  return static_cast<double>(rate.bps()) * 1e-6;
}

// Which of kPaceWinners it was; NaN before there is a pace.
double winner_of(const pacing::PaceParts& p) {
  using State = pacing::PaceParts::State;
  if (p.pace.is_infinite() || p.state == State::Unpaced) return kNone;
  if (p.state == State::ProbeRtt) return 3;
  if (p.state == State::Recovery) return 4;
  switch (p.by) {
    case pacing::PaceBy::Bandwidth: return 0;
    case pacing::PaceBy::FillCwnd: return 1;
    case pacing::PaceBy::Fulcrum: return 2;
    default: return 5;
  }
}

PaceParts parts_of(const pacing::PaceParts& p) {
  if (p.pace.is_infinite()) return {};
  return {.gp_est = mbps(p.goodput),
          .lt_bw = mbps(p.long_term),
          .timely = p.multiplier / 100.0,
          .fill_cw = mbps(p.fill_cwnd),
          .fcc = mbps(p.fcc),
          .won = winner_of(p)};
}

}  // namespace

void set_pace(const FlowSpec& flow, tcp::Connection& connection) {
  if (flow.rate) connection.set_pace_rate(*flow.rate);
  if (flow.fcc) connection.set_fcc(*flow.fcc);
  if (flow.fcc_share > 0) connection.set_fcc_share(flow.fcc_share);
  if (flow.is_fill) MUST(connection.set_pace_to_fill(true));
  if (flow.is_dgp) MUST(connection.set_profile(1));  // parse_flow() lets no rate beside it.
}

FlowSample Flow::sample_of(StreamEnd& sender, uint64_t delivered) const {
  FlowSample s{.delivered = delivered, .rtt = sender.take_rtt_window()};
  if (sender.connection() == nullptr) return s;
  const tcp::Info info = sender.info();
  s.cwnd_kb = static_cast<double>(info.cwnd.count()) * 1e-3;
  s.flight_kb = static_cast<double>(info.outstanding.count()) * 1e-3;
  if (!info.pace.is_infinite()) s.pace_mbps = mbps(info.pace);
  if (sender.is_dgp()) s.parts = parts_of(sender.connection()->pace_parts());
  return s;
}

FlowReport Flow::blank_report(bool is_dgp) const {
  return {.name = name_,
          .cc = spec_.cc,
          .profile = is_dgp || spec_.is_dgp ? "dgp"
                     : spec_.is_fill        ? "fill"
                     : spec_.rate           ? "fixed"
                                            : "unpaced",
          .pace = spec_.rate,
          .background = spec_.background,
          .workload = print_workload(spec_.workload)};
}

}  // namespace wh::lab
