// The pace, of each state's fixed rates or chosen: a connection under Dynamic Goodput Pacing, or
// under a congestion control that has a model of the path and asks for a pace itself.
//
// The policy (pacing/dgp.h) and the model know nothing of TCP. Here they are told what was sent,
// acknowledged and lost, and asked for the pace whenever a burst may leave.
#include <algorithm>

#include "pacing/pace.h"
#include "tcp/rate_policy.h"
#include "tcp/socket_option.h"
#include "tcp/stack.h"

namespace wh::tcp {

pacing::BurstLimits usual_burst_limits(const Tunables& t) {
  return {.divisor = static_cast<uint32_t>(t.pacing_divisor),
          .user_max = static_cast<uint32_t>(t.pacing_max_segments),
          .user_min = static_cast<uint32_t>(t.pacing_min_segments)};
}

namespace {

uint32_t narrow(int64_t tunable) {  // Bounds keep them small and above zero.
  return static_cast<uint32_t>(tunable);
}

pacing::Timely::Config usual_timely_config(const Tunables& t) {
  return {.increase = narrow(t.timely_increase),
          .decrease = narrow(t.timely_decrease),
          .upper = narrow(t.timely_upper),
          .lower = narrow(t.timely_lower),
          .rtt_max_mul = narrow(t.timely_rtt_max_mul),
          .rtt_min_div = narrow(t.timely_rtt_min_div),
          .lowerbound = narrow(t.timely_lowerbound),
          .max_pace_over = narrow(t.max_pace_over),
          .max_push_drop = narrow(t.timely_max_push_drop),
          .dec_raise_thresh = narrow(t.timely_dec_raise_thresh),
          .start_slow_start = narrow(t.gp_per_ss),
          .bound_slow_start = narrow(t.timely_bound_ss),
          .bound_avoidance = narrow(t.timely_bound_ca),
          .enabled = t.no_timely == 0};
}

pacing::ProbeRtt::Config usual_probe_config(const Tunables& t) {
  using std::chrono::microseconds;
  return {.mode = static_cast<pacing::ProbeRtt::Mode>(t.probertt_mode),
          .time_between = microseconds(t.probertt_time_between_us),
          .gp_per_mul = narrow(t.probertt_gp_per_mul),
          .gp_per_reduce = narrow(t.probertt_gp_per_reduce),
          .gp_per_low = narrow(t.probertt_gp_per_low),
          .must_drain_srtts = narrow(t.probertt_must_drain),
          .hold = microseconds(t.probertt_hold_us),
          .safety = microseconds(t.probertt_safety_us),
          .exit_gain = narrow(t.probertt_exit)};
}

}  // namespace

pacing::Dgp::Config usual_dgp_config(const Tunables& t) {
  pacing::Dgp::Config config;
  config.filter.divisor = narrow(t.measure_wma_divisor);
  config.window = {.goal_bdp = narrow(t.measure_goal_bdp),
                   .min_target = narrow(t.measure_min_target)};
  config.timely = usual_timely_config(t);
  config.probe = usual_probe_config(t);
  config.rtt_window = std::chrono::microseconds(t.probertt_filter_life_us);
  config.slow_start_growth = narrow((t.rnd_gp_gain - 1000) / 10);
  config.self_limited = static_cast<uint32_t>(t.gp_self_limited);
  config.required_measurements = static_cast<uint32_t>(t.req_measure_cnt);
  config.rate_cap = Rate::bytes_per_second(static_cast<uint64_t>(t.rate_cap));
  config.use_long_term = static_cast<pacing::Dgp::Config::UseLongTerm>(t.gp_use_ltbw);
  return config;
}

Result<void> Connection::check_profile(int64_t profile) {
  if (profile == 0 || profile == 1 || profile == 6) return {};
  return fail(
      "profile {}: accepted: 0 (none), 1 (Dynamic Goodput Pacing), 6 (the same, its window "
      "discounted)",
      profile);
}

Result<void> Connection::set_profile(int64_t profile) {
  TRY(check_profile(profile));
  TRY(set_policy(profile == 0 ? Policy::None : Policy::Dgp));
  if (dgp_ != nullptr) dgp_->config().discounts_fill = profile == 6;
  return {};
}

Result<void> Connection::set_pace_to_fill(bool on) {
  const Policy now = policy();
  if (now == Policy::Dgp || now == Policy::Estimate) {  // FillCwBw is one of two voices there.
    dgp_->config().fill = on;
    return {};
  }
  return set_policy(on ? Policy::Fill : Policy::None);
}

void Connection::set_pace_always(bool on) {
  if (!on) return set_pace_rate(Rate::infinite());
  const bool is_paced = has_rate_policy() || has_model() || pace_by_ == pacing::PaceBy::Fixed;
  if (!is_paced) MUST(set_policy(Policy::Estimate));  // There is no fixed rate beside it.
}

Connection::Policy Connection::policy() const {
  if (dgp_ == nullptr) return Policy::None;
  if (window_.has_rate_policy) return Policy::Dgp;
  return dgp_->is_fill_only() ? Policy::Fill : Policy::Estimate;
}

Result<void> Connection::set_policy(Policy policy) {
  if (policy != Policy::None && pace_by_ == pacing::PaceBy::Fixed) {
    return fail_with(std::errc::device_or_resource_busy, "a rate policy beside a fixed pace rate");
  }
  if (policy == this->policy()) return {};
  if (policy == Policy::None) {
    set_pace_rate(Rate::infinite());
    return {};
  }
  pacing::Dgp::Config config = usual_dgp_config(stack_.tunables());
  config.fcc = fcc_;
  if (fcc_share_ > 0 && policy != Policy::Estimate)
    config.capacity = pacing::PathCapacity::Config{.share = fcc_share_};
  const auto initial_kbps = static_cast<uint64_t>(own_.get_or(TCP_BBR_RACK_INIT_RATE, 0));
  config.init_rate = Rate::bits_per_second(initial_kbps * 1000);
  if (window_.hi_beta > 0) config.recovery_share = window_.hi_beta;
  config.fill_only = policy == Policy::Fill;
  if (policy == Policy::Estimate) {
    // FreeBSD's pacing without a profile: the estimate times fixed multipliers (gp_per_*).
    config.fill = config.timely.enabled = false;
    config.timely.start_avoidance = narrow(stack_.tunables().gp_per_ca);
    config.timely.start_recovery = narrow(stack_.tunables().gp_per_rec);
    config.slow_start_rounds = 0;
  }
  if (policy != Policy::Dgp) config.probe.mode = pacing::ProbeRtt::Mode::Off;
  dgp_ = std::make_unique<pacing::Dgp>(config);
  pacing::PaceAccount::Policy repayment{.is_precise = stack_.wheel().is_precise()};
  if (policy != Policy::Estimate) {
    repayment = {.repay = pacing::PaceAccount::Repay::Slowly,
                 .least_delay = stack_.wheel().get_hpts_min_sleep_time()};
  }
  pacer_.set_policy(repayment);
  window_.is_paced = true;
  window_.has_rate_policy = policy == Policy::Dgp;
  clear_fast_send();
  return {};
}

void Connection::set_fcc(Rate fcc) {
  CHECK(!fcc.is_infinite());
  fcc_ = fcc;
  fcc_share_ = 0;
  if (dgp_ != nullptr) dgp_->set_fcc(fcc);
}

void Connection::set_fcc_share(uint32_t percent) {
  CHECK(percent >= 1 && percent <= 100);
  fcc_share_ = static_cast<uint8_t>(percent);
  if (dgp_ != nullptr) dgp_->set_fcc_share(percent);
}

pacing::Dgp::Situation Connection::dgp_situation() const {
  pacing::Dgp::Situation s;
  s.now = now();
  s.phase = recovery_ != Recovery::Open ? pacing::Phase::Recovery
            : window_.in_slow_start()   ? pacing::Phase::SlowStart
                                        : pacing::Phase::Avoidance;
  s.una = static_cast<uint64_t>(total_.acknowledged.count());
  s.snd_max = s.una + map_.outstanding();
  s.mss = window_.mss;
  s.t_maxseg = Bytes(mss_ + option_bytes());
  s.ip_header = Bytes(headers_.ip_size());
  s.cwnd = window_.cwnd;
  s.rwnd = Bytes(snd_wnd_);
  s.flight = Bytes(pipe());
  s.initial_window = window_.initial_window();
  s.srtt = rtt_.srtt();
  s.latest_rtt = rtt_.latest();
  s.pace = pacer_.rate();
  return s;
}

// The first rate given is that of all states, as in FreeBSD.
void Connection::set_pace_rate(pacing::Phase phase, Rate rate) {
  CHECK(!rate.is_infinite() && !rate.is_zero());
  if (pace_by_ != pacing::PaceBy::Fixed) return set_pace_rate(rate);
  TcpStack::Batch batch(stack_);
  fixed_pace_[static_cast<size_t>(phase)] = rate;
  choose_pace();
  clear_fast_send();
  if (!is_handshaking()) stack_.mark(*this);
}

// After a timeout the window grows as in slow start, and FreeBSD paces it so.
pacing::Phase Connection::fixed_pace_phase() const {
  if (recovery_ == Recovery::Recovery) return pacing::Phase::Recovery;
  return window_.in_slow_start() ? pacing::Phase::SlowStart : pacing::Phase::Avoidance;
}

void Connection::choose_pace() {
  if (pace_by_ == pacing::PaceBy::Fixed)
    return adopt_pace(fixed_pace(fixed_pace_phase()), pace_by_);
  if (is_handshaking()) return;
  if (has_rate_policy()) {
    const pacing::PaceParts parts = dgp_->parts(dgp_situation());
    return adopt_pace(parts.pace, parts.by);
  }
  const auto rate = control_->pacing_rate(window_);
  if (!rate) return;
  adopt_pace(
      pacing::line_rate(std::max(*rate, pacing::kLeastPaceRate), Bytes(mss_ + option_bytes()),
                        window_.mss, Bytes(headers_.ip_size())),
      pacing::PaceBy::Control);
}

void Connection::adopt_pace(Rate rate, pacing::PaceBy by) {
  const bool is_new = rate != pacer_.rate() || by != pace_by_;
  pacer_.set_rate(rate);
  pace_by_ = by;
  if (is_new && box_ != nullptr) box_->rate_set(*this);
}

void Connection::tell_sent(const Burst& burst) {
  if (is_handshaking()) return;
  if (has_model()) {
    const Bytes flight(pipe());
    if (burst.sent > 0) control_->on_send(window_, {now(), flight - Bytes(burst.sent), flight});
    if (unsent() == 0 && flight < window_.cwnd && map_.lost() == 0) {
      control_->on_app_limited(window_, flight);
    }
  }
  if (!has_rate_policy()) return;
  const pacing::Dgp::Situation s = dgp_situation();
  if (burst.fresh > 0) dgp_->on_sent(s, s.snd_max - static_cast<uint64_t>(burst.fresh));
  if (unsent() == 0 && s.flight < s.cwnd) dgp_->on_app_limited(s);
}

void Connection::tell_acked(const Segment& s, const AckWork& work) {
  if (is_handshaking()) return;
  pacing::Dgp::Acked a;
  a.bytes = Bytes(work.newly_acked);
  a.sent_at = work.acked_sent_at;
  a.next_sent_at = map_.empty() ? s.arrival : map_[0].sent[0];
  a.next_is_new = map_.empty() || !map_[0].is_retransmitted();
  a.rtt = work.rtt;
  a.pacer_waits = pacer_.must_wait(now());
  a.has_more = sendable_now() > 0;
  pacing::Dgp::Situation situation = dgp_situation();
  situation.now = s.arrival;
  const bool was_probing = dgp_->is_probing();
  dgp_->on_acked(situation, a);
  if (was_probing != dgp_->is_probing()) clear_fast_send();
  if (situation.phase == pacing::Phase::SlowStart && dgp_->is_slow_start_over()) {
    window_.ssthresh = window_.cwnd;
  }
}

void Connection::tell_delivery(Instant when, const AckWork& work, const SendMap::LossMark& before) {
  if (is_handshaking()) return;
  DeliveryEvent e;
  e.now = when;
  e.delivered = Bytes(work.delivered);
  e.newest_sent_at = work.newest_sent_at;
  e.oldest_sent_at = map_.oldest() != nullptr ? map_.oldest()->last_sent() : when;
  e.lost = Bytes(static_cast<int64_t>(map_.lost_total() - before.bytes));
  e.lost_ranges = map_.lost_marks() - before.marks;
  e.lost_sent_at = map_.lost_sent_at();
  e.flight = Bytes(pipe());
  e.rtt = work.rtt;
  e.srtt = rtt_.srtt();
  e.min_rtt = rtt_.min();
  e.is_cwnd_limited = cwnd_limited_;
  e.in_recovery = recovery_ != Recovery::Open;
  e.has_sack = has_sack_;
  const Bytes cwnd = window_.cwnd;
  control_->on_delivery(window_, e);
  if (window_.cwnd < cwnd) clear_fast_send();
}

void Connection::tell_loss() {
  if (dgp_ != nullptr) dgp_->on_loss(dgp_situation());
}

// The congestion window, or less: while the round trip is being probed, and with a measured
// capacity.
pacing::PaceParts Connection::pace_parts() const {
  if (dgp_ != nullptr) return dgp_->parts(dgp_situation());
  pacing::PaceParts parts;
  parts.by = pace_by_;
  parts.pace = pacer_.rate();
  parts.current_rtt = rtt_.latest();
  parts.min_rtt = rtt_.min();
  return parts;
}

}  // namespace wh::tcp
