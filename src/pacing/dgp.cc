#include "pacing/dgp.h"

#include <algorithm>

#include "pacing/pace.h"

namespace wh::pacing {

std::string_view to_string(PaceBy by) {
  switch (by) {
    case PaceBy::Nothing: return "none";
    case PaceBy::Fixed: return "fixed";
    case PaceBy::Control: return "cc";
    case PaceBy::Bandwidth: return "bw";
    case PaceBy::FillCwnd: return "fill";
    case PaceBy::Fulcrum: return "fcc";
    case PaceBy::Cap: return "cap";
  }
  UNREACHABLE();
}

std::string_view to_string(PaceParts::State state) {
  switch (state) {
    case PaceParts::State::Unpaced: return "unpaced";
    case PaceParts::State::Startup: return "startup";
    case PaceParts::State::SlowStart: return "slow_start";
    case PaceParts::State::Avoidance: return "avoidance";
    case PaceParts::State::Recovery: return "recovery";
    case PaceParts::State::ProbeRtt: return "probe_rtt";
  }
  UNREACHABLE();
}

// Percent of what the path holds. Of 150, 200, 250 and 300 all but 150 keep 90 % of CUBIC's goodput
// on the links in docs/dgp.md's table; 250 has more to spare than 200 where the rate varies most.
constexpr int64_t kFlightGain = 250;

PaceChoice choose_pace(Rate bw, Rate fill_cwnd, Rate fcc) {
  const bool is_capped = !fcc.is_zero() && fill_cwnd > fcc;
  const Rate loss_based = is_capped ? fcc : fill_cwnd;
  if (loss_based <= bw) return {bw, PaceBy::Bandwidth};
  return {loss_based, is_capped ? PaceBy::Fulcrum : PaceBy::FillCwnd};
}

Dgp::Dgp(const Config& config)
    : config_(config),
      goodput_(config.filter),
      window_(config.window),
      timely_(config.timely),
      min_rtt_(config.rtt_window),
      probe_(config.probe) {
  if (config.capacity) capacity_.emplace(*config.capacity);
}

void Dgp::set_fcc(Rate fcc) {
  config_.fcc = fcc;
  config_.capacity.reset();
  capacity_.reset();
}

void Dgp::set_fcc_share(uint32_t percent) {
  config_.capacity = PathCapacity::Config{.share = percent};
  capacity_.emplace(*config_.capacity);
}

GoodputWindow::Situation Dgp::window_situation(const Situation& s) const {
  return {.now = s.now,
          .una = s.una,
          .snd_max = s.snd_max,
          .mss = s.mss,
          .rwnd = s.rwnd,
          .initial_window = s.initial_window,
          .estimate = goodput_.estimate(),
          .srtt = s.srtt,
          .in_recovery = s.phase == Phase::Recovery};
}

GoodputWindow::Acked Dgp::window_acked(const Acked& a) {
  return {.sent_at = a.sent_at,
          .next_sent_at = a.next_sent_at,
          .next_is_new = a.next_is_new,
          .rtt = a.rtt};
}

ProbeRtt::Situation Dgp::probe_situation(const Situation& s) const {
  return {.now = s.now,
          .flight = s.flight,
          .mss = s.mss,
          .bandwidth = bandwidth(s),
          .min_rtt = min_rtt_.min(),
          .goodput_rtt = goodput_rtt_ > Duration::zero() ? goodput_rtt_ : s.srtt,
          .is_highly_buffered = highest_rtt_ >= lowest_rtt_ * 4};
}

// --- what happened ---

void Dgp::on_sent(const Situation& s, uint64_t begin) {
  if (idle_since_ != kNever) {
    probe_.on_idle(s.now, s.now - idle_since_);
    idle_since_ = kNever;
  }
  long_term_.start(s.now);
  if (capacity_) capacity_->on_sent(s.now, begin, s.snd_max, s.mss);
  if (s.phase == Phase::SlowStart) saw_slow_start_ = true;
  asked_ = std::max(asked_, payload_rate(s.pace, s.t_maxseg, s.mss, s.ip_header));
  if (s.phase != Phase::Recovery && !probe_.is_active())
    window_.on_sent(window_situation(s), begin);
}

void Dgp::on_acked(const Situation& s, const Acked& a) {
  was_acked_ = true;
  long_term_.add(a.bytes);
  if (capacity_) {
    capacity_->on_acked(s.now, s.una, s.mss);
    if (!capacity_->capacity().is_zero()) {
      config_.fcc =
          capacity_->fcc(line_rate(capacity_->capacity(), s.t_maxseg, s.mss, s.ip_header));
    }
  }
  if (a.rtt > Duration::zero()) note_rtt(s, a.rtt);
  if (!probe_.is_active()) {  // What is sent slowly on purpose says nothing of the path.
    const auto measured = window_.on_acked(window_situation(s), window_acked(a));
    if (measured) note_measurement(s, *measured);
  }
  flight_limit_ = flight_limit(s);
  if (s.una >= s.snd_max) {
    long_term_.stop(s.now);
    idle_since_ = s.now;
  }
  if (s.flight == Bytes(0) && a.pacer_waits && a.has_more) note_bottom(s, a);
  run_probe(s, a);
}

void Dgp::on_loss(const Situation& s) {
  saw_loss_ = true;
  if (capacity_) capacity_->on_loss(s.una);
}

// Who knows the capacity knows what the path holds without a queue. The delay-based half may have
// two and a half times so much in flight, and the loss-based half what FCC takes in the round trip
// as it is: where the capacity falls at once, a pace that follows by eighths would fill the whole
// window.
Bytes Dgp::flight_limit(const Situation& s) const {
  if (!capacity_ || capacity_->capacity().is_zero() || s.latest_rtt <= Duration::zero()) {
    return Bytes::max();
  }
  const Bytes held = capacity_->capacity().bytes_in(min_rtt_.min()) * kFlightGain / 100;
  const Bytes pushed =
      payload_rate(config_.fcc, s.t_maxseg, s.mss, s.ip_header).bytes_in(s.latest_rtt);
  return std::max({held, pushed, s.initial_window});
}

void Dgp::note_rtt(const Situation& s, Duration rtt) {
  const Duration before = min_rtt_.min();
  const Duration after = min_rtt_.add(s.now, rtt);
  lowest_rtt_ = before == Duration::zero() ? rtt : std::min(lowest_rtt_, rtt);
  highest_rtt_ = std::max(highest_rtt_, rtt);
  probe_now_ = probe_.on_minimum(s.now, before, after);
}

void Dgp::note_measurement(const Situation& s, const GoodputWindow::Measurement& m) {
  const Rate asked = std::max(asked_, asked_before_);
  asked_before_ = std::exchange(asked_, Rate());
  const bool is_self_limited = config_.self_limited != 0 && !asked.is_infinite() &&
                               m.rate >= asked.percent(config_.self_limited);
  const bool is_seed = goodput_.measurements() == 0;
  if (!is_self_limited || m.rate > goodput_.estimate()) goodput_.add(m.rate, m.took, s.srtt);
  // The seed is the initial window sent in a burst: no goodput yet. And a window counts no further
  // than the estimate it entered: on a link that varies single ones are far above what lasts.
  if (capacity_ && !is_seed) capacity_->on_goodput(std::min(m.rate, goodput_.estimate()));
  if (m.rtt > Duration::zero()) {
    goodput_rtt_ = m.rtt;
    timely_.on_measurement({.rtt = m.rtt,
                            .min_rtt = min_rtt_.min(),
                            .estimate = goodput_.estimate(),
                            .last = m.rate,
                            .saw_slow_start = saw_slow_start_,
                            .saw_loss = saw_loss_});
  }
  if (!is_seed) note_growth(s, m);
  saw_slow_start_ = saw_loss_ = false;
}

// Slow start is over when the goodput stops growing: by less than a fifth in five measurements, or
// in one when a queue says why. Neither is enough alone: a queue comes and goes where the rate
// varies, and jitter or a neighbour's burst holds up a measurement or two of a path that has more.
// Judged is what was measured and not the estimate, which averages the seed in: on a fast and long
// path that is ten times what the first round trips of slow start can bring. A window that the
// program left unfilled says nothing.
void Dgp::note_growth(const Situation& s, const GoodputWindow::Measurement& m) {
  if (s.phase != Phase::SlowStart || m.quality != GoodputWindow::Quality::High) return;
  if (m.rate >= grown_from_.percent(100 + config_.slow_start_growth)) {
    grown_from_ = m.rate;
    flat_measurements_ = 0;
    return;
  }
  const bool is_queued = m.rtt > min_rtt_.min() * config_.slow_start_rtt / 100;
  flat_measurements_ += is_queued ? config_.slow_start_rounds : 1;
}

// The network ran empty although there was data and the pacer held it back: the estimate is too
// low.
void Dgp::note_bottom(const Situation& s, const Acked& a) {
  if (probe_.is_active() || a.rtt <= Duration::zero()) return;
  constexpr Rate kWithoutEstimate = Rate::bits_per_second(1'200'000);
  Rate seen = Rate::of(a.bytes, a.rtt);
  if (goodput_.measurements() == 0) seen = std::min(seen, kWithoutEstimate);
  const bool is_higher = seen > bandwidth(s);
  if (is_higher) goodput_.replace(seen);
  timely_.on_bottom(!is_higher, goodput_.estimate());
}

void Dgp::run_probe(const Situation& s, const Acked& a) {
  const bool is_time = std::exchange(probe_now_, false) || probe_.is_due(s.now);
  if (goodput_.measurements() == 0) return;
  if (!probe_.is_active()) {
    if (!is_time || s.una >= s.snd_max) return;
    // What is measured so far counts; what follows is slow on purpose.
    if (const auto m = window_.finish(window_situation(s), window_acked(a)))
      note_measurement(s, *m);
    ++probes_;
    probe_.enter(s.now, min_rtt_.min() > lowest_rtt_ + lowest_rtt_ / 4);
    return;
  }
  if (!probe_.update(probe_situation(s))) return;
  window_.abandon_until(s.snd_max);
  timely_.on_probe_exit(probe_.config().exit_gain);
}

void Dgp::on_app_limited(const Situation& s) {
  window_.on_app_limited(window_situation(s));
}

void Dgp::on_persist(const Situation& s) {
  window_.abandon();
  long_term_.stop(s.now);
  idle_since_ = std::min(idle_since_, s.now);
}

// --- what follows ---

Rate Dgp::bandwidth(const Situation& s) const {
  const Rate lt = long_term_.rate(s.now);
  if (goodput_.measurements() < std::max(config_.required_measurements, 1u)) {
    if (!config_.init_rate.is_zero()) return lt.is_zero() ? config_.init_rate : lt;
    const Rate spread = s.srtt > Duration::zero() ? Rate::of(s.initial_window, s.srtt) : Rate();
    return std::max(lt, spread);
  }
  switch (config_.use_long_term) {
    case Config::UseLongTerm::No: return goodput_.estimate();
    case Config::UseLongTerm::Min: return std::min(goodput_.estimate(), lt);
    case Config::UseLongTerm::Max: return std::max(goodput_.estimate(), lt);
  }
  UNREACHABLE();
}

uint32_t Dgp::multiplier(const Situation& s) const {
  if (probe_.is_active() && s.phase != Phase::Recovery) {
    if (const uint32_t gain = probe_.gain(probe_situation(s)); gain != 0) return gain;
  }
  return timely_.gain(s.phase);
}

Rate Dgp::fill(const Situation& s, uint32_t multiplier) const {
  if (!config_.fill) return {};
  const bool is_recovering = s.phase == Phase::Recovery;
  if (is_recovering && !config_.fill_only && !config_.fill_in_recovery) return {};
  if (probe_.is_active() || s.latest_rtt <= Duration::zero()) return {};
  Bytes window = s.cwnd;
  if (config_.discounts_fill) {
    if (window < s.initial_window) {
      return line_rate(long_term_.rate(s.now), s.t_maxseg, s.mss, s.ip_header);
    }
    constexpr uint32_t kMostGain = 250;
    window =
        window * (is_recovering ? config_.recovery_share : std::min(multiplier, kMostGain)) / 100;
  }
  return fill_cwnd_rate(std::min(window, s.rwnd), s.latest_rtt);
}

PaceParts Dgp::parts(const Situation& s) const {
  PaceParts p;
  p.goodput = goodput_.estimate();
  p.long_term = long_term_.rate(s.now);
  p.fcc = config_.fill_only ? Rate() : config_.fcc;
  if (capacity_) {
    p.capacity = line_rate(capacity_->capacity(), s.t_maxseg, s.mss, s.ip_header);
  }
  p.current_rtt = s.latest_rtt;
  p.goodput_rtt = goodput_rtt_;
  p.previous_goodput_rtt = timely_.previous_rtt();
  p.min_rtt = min_rtt_.min();
  p.measurements = goodput_.measurements();
  p.probes = probes_;
  p.multiplier = multiplier(s);
  if (!was_acked_ && config_.init_rate.is_zero()) {
    p.state = PaceParts::State::Startup;
    return p;
  }
  p.state = probe_.is_active()             ? PaceParts::State::ProbeRtt
            : goodput_.measurements() == 0 ? PaceParts::State::Startup
            : s.phase == Phase::SlowStart  ? PaceParts::State::SlowStart
            : s.phase == Phase::Recovery   ? PaceParts::State::Recovery
                                           : PaceParts::State::Avoidance;
  p.bw =
      config_.fill_only
          ? kLeastPaceRate
          : gained_pace_rate(line_rate(bandwidth(s), s.t_maxseg, s.mss, s.ip_header), p.multiplier);
  p.fill_cwnd = fill(s, p.multiplier);
  const PaceChoice choice = choose_pace(p.bw, p.fill_cwnd, p.fcc);
  p.pace = choice.rate;
  p.by = choice.by;
  if (!config_.rate_cap.is_zero() && p.pace > config_.rate_cap) {
    p.pace = std::max(config_.rate_cap, kLeastPaceRate);
    p.by = PaceBy::Cap;
  }
  return p;
}

}  // namespace wh::pacing
