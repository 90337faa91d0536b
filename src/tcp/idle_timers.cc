#include "tcp/idle_timers.h"

#include "tcp/stack.h"

namespace wh::tcp {

void IdleTimers::arm(Connection& c, Instant due) {
  CHECK(due < c.idle_entry_due_);
  forget(c);
  c.idle_entry_ = entries_.emplace(due, &c);
  c.idle_entry_due_ = due;
  if (due < timer_.deadline()) timer_.arm(due);
}

void IdleTimers::forget(Connection& c) {
  if (c.idle_entry_due_ == kNever) return;
  entries_.erase(c.idle_entry_);
  c.idle_entry_due_ = kNever;
}

// A connection that is called may end, or end others.
void IdleTimers::run() {
  while (!entries_.empty() && entries_.begin()->first <= loop_.now()) {
    Connection& c = *entries_.begin()->second;
    forget(c);
    c.idle_output();
  }
  if (!entries_.empty()) timer_.arm(entries_.begin()->first);
}

}  // namespace wh::tcp
