// The drivers on the host's own threads.
#include "dev/fuse/stress.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include <thread>

#include "dev/fuse/shared_object_loader.h"
#include "dev/fuse/thread_machine.h"
#include "dev/kernel.h"
#include "dev/process.h"

namespace wh::dev {
namespace {

TEST(Threads, use_and_unload_drivers_without_a_misdeed) {
  SharedObjectLoader drivers({WH_DRIVER_DIR});
  for (const char* driver : {"echo", "template", "md"}) {
    const StressResult result = stress(drivers, {.driver = driver, .threads = 6, .time = 400ms});
    EXPECT_TRUE(result.findings.empty()) << driver << ":\n"
                                         << fmt::format("{}", fmt::join(result.findings, "\n"));
    ASSERT_TRUE(result.is_finished);
    EXPECT_GT(result.calls, 0u);
  }
}

// A slice of bench/compare_dev's 10^7.
TEST(Threads, sixty_four_lose_no_wakeup) {
  ThreadMachine machine;
  SharedObjectLoader drivers({WH_DRIVER_DIR});
  Kernel kernel(machine, drivers, {});
  ASSERT_TRUE(kernel.modules().load("echo").has_value());
  {
    Process process(kernel);
    ASSERT_TRUE(process.open("echo", O_RDWR).has_value());  // A writer to the end: no EOF.
    constexpr int kEach = 500;
    std::atomic<int> moved{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 64; ++i) {
      threads.emplace_back([&, writes = i % 2 == 0] {
        const int fd = process.open("echo", O_RDWR).value();
        std::byte b[1] = {};
        for (int k = 0; k < kEach; ++k) {
          moved +=
              static_cast<int>((writes ? process.write(fd, b) : process.read(fd, b)).value_or(0));
        }
        static_cast<void>(process.close(fd));
      });
    }
    for (std::thread& t : threads) t.join();  // A lost wake-up hangs here.
    EXPECT_EQ(moved, 64 * kEach);
  }
  ASSERT_TRUE(kernel.modules().unload("echo").has_value());
  EXPECT_EQ(kernel.reports().total(), 0u);
}

// What was there when a read began is there when it ends, whoever closes the file meanwhile.
TEST(Threads, keep_open_what_they_read_and_one_of_them_closes) {
  ThreadMachine machine;
  SharedObjectLoader drivers({WH_BUG_DIR});
  Kernel kernel(machine, drivers, {});
  ASSERT_TRUE(kernel.modules().load("clumsy").has_value());
  {
    Process process(kernel);
    const int fd = process.open("clumsy", O_RDWR).value();
    int read_sleeps = 12;  // READ_SLEEPS
    ASSERT_TRUE(process.ioctl(fd, _IOW('c', 1, int), &read_sleeps).has_value());
    std::atomic<bool> ends{false};
    std::atomic<int> good{0}, wrong{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        std::byte b[1] = {};
        while (!ends) {
          const auto n = process.read(fd, b);
          if (n.has_value()) ++good;
          if (!n && n.error() != std::errc::bad_file_descriptor) ++wrong;
        }
      });
    }
    for (int i = 0; i < 200; ++i) {
      std::this_thread::sleep_for(2ms);
      EXPECT_TRUE(process.close(fd).has_value());
      EXPECT_EQ(process.open("clumsy", O_RDWR).value(), fd);
    }
    ends = true;
    for (std::thread& t : threads) t.join();
    EXPECT_GT(good, 0);
    EXPECT_EQ(wrong, 0);
  }
  ASSERT_TRUE(kernel.modules().unload("clumsy").has_value());
  EXPECT_EQ(kernel.reports().total(), 0u);
}

}  // namespace
}  // namespace wh::dev
