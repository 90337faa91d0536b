#include "host/entropy.h"

#include <gtest/gtest.h>

namespace wh::host {
namespace {

TEST(Entropy, is_never_twice_the_same) {
  const uint64_t first = entropy();
  EXPECT_NE(first, 0u);
  EXPECT_NE(first, entropy());
}

}  // namespace
}  // namespace wh::host
