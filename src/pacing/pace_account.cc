#include "pacing/pace_account.h"

#include <algorithm>

namespace wh::pacing {
namespace {

constexpr Duration kLeastDelay = kHptsSlot;  // However late, 10 us pass between two sends.

}  // namespace

void PaceAccount::note_output(Instant now) {
  if (!is_pacing_) return;
  is_pacing_ = false;
  if (now >= last_output_to_) {
    agg_delayed_ += now - last_output_to_;
  } else {
    agg_early_ += last_output_to_ - now;
  }
}

Duration PaceAccount::start(Instant now, Duration interval, const Policy& policy) {
  CHECK(interval >= Duration::zero());
  Duration delay = interval + agg_early_;
  agg_early_ = Duration::zero();
  if (agg_delayed_ > Duration::zero()) {
    delay =
        policy.repay == Repay::Slowly ? repay_slowly(delay, policy) : repay_at_once(delay, policy);
  }
  if (policy.repay == Repay::Slowly && delay > Duration::zero()) {
    delay = std::max(delay, policy.least_delay);
  }
  last_output_to_ = now + delay;
  is_pacing_ = true;
  return delay;
}

Duration PaceAccount::repay_at_once(Duration delay, const Policy& policy) {
  // A segment at 1 Gbps takes 12 us: were 2 us all that it could repay, a stall of a millisecond
  // would be felt for six.
  const Duration least = policy.is_precise ? std::min(kLeastDelay, delay / 2) : kLeastDelay;
  // What is left of the delay, were all repaid; below the least delay the rest stays owed.
  const Duration rest = delay - agg_delayed_;
  const Duration paid = std::max(rest, least);
  agg_delayed_ = paid - rest;
  return paid;
}

Duration PaceAccount::repay_slowly(Duration delay, const Policy& policy) {
  const Duration most = (delay * policy.max_reduction / 100) / 1us * 1us;
  const Duration paid = std::min(most, agg_delayed_);
  agg_delayed_ -= paid;
  return delay - paid;
}

}  // namespace wh::pacing
