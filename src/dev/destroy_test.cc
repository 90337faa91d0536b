// A device on its way out: who is inside stays until done, nobody gets in, and what was scheduled
// happens before the driver's code goes.
#include <cerrno>

#include "dev/test_kernel.h"

namespace wh::dev {
namespace {

TEST(DestroyDev, scheduled_from_inside_waits_for_the_method_and_tells_the_driver) {
  TestKernel k;
  k.load(WH_BUG_DIR "/fleeting.so");
  Process shell(k.kernel);
  const int fd = shell.open("fleeting", O_WRONLY).value();
  Sys<size_t> wrote;
  k.machine.go("write", [&] { wrote = shell.write(fd, bytes("x")); });
  k.machine.run();
  // It sleeps inside; the device has no name any more and lets nobody in, but is not gone yet.
  EXPECT_EQ(k.kernel.devfs().find("fleeting"), nullptr);
  EXPECT_EQ(error_of(shell.write(fd, bytes("y"))), ENXIO);
  EXPECT_EQ(k.console, "");
  k.machine.run_for(10ms);
  EXPECT_EQ(wrote.value(), 1u);
  EXPECT_EQ(k.console, "gone with 0 inside\n");
  ASSERT_TRUE(k.kernel.modules().unload("fleeting").has_value());
  EXPECT_EQ(k.kernel.reports().total(), 0u) << k.console;
}

TEST(DestroyDev, kldunload_waits_for_what_was_scheduled) {
  TestKernel k;
  k.load(WH_BUG_DIR "/fleeting.so");
  Process shell(k.kernel);
  const int fd = shell.open("fleeting", O_WRONLY).value();
  k.machine.go("write", [&] { EXPECT_TRUE(shell.write(fd, bytes("x")).has_value()); });
  k.machine.run();
  ASSERT_TRUE(k.kernel.modules().unload("fleeting").has_value());
  EXPECT_EQ(k.console, "gone with 0 inside\n");
  EXPECT_EQ(k.machine.unfinished(), 0u);
  EXPECT_EQ(k.kernel.reports().total(), 0u) << k.console;
}

TEST(DestroyDev, refuses_whoever_comes_and_waits_for_whoever_is_in) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(fmt::format("replay: seed {}", seed));
    TestKernel k({.seed = seed, .switch_one_in = 2});
    k.load("echo");
    Process shell(k.kernel);
    const int fd = shell.open("echo", O_RDWR).value();
    bool is_destroyed = false;
    int inside = 0;
    const auto device = k.kernel.devfs().find("echo");
    const auto method = [&](::thread& td) {
      return device->call(td, "test", [&] {
        ++inside;
        EXPECT_FALSE(is_destroyed);
        k.machine.point();
        EXPECT_FALSE(is_destroyed);
        --inside;
        return 0;
      });
    };
    for (int i = 0; i < 4; ++i) {
      k.machine.go("caller", [&] {
        while (method(k.machine.current()) == 0) k.machine.point();
      });
    }
    k.machine.go("destroyer", [&] {
      EXPECT_TRUE(k.kernel.modules().unload("echo").has_value());
      is_destroyed = true;
      EXPECT_EQ(inside, 0);
    });
    k.machine.run();
    EXPECT_EQ(k.machine.unfinished(), 0u);
    static_cast<void>(shell.close(fd));
    if (testing::Test::HasFailure()) break;
  }
}

// Closing a queue calls the filter that detaches its knote: the driver's code, outside of any
// device.
TEST(DestroyDev, kldunload_waits_for_a_queue_that_is_closed) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(fmt::format("replay: seed {}", seed));
    // Seldom: the unloading must come to its end while the queue is at one step.
    TestKernel k({.seed = seed, .switch_one_in = static_cast<uint32_t>(3 + seed % 30)});
    k.load(WH_BUG_DIR "/mailbox.so");
    Process shell(k.kernel);
    const int fd = shell.open("mailbox/0", O_RDWR).value(), kq = shell.kqueue().value();
    const ::kevent add = {static_cast<uintptr_t>(fd), EVFILT_READ, EV_ADD, 0, 0, nullptr};
    ASSERT_TRUE(shell.kevent(kq, {&add, 1}, {}, 0s).has_value());
    k.machine.go("close", [&] { EXPECT_TRUE(shell.close(kq).has_value()); });
    k.machine.go("kldunload",
                 [&] { EXPECT_TRUE(k.kernel.modules().unload("mailbox").has_value()); });
    k.machine.run();
    EXPECT_EQ(k.machine.unfinished(), 0u);
    EXPECT_EQ(k.kernel.reports().total(), 0u) << k.console;
    static_cast<void>(shell.close(fd));
    if (testing::Test::HasFailure()) break;
  }
}

// An alias goes with its device, and what is made at its name afterwards is not its own any more.
TEST(DestroyDev, takes_the_aliases_along_and_nothing_else) {
  TestKernel k;
  Devfs& devfs = k.kernel.devfs();
  ::cdevsw methods{};
  methods.d_version = D_VERSION;
  ::make_dev_args args{};
  args.mda_devsw = &methods;
  ::cdev *disk, *alias, *second, *unknown, *other;
  ASSERT_EQ(devfs.make(args, "disk", &disk), 0);
  ASSERT_EQ(devfs.make_alias(*disk, "by/name", &alias), 0);
  ASSERT_EQ(devfs.make_alias(*alias, "by/number", &second), 0);
  EXPECT_STREQ(alias->si_name, "by/name");
  EXPECT_EQ(devfs.find("by/number").get(), disk);
  EXPECT_EQ(devfs.make_alias(*disk, "by", &unknown), EEXIST);
  devfs.destroy(*second);
  EXPECT_EQ(devfs.list("by"), std::vector<std::string>{"name"});
  devfs.destroy(*disk);
  EXPECT_EQ(devfs.list(""), std::vector<std::string>{});
  EXPECT_EQ(k.kernel.reports().total(), 0u) << k.console;

  ASSERT_EQ(devfs.make(args, "by/name", &other), 0);
  devfs.destroy(*alias);
  EXPECT_NE(devfs.find("by/name"), nullptr);
  EXPECT_EQ(k.kernel.reports().total(), 1u) << k.console;
  devfs.destroy(*other);
  EXPECT_EQ(devfs.list(""), std::vector<std::string>{});
}

}  // namespace
}  // namespace wh::dev
