// A driver that breaks a rule where the kernel calls it outside of its device's methods: one report
// each, and the lab goes on.
#include <cerrno>

#include "dev/test_kernel.h"

namespace wh::dev {
namespace {

// As in tests/drivers/clumsy.c.
enum Rule : int {
  kNone,
  kEventPanics,
  kEventLocksAgain,
  kDetachForgets,
  kFilterFailsLate,
  kFilterSetsNothing,
  kDestructorPanics,
  kDestructorSleeps,
  kWriteTakesAllLocks,
  kReadRaisesResid,
  kDestroysTwice,
  kPurgePanics,
  kReadSleeps,
  kCallbackPanics,
  kReadHoldsMutex,
  kIoctlWritesBehind
};

class Clumsy : public testing::Test {
 protected:
  void SetUp() override {
    k.load(WH_BUG_DIR "/clumsy.so");
    fd = shell.open("clumsy", O_RDWR).value();
    kq = shell.kqueue().value();
  }
  void TearDown() override {
    static_cast<void>(shell.close(kq));
    static_cast<void>(shell.close(fd));
    const auto gone = k.kernel.modules().unload("clumsy");
    EXPECT_TRUE(gone.has_value()) << gone.error().text;
    EXPECT_EQ(k.machine.unfinished(), 0u);
  }
  int tell(int rule) { return error_of(shell.ioctl(fd, _IOW('c', 1, int), &rule)); }
  int watch() {
    const ::kevent add = {static_cast<uintptr_t>(fd), EVFILT_READ, EV_ADD, 0, 0, nullptr};
    return error_of(shell.kevent(kq, {&add, 1}, {}, 0s));
  }
  size_t take() {
    const auto n = shell.kevent(kq, {}, {&event, 1}, 0s);
    EXPECT_TRUE(n.has_value());
    return n.value_or(0);
  }
  uint64_t count(Misdeed misdeed) { return k.kernel.reports().count(misdeed); }

  TestKernel k;
  Process shell{k.kernel};
  int fd = -1, kq = -1;
  ::kevent event{};
  std::byte buffer[16] = {};
};

TEST_F(Clumsy, filter_that_panics_says_eof_once_and_is_gone) {
  ASSERT_EQ(watch(), 0);
  ASSERT_EQ(tell(kEventPanics), 0);
  EXPECT_EQ(take(), 0u);
  EXPECT_EQ(count(Misdeed::Panic), 1u) << k.console;
  EXPECT_EQ(take(), 1u);
  EXPECT_EQ(event.flags & EV_EOF, EV_EOF);
  EXPECT_EQ(take(), 0u);
  EXPECT_EQ(watch(), EIO);
  EXPECT_EQ(count(Misdeed::Panic), 2u) << k.console;
  ASSERT_EQ(tell(kNone), 0);
  ASSERT_EQ(watch(), 0);
  EXPECT_EQ(take(), 1u);
}

TEST_F(Clumsy, filter_that_takes_its_lists_lock_again_is_told_so) {
  ASSERT_EQ(watch(), 0);
  ASSERT_EQ(tell(kEventLocksAgain), 0);
  EXPECT_EQ(watch(), EIO);  // Changed, it is asked.
  EXPECT_EQ(count(Misdeed::LockRecursed), 1u) << k.console;
  EXPECT_EQ(take(), 1u);
  EXPECT_EQ(event.flags & EV_EOF, EV_EOF);
}

TEST_F(Clumsy, knote_that_its_filter_leaves_on_a_list_is_taken_off) {
  ASSERT_EQ(watch(), 0);
  ASSERT_EQ(tell(kDetachForgets), 0);
  const ::kevent remove = {static_cast<uintptr_t>(fd), EVFILT_READ, EV_DELETE, 0, 0, nullptr};
  EXPECT_EQ(error_of(shell.kevent(kq, {&remove, 1}, {}, 0s)), 0);
  EXPECT_EQ(count(Misdeed::KnotesLeft), 1u) << k.console;
  ASSERT_EQ(tell(kFilterFailsLate), 0);
  EXPECT_EQ(watch(), EINVAL);
  EXPECT_EQ(take(), 0u);
  EXPECT_EQ(count(Misdeed::KnotesLeft), 2u) << k.console;
  EXPECT_EQ(shell.write(fd, bytes("x")).value(), 1u);
}

TEST_F(Clumsy, filter_without_functions_is_refused) {
  ASSERT_EQ(tell(kFilterSetsNothing), 0);
  EXPECT_EQ(watch(), EINVAL);
  EXPECT_EQ(take(), 0u);
}

TEST_F(Clumsy, destructor_that_panics_costs_a_report) {
  ASSERT_EQ(tell(kDestructorPanics), 0);
  EXPECT_TRUE(shell.close(fd).has_value());
  EXPECT_EQ(count(Misdeed::Panic), 1u) << k.console;
}

// Its code would be gone before it wakes.
TEST_F(Clumsy, destructor_that_sleeps_is_waited_for_by_kldunload) {
  ASSERT_EQ(tell(kDestructorSleeps), 0);
  k.machine.go("close", [&] { EXPECT_TRUE(shell.close(fd).has_value()); });
  k.machine.run();
  EXPECT_EQ(k.machine.unfinished(), 1u);
  k.console.clear();
  ASSERT_TRUE(k.kernel.modules().unload("clumsy").has_value());
  EXPECT_EQ(k.console, "destroyed\n");
  k.machine.run();
  EXPECT_EQ(k.kernel.reports().total(), 0u) << k.console;
  k.load(WH_BUG_DIR "/clumsy.so");
}

// No rule broken: close(2) of a file that another thread reads is that thread's to finish.
TEST_F(Clumsy, file_that_is_closed_stays_open_for_the_call_in_progress) {
  ASSERT_EQ(tell(kReadSleeps), 0);
  Sys<size_t> got;
  k.machine.go("read", [&] { got = shell.read(fd, buffer); });
  k.machine.run();
  k.console.clear();
  EXPECT_TRUE(shell.close(fd).has_value());
  EXPECT_EQ(k.console, "");
  EXPECT_EQ(error_of(shell.read(fd, buffer)), EBADF);
  k.machine.run_for(20ms);
  EXPECT_EQ(error_of(got), 0);
  EXPECT_EQ(k.console, "destroyed\n");
  EXPECT_EQ(k.kernel.reports().total(), 0u) << k.console;
}

TEST_F(Clumsy, thread_that_would_hold_too_many_locks_is_stopped) {
  ASSERT_EQ(tell(kWriteTakesAllLocks), 0);
  EXPECT_EQ(error_of(shell.write(fd, bytes("x"))), EDEADLK);
  EXPECT_EQ(count(Misdeed::Panic), 1u) << k.console;
  EXPECT_EQ(error_of(shell.write(fd, bytes("x"))), EDEADLK);  // None of them was kept.
}

TEST_F(Clumsy, transfer_never_goes_beyond_the_request) {
  ASSERT_EQ(tell(kReadRaisesResid), 0);
  EXPECT_NE(error_of(shell.read(fd, buffer)), 0);
  EXPECT_GE(count(Misdeed::BadReturn), 1u) << k.console;
}

// Part 1 takes an sx lock rather than a mutex because uiomove() may sleep.
TEST_F(Clumsy, whoever_holds_a_mutex_may_not_sleep) {
  ASSERT_EQ(tell(kReadHoldsMutex), 0);
  k.console.clear();
  k.machine.go("read", [&] { EXPECT_EQ(shell.read(fd, buffer).value(), sizeof buffer); });
  k.machine.run_for(10ms);
  EXPECT_EQ(
      k.console,
      "driver fault: mutex-held-asleep: uiomove with the mutex clumsy in d_read\n"
      "driver fault: mutex-held-asleep: malloc with M_WAITOK with the mutex clumsy in d_read\n"
      "driver fault: mutex-held-asleep: sx_lock with the mutex clumsy in d_read\n"
      "driver fault: mutex-held-asleep: sleep with the mutex clumsy in d_read\n");
}

TEST_F(Clumsy, ioctl_that_writes_behind_its_argument_is_told_so) {
  int got[2] = {0, 77};
  ASSERT_EQ(error_of(shell.ioctl(fd, _IOR('c', 2, int), got)), 0);
  EXPECT_EQ(k.kernel.reports().total(), 0u) << k.console;
  ASSERT_EQ(tell(kIoctlWritesBehind), 0);
  k.console.clear();
  ASSERT_EQ(error_of(shell.ioctl(fd, _IOR('c', 2, int), got)), 0);
  EXPECT_EQ(k.console, "driver fault: overrun: d_ioctl 0x80046302 of clumsy, behind its 4 bytes\n");
  EXPECT_EQ(got[0], kIoctlWritesBehind);
  EXPECT_EQ(got[1], 77);
}

// destroy_dev_sched(9) of FreeBSD answers 0 to the second.
TEST_F(Clumsy, device_may_be_scheduled_to_go_twice) {
  EXPECT_EQ(tell(kDestroysTwice), 0);
  k.machine.run();
  EXPECT_EQ(k.kernel.devfs().find("clumsy"), nullptr);
  EXPECT_EQ(k.kernel.reports().total(), 0u) << k.console;
}

TEST_F(Clumsy, callback_and_purge_that_panic_cost_a_report) {
  ASSERT_EQ(tell(kPurgePanics), 0);
  k.machine.go("read", [&] { EXPECT_EQ(shell.read(fd, buffer).value(), 0u); });
  k.machine.run();
  ASSERT_TRUE(k.kernel.modules().unload("clumsy").has_value());
  EXPECT_EQ(count(Misdeed::Panic), 1u) << k.console;
  k.load(WH_BUG_DIR "/clumsy.so");
  ASSERT_TRUE(shell.close(fd).has_value());
  fd = shell.open("clumsy", O_RDWR).value();
  EXPECT_EQ(tell(kCallbackPanics), 0);
  k.machine.run();
  EXPECT_EQ(count(Misdeed::Panic), 2u) << k.console;
}

TEST(Sysinit, that_panics_is_the_end_of_the_loading) {
  TestKernel k;
  EXPECT_FALSE(k.kernel.modules().load(WH_BUG_DIR "/bug_sysinit.so").has_value());
  EXPECT_EQ(k.kernel.reports().count(Misdeed::Panic), 2u) << k.console;
  EXPECT_EQ(k.console.find("an event"), std::string::npos) << k.console;
}

TEST(Modules, load_a_driver_once_whatever_it_is_called_by) {
  TestKernel k;
  k.load(WH_BUG_DIR "/quiet.so");
  const auto again = k.kernel.modules().load(WH_BUG_DIR "/../bugs/quiet.so");
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code, std::errc::file_exists);
  EXPECT_EQ(k.kernel.modules().rows().size(), 1u);
  EXPECT_EQ(k.kernel.reports().total(), 0u) << k.console;
}

TEST(Mapping, that_would_end_beyond_the_last_offset_is_refused) {
  TestKernel k;
  k.load("echo_mmap");
  Process shell(k.kernel);
  const int fd = shell.open("echo", O_RDWR).value();
  EXPECT_EQ(error_of(shell.map(fd, INT64_MAX - 4095, 8192, 1)), EINVAL);
}

// Two mailboxes, read at one queue by threads that change places at every step.
struct TwoBoxes {
  explicit TwoBoxes(uint64_t seed) : k({.seed = seed, .switch_one_in = 2}) {
    k.load(WH_BUG_DIR "/mailbox.so");
    a = shell.open("mailbox/0", O_RDWR | O_NONBLOCK).value();
    b = shell.open("mailbox/1", O_RDWR | O_NONBLOCK).value();
    kq = shell.kqueue().value();
    for (const int fd : {a, b}) {
      EXPECT_EQ(watch(fd), 0);
      put(fd);
    }
  }
  int watch(int fd) {
    const ::kevent add = {static_cast<uintptr_t>(fd), EVFILT_READ, EV_ADD, 0, 0, nullptr};
    return error_of(shell.kevent(kq, {&add, 1}, {}, 0s));
  }
  void put(int fd) {
    const int number = 1;
    static_cast<void>(shell.write(fd, std::as_bytes(std::span(&number, 1))));
  }
  void get(int fd) {
    int number = 0;
    static_cast<void>(shell.read(fd, std::as_writable_bytes(std::span(&number, 1))));
  }
  void wait_in_a_thread() {
    k.machine.go("waiter", [this] {
      ::kevent got{};
      EXPECT_EQ(shell.kevent(kq, {}, {&got, 1}, std::nullopt).value(), 1u);
    });
  }

  TestKernel k;
  Process shell{k.kernel};
  int a = -1, b = -1, kq = -1;
};

void for_each_seed(const std::function<void(TwoBoxes&)>& check) {
  for (uint64_t seed = 1; seed <= 100 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(fmt::format("replay: seed {}", seed));
    TwoBoxes boxes(seed);
    check(boxes);
    const std::vector<std::string> waiting = boxes.k.machine.waiting();
    ASSERT_TRUE(waiting.empty()) << fmt::format("{}", fmt::join(waiting, ", "));
  }
}

TEST(Queues, let_nobody_rest_while_a_knote_is_active) {
  for_each_seed([](TwoBoxes& t) {
    t.wait_in_a_thread();
    t.wait_in_a_thread();
    t.k.machine.go("writer", [&] {
      for (int i = 0; i < 4; ++i) {
        t.get(t.b);
        t.get(t.a);
        t.put(t.a);
      }
    });
    t.k.machine.run();
  });
}

TEST(Queues, have_no_knote_of_a_descriptor_that_was_closed_meanwhile) {
  for_each_seed([](TwoBoxes& t) {
    t.wait_in_a_thread();
    t.k.machine.go("again", [&] { static_cast<void>(t.watch(t.a)); });
    t.k.machine.go("close", [&] { EXPECT_TRUE(t.shell.close(t.a).has_value()); });
    t.k.machine.run();
    t.get(t.b);
    ::kevent got{};
    EXPECT_EQ(t.shell.kevent(t.kq, {}, {&got, 1}, 0s).value(), 0u) << got.ident;
  });
}

}  // namespace
}  // namespace wh::dev
