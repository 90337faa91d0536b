#include "tcp/socket_option.h"

#include <algorithm>
#include <cstring>

#include "tcp/rate_policy.h"
#include "tcp/stack.h"

namespace wh::tcp {
namespace {

constexpr uint64_t kMostBytesPerSecond = 1'000'000'000'000;

struct Option {
  int number;
  const char* name;
  size_t size;  // Of its C type.
  uint64_t least, most;
  enum { Any, Dgp, Own } kind;  // Dgp: only with a rate policy. Own: stands for a tunable.
};

constexpr uint64_t kMinute = 60'000;  // ms
constexpr size_t kInt = sizeof(int32_t), kRate = sizeof(uint64_t);
constexpr Option kOptions[] = {
    {TCP_RACK_PACE_MAX_SEG, "TCP_RACK_PACE_MAX_SEG", kInt, 1, 63, Option::Any},
    {TCP_RACK_GP_INCREASE_CA, "TCP_RACK_GP_INCREASE_CA", kInt, 1, 1000, Option::Dgp},
    {TCP_RACK_GP_INCREASE_SS, "TCP_RACK_GP_INCREASE_SS", kInt, 1, 1000, Option::Dgp},
    {TCP_RACK_GP_INCREASE_REC, "TCP_RACK_GP_INCREASE_REC", kInt, 1, 1000, Option::Dgp},
    {TCP_RACK_FORCE_MSEG, "TCP_RACK_FORCE_MSEG", kInt, 0, 1, Option::Any},
    {TCP_RACK_PACE_RATE_CA, "TCP_RACK_PACE_RATE_CA", kRate, 1000, kMostBytesPerSecond, Option::Any},
    {TCP_RACK_PACE_RATE_SS, "TCP_RACK_PACE_RATE_SS", kRate, 1000, kMostBytesPerSecond, Option::Any},
    {TCP_RACK_PACE_RATE_REC, "TCP_RACK_PACE_RATE_REC", kRate, 1000, kMostBytesPerSecond,
     Option::Any},
    {TCP_TIMELY_DYN_ADJ, "TCP_TIMELY_DYN_ADJ", kInt, 0, 1, Option::Dgp},
    {TCP_RACK_PACE_TO_FILL, "TCP_RACK_PACE_TO_FILL", kInt, 0, 1, Option::Any},
    {TCP_RACK_PROFILE, "TCP_RACK_PROFILE", kInt, 0, 6, Option::Any},
    {TCP_PACING_RATE_CAP, "TCP_PACING_RATE_CAP", kRate, 0, kMostBytesPerSecond, Option::Dgp},
    {TCP_RACK_MEASURE_CNT, "TCP_RACK_MEASURE_CNT", kInt, 1, 255, Option::Dgp},
    {TCP_RACK_PACING_DIVISOR, "TCP_RACK_PACING_DIVISOR", kInt, 50, 100'000, Option::Any},
    {TCP_RACK_PACE_MIN_SEG, "TCP_RACK_PACE_MIN_SEG", kInt, 0, 63, Option::Any},
    {TCP_RACK_DGP_IN_REC, "TCP_RACK_DGP_IN_REC", kInt, 0, 1, Option::Dgp},
    {TCP_HONOR_HPTS_MIN, "TCP_HONOR_HPTS_MIN", kInt, 0, 80, Option::Dgp},
    {TCP_DGP_UPPER_BOUNDS, "TCP_DGP_UPPER_BOUNDS", kInt, 0, UINT32_MAX, Option::Dgp},
    {TCP_NO_TIMELY, "TCP_NO_TIMELY", kInt, 0, 1, Option::Dgp},
    {TCP_REC_IS_DYN, "TCP_REC_IS_DYN", kInt, 0, 1, Option::Dgp},
    {TCP_FILLCW_RATE_CAP, "TCP_FILLCW_RATE_CAP", kRate, 0, kMostBytesPerSecond, Option::Any},
    {TCP_GP_USE_LTBW, "TCP_GP_USE_LTBW", kInt, 0, 2, Option::Dgp},
    {TCP_RACK_PACE_ALWAYS, "TCP_RACK_PACE_ALWAYS", kInt, 0, 1, Option::Any},
    {TCP_RACK_NO_PUSH_AT_MAX, "TCP_RACK_NO_PUSH_AT_MAX", kInt, 0, 2, Option::Dgp},
    {TCP_SS_EEXIT, "TCP_SS_EEXIT", kInt, 0, 1, Option::Dgp},
    {TCP_RACK_MIN_TO, "TCP_RACK_MIN_TO", kInt, 1, kMinute, Option::Own},
    {TCP_RACK_REORD_THRESH, "TCP_RACK_REORD_THRESH", kInt, 1, 30, Option::Own},
    {TCP_RACK_REORD_FADE, "TCP_RACK_REORD_FADE", kInt, 0, INT32_MAX, Option::Own},
    {TCP_RACK_TLP_THRESH, "TCP_RACK_TLP_THRESH", kInt, 1, INT32_MAX, Option::Own},
    {TCP_RACK_PKT_DELAY, "TCP_RACK_PKT_DELAY", kInt, 0, kMinute, Option::Own},
    {TCP_BBR_RACK_INIT_RATE, "TCP_BBR_RACK_INIT_RATE", kInt, 0, INT32_MAX, Option::Own},
    {TCP_NO_PRR, "TCP_NO_PRR", kInt, 0, 1, Option::Own},
    {TCP_RACK_ABC_VAL, "TCP_RACK_ABC_VAL", kInt, 1, 255, Option::Own},
    {TCP_RACK_TIMER_SLOP, "TCP_RACK_TIMER_SLOP", kInt, 0, 1000 * kMinute, Option::Own},
    {TCP_RACK_DSACK_OPT, "TCP_RACK_DSACK_OPT", kInt, 0, 3, Option::Own},
    {TCP_RACK_ENABLE_HYSTART, "TCP_RACK_ENABLE_HYSTART", kInt, 0, 1, Option::Own},
    {TCP_RACK_HI_BETA, "TCP_RACK_HI_BETA", kInt, 50, 100, Option::Own},
};

const Option* find_option(int number) {
  for (const Option& o : kOptions) {
    if (o.number == number) return &o;
  }
  return nullptr;
}

// The options of a rate policy.
uint64_t in_dgp(int option, const pacing::Dgp::Config& c) {
  switch (option) {
    case TCP_RACK_GP_INCREASE_CA: return c.timely.start_avoidance;
    case TCP_RACK_GP_INCREASE_SS: return c.timely.start_slow_start;
    case TCP_RACK_GP_INCREASE_REC: return c.timely.start_recovery;
    case TCP_TIMELY_DYN_ADJ: return c.timely.enabled;
    case TCP_NO_TIMELY: return !c.timely.enabled;
    case TCP_REC_IS_DYN: return !c.timely.no_recovery_change;
    case TCP_RACK_NO_PUSH_AT_MAX: return c.timely.no_push_at_max;
    case TCP_DGP_UPPER_BOUNDS:
      return uint64_t{c.timely.bound_slow_start} << 16 | c.timely.bound_avoidance;
    case TCP_PACING_RATE_CAP: return c.rate_cap.bytes_per_second();
    case TCP_RACK_MEASURE_CNT: return c.required_measurements;
    case TCP_RACK_DGP_IN_REC: return c.fill_in_recovery;
    case TCP_GP_USE_LTBW: return static_cast<uint64_t>(c.use_long_term);
    case TCP_SS_EEXIT: return c.slow_start_rounds != 0;
    default: UNREACHABLE();
  }
}

// The options that stand for a tunable.
int64_t in_tunables(int option, const Tunables& t) {
  switch (option) {
    case TCP_RACK_MIN_TO: return t.timers_minto_ms;
    case TCP_RACK_REORD_THRESH: return t.reorder_thresh;
    case TCP_RACK_REORD_FADE: return t.reorder_fade_us / 1000;
    case TCP_RACK_TLP_THRESH: return t.rtt_tlp_thresh;
    case TCP_RACK_PKT_DELAY: return t.pktdelay_us / 1000;
    case TCP_BBR_RACK_INIT_RATE: return 0;
    case TCP_NO_PRR: return t.no_prr;
    case TCP_RACK_ABC_VAL: return t.abc_l_var;
    case TCP_RACK_TIMER_SLOP: return t.timers_slop_ms * 1000;
    case TCP_RACK_DSACK_OPT: return t.rack_dsack_ctl;
    case TCP_RACK_ENABLE_HYSTART: return t.cc_algorithm == "cubic" ? t.hystart : t.rack_hystart;
    case TCP_RACK_HI_BETA: return t.newreno_beta;
    default: UNREACHABLE();
  }
}

uint64_t in_limits(int option, const pacing::BurstLimits& limits) {
  switch (option) {
    case TCP_RACK_PACE_MAX_SEG: return limits.user_max;
    case TCP_RACK_PACE_MIN_SEG: return limits.user_min;
    case TCP_RACK_FORCE_MSEG: return limits.force_max;
    default: return limits.divisor;
  }
}

uint64_t bytes_per_second(Rate fixed) {
  return fixed.is_infinite() ? 0 : fixed.bytes_per_second();
}

bool is_of_limits(int option) {
  return option == TCP_RACK_PACE_MAX_SEG || option == TCP_RACK_PACE_MIN_SEG ||
         option == TCP_RACK_FORCE_MSEG || option == TCP_RACK_PACING_DIVISOR;
}

}  // namespace

bool is_pacing_option(int option) {
  return find_option(option) != nullptr;
}

int option_named(std::string_view name) {
  for (const Option& o : kOptions) {
    if (o.name == name) return o.number;
  }
  return 0;
}

Result<uint64_t> read_pacing_option(int option, std::span<const uint8_t> value) {
  const Option* known = find_option(option);
  if (known == nullptr) return fail("option {}: not one of the pacing options", option);
  const Option& o = *known;
  const bool is_wide = value.size() == kRate;
  const bool is_either = is_fixed_pace(option);  // FreeBSD's are ints.
  if (value.size() != o.size && !(is_either && value.size() == kInt)) {
    return fail("{}: {} bytes given; it takes {}", o.name, value.size(),
                is_either         ? "a uint64_t, 8 bytes, or an int, 4"
                : o.size == kRate ? "a uint64_t, 8 bytes"
                                  : "an int, 4 bytes");
  }
  uint64_t wide = 0;
  uint32_t narrow = 0;
  if (is_wide) {
    std::memcpy(&wide, value.data(), kRate);
  } else {
    std::memcpy(&narrow, value.data(), kInt);
    wide = narrow;  // A negative int is out of any range.
  }
  if (wide < o.least || wide > o.most) {
    return fail("{}: {} is not from {} to {}", o.name, wide, o.least, o.most);
  }
  if (option == TCP_RACK_PROFILE) {
    TRY(Connection::check_profile(static_cast<int64_t>(wide)));
  }
  return wide;
}

int meant_option(int option, size_t size) {
  return option == TCP_RACK_PROFILE && size == kRate ? TCP_FILLCW_RATE_CAP : option;
}

bool is_fixed_pace(int option) {
  return option == TCP_RACK_PACE_RATE_CA || option == TCP_RACK_PACE_RATE_SS ||
         option == TCP_RACK_PACE_RATE_REC;
}

bool is_chosen_pace(int option, uint64_t value) {
  return (option == TCP_RACK_PROFILE || option == TCP_RACK_PACE_TO_FILL) && value != 0;
}

uint64_t usual_option(int option, const Tunables& t) {
  const Option* o = find_option(option);
  CHECK(o != nullptr);
  if (option == TCP_HONOR_HPTS_MIN) return t.defprofile != 0;
  if (o->kind == Option::Dgp) return in_dgp(option, usual_dgp_config(t));
  if (o->kind == Option::Own) return static_cast<uint64_t>(in_tunables(option, t));
  if (is_of_limits(option)) return in_limits(option, usual_burst_limits(t));
  switch (option) {
    case TCP_RACK_PROFILE: return static_cast<uint64_t>(t.defprofile);
    case TCP_RACK_PACE_ALWAYS:
    case TCP_RACK_PACE_TO_FILL: return t.defprofile != 0;
    case TCP_FILLCW_RATE_CAP: return static_cast<uint64_t>(t.fillcw_cap);
    default: return 0;  // A fixed rate: none.
  }
}

size_t write_pacing_option(int option, uint64_t value, std::span<uint8_t> out) {
  const Option* o = find_option(option);
  CHECK(o != nullptr);
  const auto narrow = static_cast<uint32_t>(value);
  const size_t size = std::min(o->size, out.size());
  std::memcpy(out.data(), o->size == kRate ? static_cast<const void*>(&value) : &narrow, size);
  return size;
}

Result<void> Connection::set_option(int given, std::span<const uint8_t> value) {
  const int option = meant_option(given, value.size());
  const Option* o = find_option(option);
  if (o != nullptr && o->kind == Option::Dgp && dgp_ == nullptr) {
    return fail("{}: only with Dynamic Goodput Pacing; set TCP_RACK_PROFILE to 1 first", o->name);
  }
  const uint64_t wanted = TRY(read_pacing_option(option, value));
  if (o->kind == Option::Own) {
    apply_own_option(option, wanted);
    return {};
  }
  if (o->kind == Option::Dgp && option != TCP_HONOR_HPTS_MIN) {
    apply_dgp_option(option, wanted);
    return {};
  }
  return apply_option(option, wanted);
}

Result<size_t> Connection::get_option(int option, std::span<uint8_t> value) const {
  if (find_option(option) == nullptr) {
    return fail("option {}: not one of the RACK stack's options", option);
  }
  return write_pacing_option(option, option_now(option), value);
}

Result<void> Connection::apply_option(int option, uint64_t value) {
  const auto n = static_cast<uint32_t>(value);
  switch (option) {
    case TCP_RACK_PACE_MAX_SEG: pacer_.limits().user_max = n; break;
    case TCP_RACK_PACE_MIN_SEG: pacer_.limits().user_min = n; break;
    case TCP_RACK_FORCE_MSEG: pacer_.limits().force_max = n != 0; break;
    case TCP_RACK_PACING_DIVISOR: pacer_.limits().divisor = n; break;
    case TCP_RACK_PACE_RATE_CA:
      set_pace_rate(pacing::Phase::Avoidance, Rate::bytes_per_second(value));
      break;
    case TCP_RACK_PACE_RATE_SS:
      set_pace_rate(pacing::Phase::SlowStart, Rate::bytes_per_second(value));
      break;
    case TCP_RACK_PACE_RATE_REC:
      set_pace_rate(pacing::Phase::Recovery, Rate::bytes_per_second(value));
      break;
    case TCP_RACK_PACE_TO_FILL: return set_pace_to_fill(n != 0);
    case TCP_RACK_PROFILE: return set_profile(n);
    case TCP_HONOR_HPTS_MIN: {
      pacing::PaceAccount::Policy policy;
      if (n > 0) policy.repay = pacing::PaceAccount::Repay::Slowly;
      if (n > 1) policy.max_reduction = n;
      policy.least_delay = stack_.wheel().get_hpts_min_sleep_time();
      policy.is_precise = stack_.wheel().is_precise();
      pacer_.set_policy(policy);
      break;
    }
    case TCP_RACK_PACE_ALWAYS: set_pace_always(n != 0); break;
    case TCP_FILLCW_RATE_CAP: set_fcc(Rate::bytes_per_second(value)); break;
    default: UNREACHABLE();
  }
  return {};
}

void Connection::apply_dgp_option(int option, uint64_t value) {
  const auto n = static_cast<uint32_t>(value);
  pacing::Dgp::Config& config = dgp_->config();
  pacing::Timely& timely = dgp_->timely();
  switch (option) {
    case TCP_RACK_GP_INCREASE_CA: timely.set_gain(pacing::Phase::Avoidance, n); break;
    case TCP_RACK_GP_INCREASE_SS: timely.set_gain(pacing::Phase::SlowStart, n); break;
    case TCP_RACK_GP_INCREASE_REC: timely.set_gain(pacing::Phase::Recovery, n); break;
    case TCP_TIMELY_DYN_ADJ: timely.config().enabled = n != 0; break;
    case TCP_NO_TIMELY: timely.config().enabled = n == 0; break;
    case TCP_REC_IS_DYN: timely.config().no_recovery_change = n == 0; break;
    case TCP_RACK_NO_PUSH_AT_MAX: timely.config().no_push_at_max = n; break;
    case TCP_DGP_UPPER_BOUNDS:
      timely.config().bound_slow_start = n >> 16;
      timely.config().bound_avoidance = n & 0xffff;
      break;
    case TCP_PACING_RATE_CAP: config.rate_cap = Rate::bytes_per_second(value); break;
    case TCP_RACK_MEASURE_CNT: config.required_measurements = n; break;
    case TCP_RACK_DGP_IN_REC: config.fill_in_recovery = n != 0; break;
    case TCP_GP_USE_LTBW:
      config.use_long_term = static_cast<pacing::Dgp::Config::UseLongTerm>(n);
      break;
    case TCP_SS_EEXIT:
      config.slow_start_rounds = n == 0 ? 0 : pacing::Dgp::Config().slow_start_rounds;
      break;
    default: UNREACHABLE();
  }
}

void Connection::apply_own_option(int option, uint64_t value) {
  own_.set(option, static_cast<int64_t>(value));
  const auto n = static_cast<uint8_t>(value);
  using HyStartUse = CongestionState::HyStartUse;
  switch (option) {
    case TCP_RACK_ABC_VAL: window_.abc_l = n; break;
    case TCP_RACK_HI_BETA:
      window_.hi_beta = n;
      if (dgp_ != nullptr) dgp_->config().recovery_share = n;
      break;
    case TCP_RACK_ENABLE_HYSTART: window_.hystart = n ? HyStartUse::On : HyStartUse::Off; break;
    case TCP_BBR_RACK_INIT_RATE:
      if (dgp_ != nullptr) dgp_->config().init_rate = Rate::bits_per_second(value * 1000);
      break;
    default: break;  // Asked for where it matters.
  }
}

uint64_t Connection::option_now(int option) const {
  const Option& o = *find_option(option);
  const Tunables& t = stack_.tunables();
  if (o.kind == Option::Own)
    return static_cast<uint64_t>(own_.get_or(option, in_tunables(option, t)));
  if (is_of_limits(option)) return in_limits(option, pacer_.limits());
  const auto& repayment = pacer_.policy();
  const bool is_slow = repayment.repay == pacing::PaceAccount::Repay::Slowly;
  const bool is_usual = repayment.max_reduction == pacing::PaceAccount::Policy().max_reduction;
  switch (option) {
    case TCP_RACK_PROFILE:
      return policy() != Policy::Dgp ? 0 : dgp_->config().discounts_fill ? 6 : 1;
    case TCP_RACK_PACE_ALWAYS: return has_rate_policy() || pacer_.is_on();
    case TCP_RACK_PACE_TO_FILL: return has_rate_policy() && dgp_->config().fill;
    case TCP_FILLCW_RATE_CAP: return fcc_.bytes_per_second();
    case TCP_HONOR_HPTS_MIN: return !is_slow ? 0 : is_usual ? 1 : repayment.max_reduction;
    case TCP_RACK_PACE_RATE_CA: return bytes_per_second(fixed_pace(pacing::Phase::Avoidance));
    case TCP_RACK_PACE_RATE_SS: return bytes_per_second(fixed_pace(pacing::Phase::SlowStart));
    case TCP_RACK_PACE_RATE_REC: return bytes_per_second(fixed_pace(pacing::Phase::Recovery));
    case TCP_RACK_GP_INCREASE_CA:
      if (has_rate_policy()) return dgp_->timely().gain(pacing::Phase::Avoidance);
      break;
    case TCP_RACK_GP_INCREASE_SS:
      if (has_rate_policy()) return dgp_->timely().gain(pacing::Phase::SlowStart);
      break;
    case TCP_RACK_GP_INCREASE_REC:
      if (has_rate_policy()) return dgp_->timely().gain(pacing::Phase::Recovery);
      break;
    default: break;
  }
  if (!has_rate_policy()) return in_dgp(option, usual_dgp_config(t));
  // Timely has a copy of its own.
  pacing::Dgp::Config config = dgp_->config();
  config.timely = dgp_->timely().config();
  return in_dgp(option, config);
}

}  // namespace wh::tcp
