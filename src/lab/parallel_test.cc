#include "lab/parallel.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>

#include "host/child.h"

namespace wh::lab {
namespace {

// How many of ten pieces four threads do where a user has so many processes and threads at most.
int done_with(rlim_t most) {
  auto child = host::Child::run({.name = "worker"}, [most] {
    constexpr uid_t kNobodyElse = 64'321;  // Root's threads are not counted.
    const rlimit limit{most, most};
    if (::geteuid() == 0 && ::setuid(kNobodyElse) != 0) return -1;
    if (most != RLIM_INFINITY && ::setrlimit(RLIMIT_NPROC, &limit) != 0) return -1;
    std::atomic<int> done{0};
    run_parallel(
        10, 4, [&](size_t) { ++done; }, [] {});
    return done.load();
  });
  return child ? child->wait().code : -1;
}

TEST(RunParallel, does_all_with_the_threads_that_are_allowed) {
  EXPECT_EQ(done_with(RLIM_INFINITY), 10);
  EXPECT_EQ(done_with(2), 10);
  EXPECT_EQ(done_with(0), 10);
}

}  // namespace
}  // namespace wh::lab
