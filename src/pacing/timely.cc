#include "pacing/timely.h"

#include <algorithm>

namespace wh::pacing {
namespace {

constexpr int64_t kMillion = 1'000'000;
constexpr uint32_t kHyperActive = 5;  // Raises in a row until one counts five times (HAI).

// a / b in millionths.
int64_t ppm(Duration a, Duration b) {
  return static_cast<int64_t>(Int128(a.count()) * kMillion / std::max<int64_t>(b.count(), 1));
}

}  // namespace

Timely::Timely(Config config)
    : config_(config),
      gains_{config.start_slow_start, config.start_avoidance, config.start_recovery} {}

void Timely::on_measurement(const Measured& m) {
  const Duration rtt = m.rtt / 1us * 1us;
  const bool is_first = previous_rtt_ == Duration::zero();
  // Whole microseconds, truncated towards zero: d -= d / 8; d += (new - previous) / 8.
  if (!is_first) {
    const int64_t change = (rtt - previous_rtt_) / 1us, d = rtt_diff_ / 1us;
    rtt_diff_ = Duration((d - d / 8 + change / 8) * 1us);
  }
  previous_rtt_ = rtt;
  last_ = m.last;
  if (compared_.is_zero()) compared_ = m.estimate;
  if (!config_.enabled || m.min_rtt == Duration::zero()) return;
  apply(judge(m), m);
}

Timely::Verdict Timely::judge(const Measured& m) const {
  const Duration rtt = m.rtt / 1us * 1us;
  if (rtt >= m.min_rtt * config_.rtt_max_mul) return Verdict::High;
  if (rtt <= m.min_rtt + m.min_rtt / config_.rtt_min_div) return Verdict::Low;
  return rtt_diff_ <= Duration::zero() ? Verdict::Low : Verdict::Rising;
}

void Timely::apply(Verdict verdict, const Measured& m) {
  const bool is_up = m.estimate > compared_.percent(100 + config_.upper);
  const bool is_down = m.estimate < compared_.percent(100 - config_.lower);
  if (verdict == Verdict::High && config_.no_push_at_max > 0) {
    // The queue is long: whatever slow start had asked for is over.
    const bool takes_back = config_.no_push_at_max > 1;
    for (const Phase p : {Phase::SlowStart, Phase::Avoidance}) {
      if (takes_back) set_gain(p, std::min(gain(p), 100u));
    }
    return lower(verdict, m);
  }
  if (verdict != Verdict::Low && is_down && !m.saw_loss) {
    compared_ = m.estimate;
    if (pushes_ >= config_.max_push_drop) return lower(verdict, m);
    ++pushes_;
    if (changed(m) <= config_.dec_raise_thresh) raise(m, true);
    return;
  }
  if (!is_down) pushes_ = 0;
  if (is_up && !m.saw_loss && verdict != Verdict::High) {
    compared_ = m.estimate;
    const uint32_t bound = m.saw_slow_start ? config_.bound_slow_start : config_.bound_avoidance;
    if (bound == 0 || changed(m) < bound) return raise(m, false);
  }
  if (verdict == Verdict::Low) return raise(m, false);
  lower(verdict, m);
}

// An estimate that nothing was measured for yet stands for itself.
bool Timely::may_raise(uint32_t gain, Rate estimate) const {
  const Rate measured = last_.is_zero() ? estimate : last_;
  return gain <= 100 || estimate.percent(gain) < measured.percent(100 + config_.max_pace_over);
}

void Timely::raise(const Measured& m, bool override) {
  uint32_t& gain = changed(m);
  if (!may_raise(gain, m.estimate)) return;
  const bool is_hyper = ++raises_in_row_ >= kHyperActive || override;
  gain += config_.increase * (is_hyper ? kHyperActive : 1);
  if (is_hyper) raises_in_row_ = 1;
  if (!config_.no_recovery_change && may_raise(this->gain(Phase::Recovery), m.estimate)) {
    set_gain(Phase::Recovery, this->gain(Phase::Recovery) + config_.increase);
  }
}

void Timely::lower(Verdict verdict, const Measured& m) {
  raises_in_row_ = 0;
  uint32_t& gain = changed(m);
  gain = lowered(gain, verdict, m);
  if (!config_.no_recovery_change) {
    set_gain(Phase::Recovery, lowered(this->gain(Phase::Recovery), verdict, m));
  }
}

uint32_t Timely::lowered(uint32_t gain, Verdict verdict, const Measured& m) const {
  const auto kept = [&](int64_t excess_ppm) {
    const int64_t share = std::max<int64_t>(kMillion - excess_ppm * config_.decrease / 100, 0);
    return static_cast<uint32_t>(gain * share / kMillion);
  };
  // FreeBSD's arithmetic wraps round for a gradient above 1.25; here it ends at the bound.
  uint32_t lowest = kept(std::max<int64_t>(ppm(rtt_diff_, m.min_rtt), 0));
  if (verdict == Verdict::High) {
    lowest = std::min(lowest, kept(kMillion - ppm(m.min_rtt * config_.rtt_max_mul, m.rtt)));
  }
  return std::max(lowest, std::min(config_.lowerbound, gain));
}

void Timely::on_probe_exit(uint32_t percent) {
  set_gain(Phase::SlowStart, percent);
  set_gain(Phase::Avoidance, percent);
  rtt_diff_ = Duration::zero();
}

void Timely::on_bottom(bool boost, Rate estimate) {
  for (const Phase p : {Phase::SlowStart, Phase::Avoidance, Phase::Recovery}) {
    const bool is_raised = boost && may_raise(gain(p), estimate);
    set_gain(p, std::max(gain(p), 100u) + (is_raised ? config_.increase * kHyperActive : 0));
  }
}

}  // namespace wh::pacing
