// A precise wheel calls a client when it is due, wherever in a slot that lies.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

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

// However many share a slot: it is spread once, not searched at each of their times.
TEST_F(PreciseHpts, moves_each_of_a_crowded_slot_once) {
  constexpr size_t kCrowd = 2'000;
  std::vector<std::unique_ptr<Recorder>> crowd;
  const Instant start = loop.now();
  for (size_t i = 0; i < kCrowd; ++i) {
    crowd.push_back(std::make_unique<Recorder>(loop, std::to_string(i), &log));
    hpts.insert(*crowd.back(), 50us + Duration((i * 7919 % kCrowd) / 2 * 3));
  }
  loop.run_for(100us);
  for (size_t i = 0; i < kCrowd; ++i) {
    ASSERT_EQ(crowd[i]->calls, 1);
    EXPECT_EQ(crowd[i]->called_at - start, 50us + Duration((i * 7919 % kCrowd) / 2 * 3));
  }
  EXPECT_LE(books.counters.moves, kCrowd);
  EXPECT_EQ(hpts.queued(), 0u);
}

// What stands in a near list is rearmed, removed and forgotten as any; and a run that comes late
// serves it before what its calls ask for.
TEST_F(PreciseHpts, serves_the_rest_of_a_spread_slot_as_it_then_stands) {
  loop.run_for(100us);
  Recorder a(loop, "a", &log), b(loop, "b", &log), c(loop, "c", &log), d(loop, "d", &log),
      e(loop, "e", &log);
  const Instant start = loop.now();
  hpts.insert(a, 1us);
  hpts.insert(b, 2us);
  hpts.insert(c, 3us);
  hpts.insert(d, 4us);
  {
    Recorder gone(loop, "gone", &log);
    hpts.insert(gone, 5us);
    hpts.insert(e, 6us);
    a.then = [&](Recorder&) { hpts.insert(a, 1500ns); };  // Within the slot being served.
    loop.run_for(1us);
    EXPECT_EQ(log, (Recorder::Log{"a"}));
    hpts.rearm(b, 4us);   // Later in its tick,
    hpts.rearm(c, 1us);   // sooner,
    hpts.rearm(d, 20us);  // in another.
  }
  Hpts::remove(e);
  hpts.insert(e, 1us);
  a.then = nullptr;
  loop.run_for(2us);
  EXPECT_EQ(log, (Recorder::Log{"a", "c", "e", "a"}));
  EXPECT_EQ(a.called_at - start, 2500ns);
  e.then = [&](Recorder&) { hpts.insert(e, 1us); };
  hpts.insert(e, 1us);
  loop.stall(10us);  // Their times pass, and their slot's end.
  EXPECT_EQ(log, (Recorder::Log{"a", "c", "e", "a", "b", "e"}));
  EXPECT_EQ(b.called_at - start, 13us);
  loop.run_for(20us);
  EXPECT_EQ(d.called_at - start, 21us);
  EXPECT_EQ(hpts.queued(), 1u);
}

}  // namespace
}  // namespace wh::pacing
