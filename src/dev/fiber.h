// A fiber: a function with a stack of its own, run until it suspends itself.
//
// On ucontext, and known to the address and thread sanitizers. A fiber belongs to the thread that
// made it. One that has finished can be given another function: stacks are dear where pages are.
#pragma once

#include <ucontext.h>

#include <functional>
#include <memory>

namespace wh::dev {

class Fiber {
 public:
  static constexpr size_t kStack = size_t{256} << 10;

  explicit Fiber(std::function<void()> body);
  ~Fiber();  // REQUIRES: finished, or never to be resumed.
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  void start_again(std::function<void()> body);  // REQUIRES: finished.
  void resume();   // Runs it until it suspends or ends. REQUIRES: not finished, not running.
  void suspend();  // From inside: back to whoever resumed it.
  bool is_finished() const { return is_finished_; }

 private:
  static void enter(unsigned high, unsigned low);
  void run();

  std::function<void()> body_;
  std::unique_ptr<char[]> stack_;
  ::ucontext_t own_{}, caller_{};
  bool is_finished_ = false;
  // What the sanitizers want to be told.
  void* own_fake_stack_ = nullptr;
  void* caller_fake_stack_ = nullptr;
  const void* caller_stack_ = nullptr;
  size_t caller_stack_size_ = 0;
  [[maybe_unused]] void* tsan_own_ = nullptr;
  [[maybe_unused]] void* tsan_caller_ = nullptr;
};

}  // namespace wh::dev
