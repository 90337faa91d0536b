#include "core/steps.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace wh {
namespace {

Steps count(int n, std::vector<int>& seen) {
  for (int i = 0; i < n; ++i) {
    seen.push_back(i);
    co_yield Pause{};
  }
}

Steps count_twice(int n, std::vector<int>& seen) {
  for (int round = 0; round < 2; ++round) {
    WH_DO(count(n, seen));
  }
}

TEST(Steps, stops_at_each_pause_and_says_when_all_is_done) {
  std::vector<int> seen;
  Steps steps = count(2, seen);
  EXPECT_TRUE(seen.empty()) << "nothing is done unasked";
  EXPECT_TRUE(steps.next());
  EXPECT_TRUE(steps.next());
  EXPECT_EQ(seen, (std::vector<int>{0, 1}));
  EXPECT_FALSE(steps.next());
}

TEST(Steps, one_goes_on_inside_another) {
  std::vector<int> seen;
  Steps steps = count_twice(2, seen);
  int pauses = 0;
  while (steps.next()) ++pauses;
  EXPECT_EQ(pauses, 4);
  EXPECT_EQ(seen, (std::vector<int>{0, 1, 0, 1}));
}

TEST(Steps, finish_does_the_rest) {
  std::vector<int> seen;
  Steps steps = count_twice(3, seen);
  EXPECT_TRUE(steps.next());
  steps.finish();
  steps.finish();
  EXPECT_EQ(seen.size(), 6u);
}

TEST(Steps, what_goes_half_way_leaves_nothing_behind) {
  const auto kept = std::make_shared<int>(0);
  const auto hold = [](std::shared_ptr<int> held) -> Steps {
    const auto local = held;
    co_yield Pause{};
  };
  {
    Steps steps = hold(kept);
    EXPECT_TRUE(steps.next());
    EXPECT_GT(kept.use_count(), 2);
  }
  EXPECT_EQ(kept.use_count(), 1);
}

}  // namespace
}  // namespace wh
