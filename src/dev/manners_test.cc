// What drivers older than the articles' expect of a kernel.
#include <cerrno>

#include "dev/test_kernel.h"

namespace wh::dev {
namespace {

class Manners : public testing::Test {
 protected:
  void SetUp() override {
    k.load(WH_BUG_DIR "/manners.so");
    k.console.clear();
  }
  TestKernel k;
  Process shell{k.kernel};
  std::byte buffer_[64];
};

TEST_F(Manners, devices_made_the_older_ways_are_what_was_asked_for) {
  const auto old = k.kernel.devfs().find("old0"), by_p = k.kernel.devfs().find("by_p");
  ASSERT_NE(old, nullptr);
  ASSERT_NE(by_p, nullptr);
  EXPECT_EQ(old->si_drv0, 7);
  EXPECT_EQ(old->mode, 0600u);
  EXPECT_EQ(by_p->mode, 0666u);
  EXPECT_EQ(k.kernel.devfs().find("by_cred")->si_drv0, 3);
  ASSERT_TRUE(k.kernel.modules().unload("manners").has_value());
  EXPECT_EQ(k.kernel.reports().total(), 0u) << k.console;
}

TEST_F(Manners, aliases_are_links_to_their_device) {
  EXPECT_EQ(list_devices(k.kernel.devfs()),
            "lrwxr-xr-x 1 root wheel 0x2 by/old0 -> ../old0\n"
            "lrwxr-xr-x 1 root wheel 0x3 by/other -> ../by_p\n"
            "crw-r--r-- 1 root wheel 0x4 by_cred\n"
            "crw-rw-rw- 1 root operator 0x3 by_p\n"
            "crw------- 1 root wheel 0x2 old0\n");
}

// FreeBSD panics; here the loading ends.
TEST(MakeDev, of_a_name_that_is_taken_is_the_end_of_the_driver) {
  TestKernel k;
  ::cdevsw methods{};
  methods.d_version = D_VERSION;
  ::make_dev_args args{};
  args.mda_devsw = &methods;
  ::cdev* taken;
  ASSERT_EQ(k.kernel.devfs().make(args, "old0", &taken), 0);
  EXPECT_FALSE(k.kernel.modules().load(WH_BUG_DIR "/manners.so").has_value());
  EXPECT_NE(k.console.find("panic: make_dev: bad name old%d (error 17)"), std::string::npos)
      << k.console;
  k.kernel.devfs().destroy(*taken);
}

TEST_F(Manners, data_of_an_open_lives_until_its_close_method_has_run) {
  const int fd = shell.open("by_p", O_RDWR).value(), second = shell.open("by_p", O_RDWR).value();
  ASSERT_TRUE(shell.close(second).has_value());
  EXPECT_EQ(k.console, "dropped by_p\n");  // Not the last close, and D_TRACKCLOSE is not set.
  ASSERT_TRUE(shell.close(fd).has_value());
  EXPECT_EQ(k.console, "dropped by_p\nclosed by_p\ndropped by_p\n");
}

TEST_F(Manners, read_of_nothing_is_no_business_of_the_driver) {
  const int fd = shell.open("by_p", O_RDWR).value();
  EXPECT_EQ(shell.read(fd, {buffer_, 0}).value(), 0u);
  TestKernel bare;
  bare.load("echo_barebones");
  Process other(bare.kernel);
  const int device = other.open("echo", O_RDWR).value();
  EXPECT_EQ(other.read(device, {buffer_, 0}).value(), 0u);
  EXPECT_EQ(error_of(other.read(device, buffer_)), ENODEV);
}

TEST_F(Manners, restart_is_an_interruption_to_the_caller_and_hides_behind_bytes) {
  const int old = shell.open("old0", O_RDWR).value(), fd = shell.open("by_p", O_RDWR).value();
  EXPECT_EQ(error_of(shell.write(old, bytes("x"))), EINTR);
  EXPECT_EQ(shell.write(fd, bytes("abc")).value(), 3u);
  EXPECT_EQ(shell.write(fd, buffer_, 30).value(), 2u);  // Of 64: the rest is ERESTART's.
  EXPECT_EQ(shell.read(fd, buffer_, 0).value(), 32u);
  EXPECT_EQ(shell.read(fd, buffer_, 32).value(), 0u);
  EXPECT_EQ(k.kernel.reports().total(), 0u) << k.console;
}

TEST_F(Manners, condition_variables_wait_for_one_another_a_signal_or_the_time) {
  const int fd = shell.open("by_p", O_RDWR).value();
  const auto call = [&](unsigned number) { return error_of(shell.ioctl(fd, _IO('m', number), 0)); };
  const Instant before = k.loop.now();
  EXPECT_EQ(call(5), EWOULDBLOCK);
  EXPECT_GE(k.loop.now() - before, 5ms);
  int woken = -1, interrupted = -1;
  k.machine.go("wait", [&] { woken = call(3); });
  k.machine.run();
  EXPECT_EQ(woken, -1);
  EXPECT_EQ(call(4), 0);
  k.machine.run();
  EXPECT_EQ(woken, 0);
  ::thread* sleeper = nullptr;
  k.machine.go("wait", [&] {
    sleeper = &k.machine.current();
    interrupted = call(3);
  });
  k.machine.run();
  k.kernel.interrupt(*sleeper);
  k.machine.run();
  EXPECT_EQ(interrupted, EINTR);
  EXPECT_EQ(k.kernel.reports().total(), 0u) << k.console;
}

TEST_F(Manners, command_without_a_direction_shows_the_argument_itself) {
  const int fd = shell.open("by_p", O_RDWR).value();
  // The driver answers with what it saw.
  EXPECT_EQ(error_of(shell.ioctl(fd, _IO('m', 1), reinterpret_cast<void*>(uintptr_t{EXDEV}))),
            EXDEV);
  EXPECT_EQ(error_of(shell.ioctl(fd, _IOC(_IOC_NONE, 'm', 2, sizeof(int)),
                                 reinterpret_cast<void*>(uintptr_t{EDOM}))),
            EDOM);
  EXPECT_EQ(error_of(shell.ioctl(fd, _IOC(_IOC_NONE, 'm', 2, 8), nullptr)), ENOTTY);
  EXPECT_EQ(error_of(shell.ioctl(fd, _IO('m', 9), nullptr)), ENOTTY);
}

}  // namespace
}  // namespace wh::dev
