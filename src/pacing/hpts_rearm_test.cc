// Another delay for a client that waits: when it is called then, and what that costs the wheel.
#include <gtest/gtest.h>

#include "pacing/hpts.h"
#include "pacing/hpts_recorder.h"
#include "pacing/late_loop.h"

namespace wh::pacing {
namespace {

class HptsRearmTest : public ::testing::Test {
 protected:
  LateLoop loop;
  HptsBooks books;
  Hpts hpts{loop, books};
};

TEST_F(HptsRearmTest, rearmed_client_is_called_once_at_its_last_deadline) {
  Recorder sooner(loop), later(loop), idle(loop);
  const Instant start = loop.now();
  hpts.insert(sooner, 10ms);
  hpts.insert(later, 1ms);
  loop.run_for(500us);
  hpts.rearm(sooner, 2ms);
  const uint32_t slot = later.hpts_slot();
  hpts.rearm(later, 3ms);
  EXPECT_EQ(later.hpts_slot(), slot);  // Left where it stood.
  hpts.rearm(later, 2500us);
  hpts.rearm(idle, 4ms);
  loop.run_for(50ms);
  EXPECT_EQ(sooner.calls, 1);
  EXPECT_EQ(sooner.called_at, start + 2500us);
  EXPECT_EQ(later.calls, 1);
  EXPECT_EQ(later.called_at, start + 3ms);
  EXPECT_EQ(later.delayed_by, 0us);
  EXPECT_EQ(idle.calls, 1);
  EXPECT_EQ(books.counters.moves, 1u);
  EXPECT_EQ(hpts.queued(), 0u);
}

TEST_F(HptsRearmTest, rearming_to_now_or_in_the_slot_being_served_is_an_insert) {
  Recorder a(loop), b(loop);
  hpts.insert(a, 1ms);
  hpts.rearm(a, 0us);
  loop.run_for(20us);
  EXPECT_EQ(a.calls, 1);
  const Instant start = loop.now();
  hpts.insert(a, 1ms);
  hpts.insert(b, 1ms);
  a.then = [&](Recorder&) { hpts.rearm(b, 5ms); };  // It stands behind `a` in the slot.
  loop.run_for(20ms);
  EXPECT_EQ(a.calls, 2);
  EXPECT_EQ(b.calls, 1);
  EXPECT_EQ(b.called_at - a.called_at, 5ms);
  EXPECT_GE(a.called_at, start + 1ms);
}

}  // namespace
}  // namespace wh::pacing
