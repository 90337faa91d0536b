// Work done in steps, so that whoever has a loop to serve can do other things in between.
//
//   Steps count(uint64_t n, uint64_t& sum) {
//     for (uint64_t i = 0; i < n; ++i) {
//       sum += i;
//       if (i % 1000 == 999) co_yield Pause{};
//     }
//   }
//   Steps steps = count(1'000'000, sum);
//   while (steps.next()) serve_others();
//
// A coroutine that stops at each co_yield; what it finds it writes where it was told to. One does
// another as a part of itself by `WH_DO(count(...))`. Destroyed before its end, it ends at the
// pause it is in, and its locals go. Arguments are kept as they are declared: references must
// outlive it, temporaries do not.
#pragma once

#include <coroutine>
#include <utility>

#include "core/check.h"

namespace wh {
inline namespace core {

struct Pause {};

class [[nodiscard]] Steps {
 public:
  struct promise_type {
    Steps get_return_object() { return Steps(Handle::from_promise(*this)); }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    std::suspend_always yield_value(Pause) noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() { throw; }
  };

  Steps(Steps&& o) noexcept : handle_(std::exchange(o.handle_, nullptr)) {}
  Steps& operator=(Steps&&) = delete;
  ~Steps() {
    if (handle_) handle_.destroy();
  }

  // Goes on to the next pause. False when there is none: all is done. REQUIRES: it was not done.
  bool next() {
    CHECK(!handle_.done());
    handle_.resume();
    return !handle_.done();
  }
  // All that is left, at once.
  void finish() {
    while (!handle_.done()) handle_.resume();
  }

 private:
  using Handle = std::coroutine_handle<promise_type>;
  explicit Steps(Handle handle) : handle_(handle) {}
  Handle handle_;
};

}  // namespace core
}  // namespace wh

// Does a part, step by step, within steps of more.
#define WH_DO(...)                                           \
  for (::wh::Steps wh_part = __VA_ARGS__; wh_part.next();) { \
    co_yield ::wh::Pause{};                                  \
  }
