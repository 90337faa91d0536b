#include "host/real_loop.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <optional>
#include <thread>

#include "host/interrupt.h"
#include "host/system.h"

namespace wh::host {
namespace {

class RealLoopTest : public testing::Test {
 protected:
  void SetUp() override {
    // A test process has descriptors left, here and below.
    loop_ = MUST(RealLoop::make());
    auto [a, b] = MUST(make_socket_pair(SOCK_STREAM | SOCK_NONBLOCK));
    a_ = std::move(a);
    b_ = std::move(b);
  }
  Progress drain(int fd) {
    std::array<uint8_t, 64> bytes;
    const auto n = read_some(fd, bytes);
    if (n) received_.append(bytes.begin(), bytes.begin() + *n);
    return n ? Progress::Some : Progress::None;
  }

  std::unique_ptr<RealLoop> loop_;
  Fd a_, b_;
  std::string received_;
};

TEST_F(RealLoopTest, calls_readable_when_bytes_arrive) {
  FdWatch watch(*loop_, "a", [&] {
    loop_->stop();
    return drain(a_.raw());
  });
  ASSERT_TRUE(watch.watch(a_.raw()));
  Timer writer(*loop_, [&] { ASSERT_TRUE(write_all(b_.raw(), "hello")); });
  writer.arm(loop_->now() + 1ms);
  EXPECT_FALSE(loop_->run_for(10s));
  EXPECT_EQ(received_, "hello");
}

// It neither sleeps nor misses what comes.
TEST_F(RealLoopTest, polls_while_somebody_wants_that) {
  FdWatch watch(*loop_, "a", [&] {
    loop_->stop();
    return drain(a_.raw());
  });
  ASSERT_TRUE(watch.watch(a_.raw()));
  loop_->set_polling(true);
  uint64_t before = loop_->waits();
  EXPECT_TRUE(loop_->run_for(5ms));
  EXPECT_GT(loop_->waits() - before, 50u);
  Timer writer(*loop_, [&] { ASSERT_TRUE(write_all(b_.raw(), "hello")); });
  writer.arm(loop_->now() + 1ms);
  EXPECT_FALSE(loop_->run_for(10s));
  EXPECT_EQ(received_, "hello");
  loop_->set_polling(false);
  before = loop_->waits();
  EXPECT_TRUE(loop_->run_for(5ms));
  EXPECT_LT(loop_->waits() - before, 5u);
}

TEST_F(RealLoopTest, polls_a_little_after_what_is_soon_followed) {
  Alertness::Habit habit = 0xff;
  loop_->alertness().arrived(habit, true, loop_->now());
  const uint64_t before = loop_->waits();
  EXPECT_TRUE(loop_->run_for(5ms));
  const uint64_t polls = loop_->waits() - before;
  EXPECT_GT(polls, 2u);  // A slow machine polls seldom.
  loop_->alertness().forget(habit);
  EXPECT_TRUE(loop_->run_for(5ms));
  EXPECT_LT(loop_->waits() - before - polls, 5u);
}

TEST_F(RealLoopTest, one_event_may_call_both_actions_and_interest_is_heeded) {
  std::string calls;
  FdWatch watch(
      *loop_, "a", [&] { return calls += 'r', drain(a_.raw()); },
      [&] {
        calls += 'w';
        watch.set_interest(Interest::Read);
        return Progress::Some;
      });
  ASSERT_TRUE(watch.watch(a_.raw(), Interest::ReadWrite));
  ASSERT_TRUE(write_all(b_.raw(), "x"));
  loop_->run_for(0ms);
  loop_->run_for(1ms);
  EXPECT_EQ(calls, "rw");
  ASSERT_TRUE(write_all(b_.raw(), "x"));
  watch.set_interest(Interest::None);
  loop_->run_for(1ms);
  EXPECT_EQ(calls, "rw");
  watch.set_interest(Interest::ReadWrite);
  loop_->run_for(0ms);
  EXPECT_EQ(calls, "rwrw");
}

TEST_F(RealLoopTest, hang_up_is_reported_to_the_reader) {
  bool at_end = false;
  FdWatch watch(*loop_, "a", [&] {
    std::array<uint8_t, 8> bytes;
    at_end = MUST(read_some(a_.raw(), bytes)) == 0;  // A closed peer reads as the end.
    watch.unwatch();
    return Progress::Some;
  });
  ASSERT_TRUE(watch.watch(a_.raw()));
  b_.close();
  EXPECT_TRUE(loop_->run());  // Ends by itself: nothing is watched any more.
  EXPECT_TRUE(at_end);
}

TEST_F(RealLoopTest, watches_destroyed_by_an_action_of_the_same_wait_are_not_called) {
  auto [c, d] = MUST(make_socket_pair(SOCK_STREAM));
  std::optional<FdWatch> first, second;
  int calls = 0;
  auto destroy_both = [&] {
    ++calls;
    first.reset();
    second.reset();
    return Progress::Some;
  };
  first.emplace(*loop_, "first", destroy_both, [] { return Progress::Some; });
  second.emplace(*loop_, "second", destroy_both, [] { return Progress::Some; });
  ASSERT_TRUE(first->watch(a_.raw(), Interest::ReadWrite));
  ASSERT_TRUE(second->watch(c.raw(), Interest::ReadWrite));
  ASSERT_TRUE(write_all(b_.raw(), "x"));
  ASSERT_TRUE(write_all(d.raw(), "x"));
  EXPECT_TRUE(loop_->run());
  EXPECT_EQ(calls, 1);
}

TEST_F(RealLoopTest, watching_a_regular_file_is_an_error_that_names_the_watch) {
  const Fd file = MUST(open_file("/proc/self/exe", O_RDONLY));  // This program.
  FdWatch watch(*loop_, "a file", [] { return Progress::Some; });
  const auto watched = watch.watch(file.raw());
  ASSERT_FALSE(watched);
  EXPECT_EQ(watched.error().text, "watch a file: Operation not permitted");
  EXPECT_FALSE(watch.is_watching());
}

TEST_F(RealLoopTest, busy_wait_is_reported_by_name) {
  ASSERT_TRUE(write_all(b_.raw(), "x"));
  EXPECT_DEATH(
      {
        FdWatch watch(*loop_, "sleepy reader", [] { return Progress::None; });
        (void)watch.watch(a_.raw());
        loop_->run_for(10s);
      },
      "busy wait: 'sleepy reader' was ready 1000 times");
}

TEST_F(RealLoopTest, progress_now_and_then_is_no_busy_wait) {
  ASSERT_TRUE(write_all(b_.raw(), "x"));
  uint32_t calls = 0;
  FdWatch watch(*loop_, "a", [&] {
    if (++calls == 5 * FdWatch::kBusyLimit) loop_->stop();
    return calls % (FdWatch::kBusyLimit - 1) == 0 ? Progress::Some : Progress::None;
  });
  ASSERT_TRUE(watch.watch(a_.raw()));
  EXPECT_FALSE(loop_->run_for(10s));
}

TEST_F(RealLoopTest, a_timer_that_rearms_for_now_does_not_starve_descriptors) {
  bool seen = false;
  FdWatch watch(*loop_, "a", [&] {
    seen = true;
    loop_->stop();
    return drain(a_.raw());
  });
  ASSERT_TRUE(watch.watch(a_.raw()));
  ASSERT_TRUE(write_all(b_.raw(), "x"));
  Timer greedy(*loop_, [&] { greedy.arm(loop_->now()); });
  greedy.arm(loop_->now() - 1s);
  EXPECT_FALSE(loop_->run_for(10s));
  EXPECT_TRUE(seen);
}

TEST_F(RealLoopTest, wake_from_another_thread_ends_the_wait) {
  int wakes = 0;
  loop_->on_wake([&] {
    ++wakes;
    loop_->stop();
  });
  std::thread other([&] { loop_->wake(); });
  EXPECT_FALSE(loop_->run());  // An on_wake action keeps it waiting.
  other.join();
  EXPECT_EQ(wakes, 1);
  loop_->on_wake({});
  EXPECT_TRUE(loop_->run());
}

// As a signal does that comes when the loop has looked for one and does not wait yet: it does not
// end the wait.
TEST_F(RealLoopTest, a_stop_from_a_handler_that_interrupts_no_wait_ends_the_run) {
  InterruptGuard guard([&] { loop_->stop(); });
  std::thread other;
  Timer begin(*loop_, [&] { other = std::thread([] { ::raise(SIGINT); }); });
  begin.arm(loop_->now());
  bool is_missed = false;
  Timer end(*loop_, [&] { is_missed = true; });
  end.arm(loop_->now() + 10s);
  EXPECT_FALSE(loop_->run());
  EXPECT_FALSE(is_missed);
  other.join();
}

TEST_F(RealLoopTest, signal_is_delivered_as_an_action_and_restored_after) {
  int seen = 0;
  {
    auto watch = SignalWatch::make(*loop_, {SIGUSR1, SIGINT}, [&](int signal) {
      seen = signal;
      loop_->stop();
    });
    ASSERT_TRUE(watch) << watch.error().text;
    EXPECT_TRUE(loop_->run());  // A signal watch alone does not keep the loop going.
    ASSERT_EQ(::raise(SIGINT), 0);
    EXPECT_FALSE(loop_->run_for(10s));
    EXPECT_EQ(seen, SIGINT);
  }
  sigset_t blocked;
  ASSERT_EQ(::pthread_sigmask(SIG_BLOCK, nullptr, &blocked), 0);
  EXPECT_FALSE(::sigismember(&blocked, SIGINT));
}

TEST_F(RealLoopTest, spinning_polls_instead_of_sleeping_and_lateness_is_recorded) {
  auto spinner = MUST(RealLoop::make({.spin = 2ms}));
  int fired = 0;
  Timer t(*spinner, [&] {
    if (++fired < 20) t.arm(spinner->now() + 1ms);
  });
  t.arm(spinner->now() + 1ms);
  spinner->run();
  EXPECT_EQ(fired, 20);
  // A wait that the machine delayed past its deadline before it began is not counted as a sleep.
  EXPECT_GE(spinner->wake_lateness().count(), 1u);
  EXPECT_LE(spinner->wake_lateness().count(), 20u);
  EXPECT_GT(spinner->waits(), 20u);
}

TEST_F(RealLoopTest, tells_how_far_behind_it_was_and_not_what_was_due_before_it_ran) {
  auto loop = MUST(RealLoop::make());
  Timer early(*loop, [] {}), kept(*loop, [] {});
  early.arm(loop->clock());
  ::usleep(20'000);
  loop->run_for(1ms);
  EXPECT_EQ(loop->most_behind(), 0ns);
  Timer keeper(*loop, [] { ::usleep(30'000); });
  keeper.arm(loop->clock());
  kept.arm(loop->clock() + 1ms);
  loop->run_for(5ms);
  EXPECT_GE(loop->most_behind(), 29ms);
}

TEST_F(RealLoopTest, offset_moves_the_clock) {
  auto shifted = MUST(RealLoop::make({.offset = 5000s}));
  EXPECT_NEAR(to_seconds(shifted->clock() - loop_->clock()), 4000, 5);
}

}  // namespace
}  // namespace wh::host
