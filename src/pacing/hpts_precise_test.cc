// A precise wheel calls a client when it is due, wherever in a slot that lies.
#include <gtest/gtest.h>

#include "pacing/hpts.h"
#include "pacing/hpts_recorder.h"
#include "pacing/late_loop.h"

namespace wh::pacing {
namespace {

class PreciseHpts : public ::testing::Test {
 protected:
  PreciseHpts() { books.tunables.precise = 1; }
  LateLoop loop;
  HptsBooks books;
  Hpts hpts{loop, books};
  Recorder::Log log;
};

TEST_F(PreciseHpts, calls_to_the_nanosecond_whatever_the_phase_within_a_slot) {
  for (int phase = 0; phase < 30; ++phase) {
    loop.run_for(Duration(1us) * 7 + 333ns);
    for (const Duration delay :
         {1ns, 999ns, 9'999ns, 10'000ns, 10'001ns, 123'456ns, 1'024'000'001ns}) {
      Recorder a(loop);
      const Instant asked = loop.now();
      hpts.insert(a, delay);
      loop.run_for(delay - 1ns);
      ASSERT_EQ(a.calls, 0);
      loop.run_for(1ns);
      ASSERT_EQ(a.calls, 1);
      EXPECT_EQ(a.called_at - asked, delay);
    }
  }
}

// Each at its own time, in the order of these, though they share a slot; and removed or pushed on
// from it as from any.
TEST_F(PreciseHpts, calls_many_of_one_slot_each_at_its_time) {
  loop.run_for(100us);
  Recorder a(loop, "a", &log), b(loop, "b", &log), c(loop, "c", &log), d(loop, "d", &log);
  const Instant start = loop.now();
  hpts.insert(a, 9us);
  hpts.insert(b, 3us);
  hpts.insert(c, 3001ns);
  hpts.insert(d, 5us);
  loop.run_for(2us);
  hpts.rearm(d, 1us);                               // Sooner, with b,
  b.then = [&](Recorder&) { hpts.rearm(c, 2us); };  // which pushes c on, in the slot being served.
  loop.run_for(20us);
  EXPECT_EQ(log, (Recorder::Log{"b", "d", "c", "a"}));
  EXPECT_EQ(b.called_at - start, 3us);
  EXPECT_EQ(d.called_at - start, 3us);
  EXPECT_EQ(c.called_at - start, 5us);
  EXPECT_EQ(a.called_at - start, 9us);
  EXPECT_EQ(hpts.queued(), 0u);
}

}  // namespace
}  // namespace wh::pacing
