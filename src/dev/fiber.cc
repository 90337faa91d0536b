#include "dev/fiber.h"

#include <cstdint>

#include "core/check.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WH_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define WH_TSAN 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define WH_ASAN 1
#endif
#ifdef __SANITIZE_THREAD__
#define WH_TSAN 1
#endif
#ifdef WH_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef WH_TSAN
#include <sanitizer/tsan_interface.h>
#endif

namespace wh::dev {

Fiber::Fiber(std::function<void()> body)
    : body_(std::move(body)), stack_(std::make_unique_for_overwrite<char[]>(kStack)) {
  CHECK_EQ(::getcontext(&own_), 0);
  own_.uc_stack.ss_sp = stack_.get();
  own_.uc_stack.ss_size = kStack;
  own_.uc_link = nullptr;
  const auto self = reinterpret_cast<uintptr_t>(this);
  // makecontext passes ints; a pointer goes as two. The cast is the interface's.
  ::makecontext(&own_, reinterpret_cast<void (*)()>(&Fiber::enter), 2,
                static_cast<unsigned>(self >> 32), static_cast<unsigned>(self));
#ifdef WH_TSAN
  tsan_own_ = __tsan_create_fiber(0);
#endif
}

Fiber::~Fiber() {
#ifdef WH_TSAN
  __tsan_destroy_fiber(tsan_own_);
#endif
}

void Fiber::enter(unsigned high, unsigned low) {
  const uintptr_t self = (static_cast<uintptr_t>(high) << 32) | low;
  reinterpret_cast<Fiber*>(self)->run();  // Sound: the pointer that the constructor split.
}

void Fiber::run() {
#ifdef WH_ASAN
  __sanitizer_finish_switch_fiber(nullptr, &caller_stack_, &caller_stack_size_);
#endif
  for (;;) {
    body_();
    body_ = nullptr;  // What it holds goes with the end, as a thread's does.
    is_finished_ = true;
    suspend();
  }
}

void Fiber::start_again(std::function<void()> body) {
  CHECK(is_finished_);
  body_ = std::move(body);
  is_finished_ = false;
}

void Fiber::resume() {
  CHECK(!is_finished_);
#ifdef WH_TSAN
  tsan_caller_ = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(tsan_own_, 0);
#endif
#ifdef WH_ASAN
  __sanitizer_start_switch_fiber(&caller_fake_stack_, stack_.get(), kStack);
#endif
  ::swapcontext(&caller_, &own_);
#ifdef WH_ASAN
  __sanitizer_finish_switch_fiber(caller_fake_stack_, nullptr, nullptr);
#endif
}

void Fiber::suspend() {
#ifdef WH_TSAN
  __tsan_switch_to_fiber(tsan_caller_, 0);
#endif
#ifdef WH_ASAN
  __sanitizer_start_switch_fiber(&own_fake_stack_, caller_stack_, caller_stack_size_);
#endif
  ::swapcontext(&own_, &caller_);
#ifdef WH_ASAN
  __sanitizer_finish_switch_fiber(own_fake_stack_, &caller_stack_, &caller_stack_size_);
#endif
}

}  // namespace wh::dev
