// Descriptors: that of a queue, and one that is closed while it is used.
#include <cerrno>

#include "dev/test_kernel.h"

namespace wh::dev {
namespace {

class Descriptors : public testing::Test {
 protected:
  void SetUp() override { k.load("echo"); }
  TestKernel k;
  Process shell{k.kernel};
};

TEST_F(Descriptors, queue_is_a_descriptor_that_poll_and_kevent_wait_on) {
  const int fd = shell.open("echo", O_RDWR).value();
  const int inner = shell.kqueue().value(), outer = shell.kqueue().value();
  ::kevent e = {static_cast<uintptr_t>(fd), EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, nullptr};
  ASSERT_TRUE(shell.kevent(inner, {&e, 1}, {}, 0s).has_value());
  e = {static_cast<uintptr_t>(inner), EVFILT_READ, EV_ADD, 0, 0, nullptr};
  ASSERT_TRUE(shell.kevent(outer, {&e, 1}, {}, 0s).has_value());
  ::pollfd p = {inner, POLLIN | POLLOUT, 0};
  EXPECT_EQ(shell.poll({&p, 1}, 0s).value(), 0u);
  // Two wait: one in poll on the queue, one in kevent on the queue that watches it.
  ::kevent got{};
  k.machine.go("poll", [&] { EXPECT_EQ(shell.poll({&p, 1}, std::nullopt).value(), 1u); });
  k.machine.go("kevent", [&] {
    EXPECT_EQ(shell.kevent(outer, {}, {&got, 1}, std::nullopt).value(), 1u);
  });
  k.machine.run();
  EXPECT_EQ(k.machine.unfinished(), 2u);
  ASSERT_TRUE(shell.write(fd, bytes("foo")).has_value());
  k.machine.run();
  EXPECT_EQ(k.machine.unfinished(), 0u);
  EXPECT_EQ(p.revents, POLLIN);
  EXPECT_EQ(got.ident, static_cast<uintptr_t>(inner));
  EXPECT_EQ(got.data, 1);
  // A timer in the queue ends a poll of it, and closing the queue takes its knote away.
  EXPECT_EQ(shell.kevent(inner, {}, {&e, 1}, 0s).value(), 1u);
  e = {1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 20, nullptr};
  ASSERT_TRUE(shell.kevent(inner, {&e, 1}, {}, 0s).has_value());
  const Instant before = k.loop.now();
  EXPECT_EQ(shell.poll({&p, 1}, 5s).value(), 1u);
  EXPECT_EQ(k.loop.now() - before, 20ms);
  ASSERT_TRUE(shell.close(inner).has_value());
  EXPECT_EQ(shell.kevent(outer, {}, {&got, 1}, 0s).value(), 0u);
}

TEST_F(Descriptors, new_one_has_the_lowest_number_that_is_free) {
  for (const int wanted : {3, 4, 5, 6}) EXPECT_EQ(shell.open("echo", O_RDONLY).value(), wanted);
  ASSERT_TRUE(shell.close(5).has_value());
  ASSERT_TRUE(shell.close(3).has_value());
  for (const int wanted : {3, 5, 7}) EXPECT_EQ(shell.kqueue().value(), wanted);
}

TEST_F(Descriptors, descriptor_closed_during_a_read_stays_good_for_it) {
  const int writer = shell.open("echo", O_WRONLY).value();
  const int fd = shell.open("echo", O_RDONLY).value();
  std::byte b[4];
  Sys<size_t> n;
  k.machine.go("read", [&] { n = shell.read(fd, b); });
  k.machine.run();
  ASSERT_TRUE(shell.close(fd).has_value());
  EXPECT_EQ(error_of(shell.read(fd, b)), EBADF);
  // More closes than are let pass before files that nobody uses are let go of.
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(shell.close(shell.open("echo", O_RDONLY).value()).has_value());
  }
  ASSERT_TRUE(shell.write(writer, bytes("foo")).has_value());
  k.machine.run();
  EXPECT_EQ(n.value(), 3u);
}

TEST_F(Descriptors, queue_that_is_closed_ends_the_calls_that_wait_in_it) {
  const int fd = shell.open("echo", O_RDWR).value(), kq = shell.kqueue().value();
  const ::kevent add = {static_cast<uintptr_t>(fd), EVFILT_READ, EV_ADD, 0, 0, nullptr};
  ::kevent got{};
  int code = 0;
  k.machine.go("kevent", [&] {
    code = error_of(shell.kevent(kq, {&add, 1}, {&got, 1}, std::nullopt));
  });
  k.machine.run();
  ASSERT_EQ(k.machine.unfinished(), 1u);
  ASSERT_TRUE(shell.close(kq).has_value());
  k.machine.run();
  EXPECT_EQ(k.machine.unfinished(), 0u);
  EXPECT_EQ(code, EBADF);
}

// FreeBSD's closefp(): else the one that closes takes the knotes of the one that has the number
// now.
TEST(DescriptorNumbers, are_not_used_again_before_their_knotes_are_gone) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    TestKernel k({.seed = seed, .switch_one_in = 2});
    k.load("echo");
    Process shell(k.kernel);
    const int fd = shell.open("echo", O_RDWR).value(), kq = shell.kqueue().value();
    ::kevent e = {static_cast<uintptr_t>(fd), EVFILT_READ, EV_ADD, 0, 0, nullptr};
    ASSERT_TRUE(shell.kevent(kq, {&e, 1}, {}, 0s).has_value());
    k.machine.go("close", [&] { EXPECT_TRUE(shell.close(fd).has_value()); });
    k.machine.go("open", [&] {
      const auto other = static_cast<uintptr_t>(shell.open("echo", O_RDWR).value());
      e = {other, EVFILT_WRITE, EV_ADD, 0, 0, nullptr};
      EXPECT_TRUE(shell.kevent(kq, {&e, 1}, {}, 0s).has_value());
    });
    k.machine.run();
    ASSERT_EQ(k.machine.unfinished(), 0u);
    e.flags = EV_DELETE;
    EXPECT_EQ(error_of(shell.kevent(kq, {&e, 1}, {}, 0s)), 0) << "seed " << seed;
  }
}

// Who cannot be tied to a device is told at once to look again, and counted.
TEST(Selects, tell_whoever_is_one_too_many_at_once) {
  struct Waiter final : Selector {
    void notify() override { ++notified; }
    uint64_t notified = 0;
  };
  TestKernel k;
  Selects& selects = k.kernel.selects();
  std::vector<::selinfo> devices(Selects::kMaxWaiters + 2);
  Waiter waiter;
  for (size_t i = 0; i < Selects::kMaxWaiters; ++i) selects.record(waiter, devices[i]);
  EXPECT_EQ(waiter.notified, 0u);
  selects.record(waiter, devices[Selects::kMaxWaiters]);
  selects.record(waiter, devices[Selects::kMaxWaiters + 1]);
  EXPECT_EQ(waiter.notified, 2u);
  EXPECT_EQ(selects.overflows(), 2u);
  selects.forget(waiter);
}

}  // namespace
}  // namespace wh::dev
