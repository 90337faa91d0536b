#include "host/descriptor_limit.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

namespace wh::host {
namespace {

TEST(DescriptorLimit, goes_as_high_as_it_may) {
  rlimit usual, found;
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &usual), 0);
  const rlimit low{64, usual.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
  allow_all_descriptors();
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &found), 0);
  EXPECT_EQ(found.rlim_cur, usual.rlim_max);
  EXPECT_EQ(found.rlim_max, usual.rlim_max);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &usual), 0);
}

}  // namespace
}  // namespace wh::host
