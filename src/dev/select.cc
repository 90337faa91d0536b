#include "dev/select.h"

#include <algorithm>

namespace wh::dev {

void Selects::record(Selector& selector, ::selinfo& info) {
  const MachineLock guard(machine_);
  std::vector<Selector*>& list = waiting_[&info];
  if (std::find(list.begin(), list.end(), &selector) != list.end()) return;
  if (ties_ >= kMaxWaiters) {
    ++overflows_;
    selector.notify();
    return;
  }
  list.push_back(&selector);
  ties_hint_ = ++ties_;
}

void Selects::wakeup(::selinfo& info) {
  // Whoever recorded itself did so under the driver's lock, before this event.
  if (ties_hint_ == 0) return;
  const MachineLock guard(machine_);
  wakeup_held(info);
}

void Selects::wakeup_held(::selinfo& info) {
  const auto it = waiting_.find(&info);
  if (it == waiting_.end()) return;
  ties_ -= it->second.size();
  for (Selector* selector : it->second) selector->notify();
  waiting_.erase(it);
  // Not before: who finds no ties takes it that nobody is being notified.
  ties_hint_ = ties_;
}

void Selects::forget(Selector& selector) {
  if (ties_hint_ == 0) return;
  const MachineLock guard(machine_);
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    ties_ -= std::erase(it->second, &selector);
    it = it->second.empty() ? waiting_.erase(it) : std::next(it);
  }
  ties_hint_ = ties_;
}

}  // namespace wh::dev
