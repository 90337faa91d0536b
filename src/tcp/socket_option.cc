#include "tcp/socket_option.h"

#include <cstring>

#include "tcp/stack.h"

namespace wh::tcp {
namespace {

constexpr uint64_t kMostBytesPerSecond = 1'000'000'000'000;

struct Option {
  int number;
  const char* name;
  size_t size;  // Of its C type.
  uint64_t least, most;
  bool needs_dgp;
};

constexpr size_t kInt = sizeof(int32_t), kRate = sizeof(uint64_t);
constexpr Option kOptions[] = {
    {TCP_RACK_PACE_MAX_SEG, "TCP_RACK_PACE_MAX_SEG", kInt, 1, 63, false},
    {TCP_RACK_GP_INCREASE_CA, "TCP_RACK_GP_INCREASE_CA", kInt, 1, 1000, true},
    {TCP_RACK_GP_INCREASE_SS, "TCP_RACK_GP_INCREASE_SS", kInt, 1, 1000, true},
    {TCP_RACK_GP_INCREASE_REC, "TCP_RACK_GP_INCREASE_REC", kInt, 1, 1000, true},
    {TCP_RACK_FORCE_MSEG, "TCP_RACK_FORCE_MSEG", kInt, 0, 1, false},
    {TCP_RACK_PACE_RATE_CA, "TCP_RACK_PACE_RATE_CA", kRate, 1000, kMostBytesPerSecond, false},
    {TCP_RACK_PACE_RATE_SS, "TCP_RACK_PACE_RATE_SS", kRate, 1000, kMostBytesPerSecond, false},
    {TCP_RACK_PACE_RATE_REC, "TCP_RACK_PACE_RATE_REC", kRate, 1000, kMostBytesPerSecond, false},
    {TCP_TIMELY_DYN_ADJ, "TCP_TIMELY_DYN_ADJ", kInt, 0, 1, true},
    {TCP_RACK_PACE_TO_FILL, "TCP_RACK_PACE_TO_FILL", kInt, 0, 1, false},
    {TCP_RACK_PROFILE, "TCP_RACK_PROFILE", kInt, 0, 6, false},
    {TCP_PACING_RATE_CAP, "TCP_PACING_RATE_CAP", kRate, 0, kMostBytesPerSecond, true},
    {TCP_RACK_MEASURE_CNT, "TCP_RACK_MEASURE_CNT", kInt, 1, 255, true},
    {TCP_RACK_PACING_DIVISOR, "TCP_RACK_PACING_DIVISOR", kInt, 50, 100'000, false},
    {TCP_RACK_PACE_MIN_SEG, "TCP_RACK_PACE_MIN_SEG", kInt, 0, 63, false},
    {TCP_RACK_DGP_IN_REC, "TCP_RACK_DGP_IN_REC", kInt, 0, 1, true},
    {TCP_HONOR_HPTS_MIN, "TCP_HONOR_HPTS_MIN", kInt, 0, 80, true},
    {TCP_DGP_UPPER_BOUNDS, "TCP_DGP_UPPER_BOUNDS", kInt, 0, UINT32_MAX, true},
    {TCP_NO_TIMELY, "TCP_NO_TIMELY", kInt, 0, 1, true},
    {TCP_REC_IS_DYN, "TCP_REC_IS_DYN", kInt, 0, 1, true},
    {TCP_FILLCW_RATE_CAP, "TCP_FILLCW_RATE_CAP", kRate, 0, kMostBytesPerSecond, false},
    {TCP_GP_USE_LTBW, "TCP_GP_USE_LTBW", kInt, 0, 2, true},
};

const Option* find_option(int number) {
  for (const Option& o : kOptions) {
    if (o.number == number) return &o;
  }
  return nullptr;
}

}  // namespace

bool is_pacing_option(int option) {
  return find_option(option) != nullptr;
}

Result<uint64_t> read_pacing_option(int option, std::span<const uint8_t> value) {
  const Option* known = find_option(option);
  if (known == nullptr) return fail("option {}: not one of the pacing options", option);
  const Option& o = *known;
  if (value.size() != o.size) {
    return fail("{}: {} bytes given; it takes {}", o.name, value.size(),
                o.size == kRate ? "a uint64_t, 8 bytes" : "an int, 4 bytes");
  }
  uint64_t wide = 0;
  uint32_t narrow = 0;
  if (o.size == kRate) {
    std::memcpy(&wide, value.data(), kRate);
  } else {
    std::memcpy(&narrow, value.data(), kInt);
    wide = narrow;  // A negative int is out of any range.
  }
  if (wide < o.least || wide > o.most) {
    return fail("{}: {} is not from {} to {}", o.name, wide, o.least, o.most);
  }
  if (option == TCP_RACK_PROFILE) {
    TRY_VOID(Connection::check_profile(static_cast<int64_t>(wide)));
  }
  return wide;
}

Result<void> Connection::set_option(int option, std::span<const uint8_t> value) {
  // The article's listing gives FCC, a uint64_t, to TCP_RACK_PROFILE, whose value is an int: what
  // it means is TCP_FILLCW_RATE_CAP (docs/dgp.md).
  if (option == TCP_RACK_PROFILE && value.size() == kRate) option = TCP_FILLCW_RATE_CAP;
  const Option* o = find_option(option);
  if (o != nullptr && o->needs_dgp && dgp_ == nullptr) {
    return fail("{}: only with Dynamic Goodput Pacing; set TCP_RACK_PROFILE to 1 first", o->name);
  }
  return apply_option(option, TRY(read_pacing_option(option, value)));
}

Result<void> Connection::apply_option(int option, uint64_t value) {
  const auto n = static_cast<uint32_t>(value);
  switch (option) {
    case TCP_RACK_PACE_MAX_SEG: pacer_.limits().user_max = n; break;
    case TCP_RACK_PACE_MIN_SEG: pacer_.limits().user_min = n; break;
    case TCP_RACK_FORCE_MSEG: pacer_.limits().force_max = n != 0; break;
    case TCP_RACK_PACING_DIVISOR: pacer_.limits().divisor = n; break;
    case TCP_RACK_GP_INCREASE_CA: dgp_->timely().set_gain(pacing::Phase::Avoidance, n); break;
    case TCP_RACK_GP_INCREASE_SS: dgp_->timely().set_gain(pacing::Phase::SlowStart, n); break;
    case TCP_RACK_GP_INCREASE_REC: dgp_->timely().set_gain(pacing::Phase::Recovery, n); break;
    case TCP_RACK_PACE_RATE_CA:
      set_pace_rate(pacing::Phase::Avoidance, Rate::bytes_per_second(value));
      break;
    case TCP_RACK_PACE_RATE_SS:
      set_pace_rate(pacing::Phase::SlowStart, Rate::bytes_per_second(value));
      break;
    case TCP_RACK_PACE_RATE_REC:
      set_pace_rate(pacing::Phase::Recovery, Rate::bytes_per_second(value));
      break;
    case TCP_TIMELY_DYN_ADJ: dgp_->timely().config().enabled = n != 0; break;
    case TCP_NO_TIMELY: dgp_->timely().config().enabled = n == 0; break;
    case TCP_REC_IS_DYN: dgp_->timely().config().no_recovery_change = n == 0; break;
    case TCP_RACK_PACE_TO_FILL: return set_pace_to_fill(n != 0);
    case TCP_RACK_PROFILE: return set_profile(n);
    case TCP_PACING_RATE_CAP: dgp_->config().rate_cap = Rate::bytes_per_second(value); break;
    case TCP_RACK_MEASURE_CNT: dgp_->config().required_measurements = n; break;
    case TCP_RACK_DGP_IN_REC: dgp_->config().fill_in_recovery = n != 0; break;
    case TCP_HONOR_HPTS_MIN: {
      pacing::PaceAccount::Policy policy;
      if (n > 0) policy.repay = pacing::PaceAccount::Repay::Slowly;
      if (n > 1) policy.max_reduction = n;
      policy.least_delay = stack_.wheel().get_hpts_min_sleep_time();
      policy.is_precise = stack_.wheel().is_precise();
      pacer_.set_policy(policy);
      break;
    }
    case TCP_DGP_UPPER_BOUNDS:
      dgp_->timely().config().bound_slow_start = n >> 16;
      dgp_->timely().config().bound_avoidance = n & 0xffff;
      break;
    case TCP_FILLCW_RATE_CAP: set_fcc(Rate::bytes_per_second(value)); break;
    case TCP_GP_USE_LTBW:
      dgp_->config().use_long_term = static_cast<pacing::Dgp::Config::UseLongTerm>(n);
      break;
    default: UNREACHABLE();
  }
  return {};
}

}  // namespace wh::tcp
