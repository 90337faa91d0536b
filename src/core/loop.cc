#include "core/loop.h"

#include <algorithm>

namespace wh {
inline namespace core {

Loop::~Loop() {
  for (const Entry& e : heap_) e.timer->heap_index_ = Timer::kNotArmed;
}

void Loop::arm(Timer& timer, Instant when) {
  timer.deadline_ = when;
  const Entry e{when, next_sequence_++, &timer};
  if (timer.is_armed()) {
    // The new sequence is the largest, so with an equal or later deadline it can only sink.
    const uint32_t at = timer.heap_index_;
    if (e.before(heap_[at])) {
      sift_up(at, e);
    } else {
      sift_down(at, e);
    }
    return;
  }
  heap_.emplace_back();
  sift_up(static_cast<uint32_t>(heap_.size() - 1), e);
}

void Loop::disarm(Timer& timer) {
  const uint32_t at = timer.heap_index_;
  CHECK(heap_[at].timer == &timer);
  timer.heap_index_ = Timer::kNotArmed;
  const Entry last = heap_.back();
  heap_.pop_back();
  if (last.timer == &timer) return;
  if (at > 0 && last.before(heap_[(at - 1) / 4])) {
    sift_up(at, last);
  } else {
    sift_down(at, last);
  }
}

void Loop::fire_next() {
  CHECK(!heap_.empty() && heap_[0].when <= now_);
  Timer& timer = *heap_[0].timer;
  disarm(timer);
  ++events_;
  timer.action_();
}

void Loop::sift_up(uint32_t at, Entry e) {
  while (at > 0) {
    const uint32_t parent = (at - 1) / 4;
    if (!e.before(heap_[parent])) break;
    place(at, heap_[parent]);
    at = parent;
  }
  place(at, e);
}

void Loop::sift_down(uint32_t at, Entry e) {
  const auto size = static_cast<uint32_t>(heap_.size());
  for (;;) {
    const uint32_t first = at * 4 + 1;
    if (first >= size) break;
    uint32_t best = first;
    const uint32_t end = std::min(first + 4, size);
    for (uint32_t child = first + 1; child < end; ++child) {
      if (heap_[child].before(heap_[best])) best = child;
    }
    if (!heap_[best].before(e)) break;
    place(at, heap_[best]);
    at = best;
  }
  place(at, e);
}

}  // namespace core
}  // namespace wh
