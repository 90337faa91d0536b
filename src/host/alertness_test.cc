#include "host/alertness.h"

#include <gtest/gtest.h>

namespace wh::host {
namespace {

class AlertnessTest : public testing::Test {
 protected:
  // A frame that comes so long after the loop had nothing to do. Whether it then polls.
  bool frame(Alertness::Habit& of, Duration after, bool is_lone = true) {
    now_ += after;
    alertness_.arrived(of, is_lone, now_);
    now_ += 10us;  // Handled.
    return alertness_.rest(now_) > now_;
  }
  Instant now_{1s};
  Alertness alertness_;
  Alertness::Habit left_ = 0, right_ = 0;
};

TEST_F(AlertnessTest, polls_after_what_is_soon_followed_and_after_nothing_else) {
  for (int round = 0; round < 8; ++round) {
    frame(left_, 10ms);
    frame(right_, 20us);
  }
  EXPECT_TRUE(frame(left_, 10ms));    // The answer will come.
  EXPECT_FALSE(frame(right_, 20us));  // And then nothing for a while.
}

TEST_F(AlertnessTest, both_ways_of_a_lively_talk) {
  for (int round = 0; round < 8; ++round) {
    frame(left_, 30us);
    frame(right_, 30us);
  }
  EXPECT_TRUE(frame(left_, 30us));
  EXPECT_TRUE(frame(right_, 30us));
  EXPECT_EQ(alertness_.rest(now_), now_ + Alertness::kWatch);
}

TEST_F(AlertnessTest, unlearns_when_nothing_follows) {
  for (int round = 0; round < 8; ++round) frame(left_, 10us);
  int polls = 0;
  for (int round = 0; round < 100; ++round) polls += frame(left_, 60us) ? 1 : 0;
  EXPECT_EQ(polls, 2);
}

TEST_F(AlertnessTest, sleeps_in_what_comes_in_bulk) {
  for (int round = 0; round < 8; ++round) frame(left_, 10us);
  EXPECT_FALSE(frame(left_, 10us, false));
  for (int round = 0; round < 8; ++round) {
    frame(left_, 10us, false);
    EXPECT_FALSE(frame(right_, 10us));  // Its acknowledgments.
  }
}

TEST_F(AlertnessTest, watch_counts_from_when_there_was_nothing_to_do) {
  for (int round = 0; round < 8; ++round) frame(left_, 10us);
  const Instant until = alertness_.rest(now_);
  EXPECT_EQ(until, now_ + Alertness::kWatch);
  EXPECT_EQ(alertness_.rest(now_ + 30us), until);  // After a timer in between.
  alertness_.forget(left_);
  EXPECT_LE(alertness_.rest(now_ + 30us), now_ + 30us);
}

}  // namespace
}  // namespace wh::host
