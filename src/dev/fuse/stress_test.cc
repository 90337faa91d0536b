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

}  // namespace
}  // namespace wh::dev
