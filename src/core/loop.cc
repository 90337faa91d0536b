#include "core/loop.h"

#include <algorithm>

namespace wh {
inline namespace core {
namespace {

// Seldom, and so apart from what is done for every event.
template <class Vector>
[[gnu::noinline]] void add_place(Vector& heap) {
  heap.emplace_back();
}

}  // namespace

Loop::~Loop() {
  CHECK(!root_is_firing_);
  for (const Entry& e : heap_) e.timer->heap_index_ = Timer::kNotArmed;
}

void Loop::arm(Timer& timer, Instant when) {
  timer.deadline_ = when;
  timer.sequence_ = next_sequence_++;
  const Entry e{when, &timer};
  if (root_is_firing_ && !timer.is_armed()) {
    // Most often the timer that fires arms itself again: it takes the place that it had.
    root_is_firing_ = false;
    sift_down(0, e);
    return;
  }
  if (root_is_firing_) remove_root();
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
  add_place(heap_);
  sift_up(static_cast<uint32_t>(heap_.size() - 1), e);
}

void Loop::disarm(Timer& timer) {
  if (root_is_firing_) remove_root();
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
  if (root_is_firing_) remove_root();  // This is a loop run within an action.
  Timer& timer = *heap_[0].timer;
  timer.heap_index_ = Timer::kNotArmed;
  root_is_firing_ = true;
  if (++events_ % kHeedEvery == 0 && heeded_ != nullptr && *heeded_) stop();
  timer.action_();
  if (root_is_firing_) remove_root();
}

void Loop::remove_root() {
  root_is_firing_ = false;
  const Entry last = heap_.back();
  heap_.pop_back();
  if (!heap_.empty()) sift_down(0, last);
}

Instant Loop::second_deadline() const {
  Instant earliest = kNever;
  for (size_t i = 1; i < std::min<size_t>(5, heap_.size()); ++i) {
    earliest = std::min(earliest, heap_[i].when);
  }
  return earliest;
}

void Loop::sift_up(uint32_t at, Entry e) {
  Entry* const heap = heap_.data();
  while (at > 0) {
    const uint32_t parent = (at - 1) / 4;
    if (!e.before(heap[parent])) break;
    place(heap, at, heap[parent]);
    at = parent;
  }
  place(heap, at, e);
}

void Loop::sift_down(uint32_t at, Entry e) {
  Entry* const heap = heap_.data();
  const auto size = static_cast<uint32_t>(heap_.size());
  for (uint32_t first = at * 4 + 1; first < size; first = at * 4 + 1) {
    const Entry* const end = heap + std::min(first + 4, size);
    const Entry* best = heap + first;
    Instant least = best->when;
    for (const Entry* child = best + 1; child < end; ++child) {
      if (child->when > least || (child->when == least && !child->before(*best))) continue;
      best = child;
      least = child->when;
    }
    if (!best->before(e)) break;
    place(heap, at, *best);
    at = static_cast<uint32_t>(best - heap);
  }
  place(heap, at, e);
}

}  // namespace core
}  // namespace wh
