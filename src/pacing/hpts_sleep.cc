// How long a wheel sleeps: the callout, what inserts may do to it, and its self-tuning.
//
//   waiting            after a run the callout sleeps           an insert may shorten the sleep
//   none               max_sleep (512 ms)                       yes
//   few                to the next occupied slot                yes
//   few, next is near  min_sleep                                no ("on min sleep")
//   cnt_thresh or more to the next occupied slot,               no: softclock() serves it
//                      within mysleep..dyn_maxsleep
//
// In the last row the callout comes within dyn_maxsleep of the insert or soft run that began to
// rely on softclock(), wherever it was before: nobody is called later than that, however quiet the
// stack.
//
// mysleep doubles when a run at the end of a sleep found its first client less than more_sleep
// slots late, and halves when it was more than less_sleep slots late, within
// dyn_minsleep..dyn_maxsleep.
#include <algorithm>

#include "pacing/hpts.h"
#include "pacing/hpts_tick.h"

namespace wh::pacing {
namespace {

// How many of a slot are looked at for the first that is due. A run that comes before it spreads
// them over the near lists, which pays when there are more.
constexpr int kLookedAt = 8;

}  // namespace

// A run as soon as a tick has passed since the last, unless softclock() is to provide it.
void Hpts::wake(Instant now) {
  const HptsTunables& t = books_.tunables;
  if (t.no_wake_over_thresh != 0 && is_over_thresh() && !is_precise()) {
    direct_wake_ = false;
    return bound_sleep(now);
  }
  direct_wake_ = true;
  if (wake_scheduled_) return;
  wake_scheduled_ = true;
  callout_.arm(std::max(now, start_of(drained_ + 1)));
}

void Hpts::shorten_sleep(Instant until, Instant now) {
  if (callout_.deadline() <= now) {
    wake(now);  // Overdue: the loop has been kept from it.
  } else if (until < callout_.deadline()) {
    callout_.arm(until);
  }
}

void Hpts::on_callout() {
  const bool slept = !direct_wake_;
  wake_scheduled_ = false;
  if (active_) return go_back_to_sleep(loop_.clock());
  ++(slept ? books_.counters.timeout_wakeup : books_.counters.direct_awakening);
  const HptsSlots span = run(Source::Callout);
  if (slept && is_over_thresh()) tune(span);
  choose_sleep(loop_.clock());
  direct_wake_ = false;
}

// A client that is being called has run the loop, and the callout came: the run in progress goes
// first.
void Hpts::go_back_to_sleep(Instant now) {
  const HptsTunables& t = books_.tunables;
  ++books_.counters.back_tosleep;
  if (direct_wake_) {
    callout_.arm(now + mysleep_);
  } else if (is_over_thresh()) {
    mysleep_ = std::min(2 * mysleep_, Microseconds(t.dyn_maxsleep));
    callout_.arm(now + mysleep_);
    on_min_sleep_ = true;
  } else {
    callout_.arm(now + Microseconds(t.min_sleep));
    on_min_sleep_ = false;
  }
  direct_wake_ = false;
}

void Hpts::soft_run() {
  if (active_) {
    ++books_.counters.soft_noop;
    return;
  }
  ++books_.counters.direct_call;
  ++soft_runs_;
  const HptsSlots span = run(Source::Soft);
  const HptsTunables& t = books_.tunables;
  if (!is_over_thresh() || is_precise()) return;
  const bool came_late = span.count() > t.less_sleep;
  if (!came_late && span.count() >= t.more_sleep) return;
  tune(span);
  on_min_sleep_ = true;
  const Instant now = loop_.clock();
  if (came_late && !wake_scheduled_) {
    callout_.arm(now + over_thresh_sleep(now));
  } else {
    bound_sleep(now);
  }
}

// Who trusts that softclock() will come is called by the callout if it does not. It may be far
// away: set for an empty wheel, or for the next of few, before these became many.
void Hpts::bound_sleep(Instant now) {
  const Instant latest = now + Microseconds(books_.tunables.dyn_maxsleep);
  if (callout_.deadline() > latest) callout_.arm(latest);
}

void Hpts::tune(HptsSlots span) {
  const HptsTunables& t = books_.tunables;
  if (span.count() < t.more_sleep) {
    mysleep_ = std::min(2 * mysleep_, Microseconds(t.dyn_maxsleep));
  } else if (span.count() > t.less_sleep) {
    mysleep_ = std::max(mysleep_ / 2, Microseconds(t.dyn_minsleep));
  }
}

void Hpts::choose_sleep(Instant now) {
  const Duration next = until_next_occupied(now);
  const Duration least = Microseconds(books_.tunables.min_sleep);
  if (is_precise()) {
    on_min_sleep_ = false;
    queued_ == 0 ? callout_.disarm() : callout_.arm(now + next);
  } else if (is_over_thresh()) {
    on_min_sleep_ = true;
    callout_.arm(now + over_thresh_sleep(now));
  } else {
    on_min_sleep_ = queued_ > 0 && next < least;
    callout_.arm(now + (on_min_sleep_ ? least : next));
  }
}

Duration Hpts::over_thresh_sleep(Instant now) const {
  const Duration longest = Microseconds(books_.tunables.dyn_maxsleep);
  return std::min(std::max<Duration>(until_next_occupied(now), mysleep_), longest);
}

// At most max_sleep; zero when somebody's time has come.
Duration Hpts::until_next_occupied(Instant now) const {
  const Duration longest = HptsSlots(books_.tunables.max_sleep).duration();
  Instant next = now + longest;
  if (const auto slot = occupied_.distance_to_next(slot_of(drained_))) {
    next = std::min(next, next_due(drained_ + *slot));
  }
  if (const auto near = near_.distance_to_next(0)) {
    next = std::min(next, start_of(drained_) + Duration(*near));
  }
  return std::max<Duration>(next - now, Duration::zero());
}

// When an occupied slot is to be served: at its beginning or, when precise and its clients are few,
// as the first of them is due. Who only waits there for a longer delay is moved on after it.
Instant Hpts::next_due(int64_t tick) const {
  if (!is_precise()) return start_of(tick);
  Instant first = start_of(tick + 1);
  int looked_at = 0;
  for (const HptsClient* c = lists_[slot_of(tick)]; c != nullptr; c = c->older_) {
    if (++looked_at > kLookedAt) return start_of(tick);
    first = std::min(first, c->due_);
  }
  return first;
}

}  // namespace wh::pacing
