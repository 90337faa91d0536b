// Fixed pacing with a rate for each state: slow start, congestion avoidance, recovery.
#include <gtest/gtest.h>

#include "tcp/socket_option.h"
#include "tcp/test_world.h"

namespace wh::tcp {
namespace {

void set_rate(Connection& c, int option, uint64_t bytes_per_second) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(&bytes_per_second);
  MUST(c.set_option(option, {bytes, sizeof bytes_per_second}));
}

// Wire bytes in a second of the world's time.
double rate_over(TestWorld& w, Duration time) {
  const uint64_t before = w.up.bytes;
  w.run(time);
  return static_cast<double>(w.up.bytes - before) / to_seconds(time);
}

TEST(FixedPace, first_rate_is_that_of_all_states_whichever_it_is_of) {
  for (const int option : {TCP_RACK_PACE_RATE_CA, TCP_RACK_PACE_RATE_SS, TCP_RACK_PACE_RATE_REC}) {
    TestWorld w;
    w.establish();
    set_rate(*w.a, option, 125'000);
    EXPECT_EQ(w.a->pacer().rate(), 1_Mbps);
    for (const auto phase :
         {pacing::Phase::SlowStart, pacing::Phase::Avoidance, pacing::Phase::Recovery}) {
      EXPECT_EQ(w.a->fixed_pace(phase), 1_Mbps);
    }
  }
}

TEST(FixedPace, later_rates_are_of_their_state_alone) {
  TestWorld w;
  w.establish();
  set_rate(*w.a, TCP_RACK_PACE_RATE_CA, 125'000);
  set_rate(*w.a, TCP_RACK_PACE_RATE_SS, 1'250'000);
  set_rate(*w.a, TCP_RACK_PACE_RATE_REC, 50'000);
  EXPECT_EQ(w.a->fixed_pace(pacing::Phase::Avoidance).bytes_per_second(), 125'000u);
  EXPECT_EQ(w.a->fixed_pace(pacing::Phase::SlowStart).bytes_per_second(), 1'250'000u);
  EXPECT_EQ(w.a->fixed_pace(pacing::Phase::Recovery).bytes_per_second(), 50'000u);
  EXPECT_EQ(w.a->pacer().rate(), 10_Mbps) << "a new connection is in slow start";
  w.a->set_pace_rate(2_Mbps);
  for (const auto phase :
       {pacing::Phase::SlowStart, pacing::Phase::Avoidance, pacing::Phase::Recovery}) {
    EXPECT_EQ(w.a->fixed_pace(phase), 2_Mbps);
  }
}

TEST(FixedPace, sends_at_the_rate_of_the_state_it_is_in) {
  TestWorld w;
  TestApp one, two;
  w.establish();
  w.a->set_pace_rate(pacing::Phase::Avoidance, 1_Mbps);
  w.a->set_pace_rate(pacing::Phase::SlowStart, 10_Mbps);
  w.a->set_pace_rate(pacing::Phase::Recovery, Rate::bits_per_second(400'000));
  one.attach(*w.a, 1'000'000'000, false);
  two.attach(*w.b, 0, false);
  w.run(100ms);
  EXPECT_NEAR(rate_over(w, 400ms), 1'250'000, 10'000);
  const uint64_t lost = w.up.packets;
  w.up.script = [lost](uint64_t n, const net::TcpView&) {
    return n == lost ? Fate::Drop : Fate::Deliver;
  };
  while (w.a->info().recovery != Recovery::Recovery) w.run(1ms);
  const Instant began = w.loop.now();
  const uint64_t before = w.up.bytes;
  while (w.a->info().recovery == Recovery::Recovery) {
    EXPECT_EQ(w.a->info().pace.bps(), 400'000u);
    w.run(1ms);
  }
  // Two segments each 60.56 ms.
  EXPECT_LE(w.up.bytes - before, 3028u * (2 + (w.loop.now() - began) / 60ms));
  w.run(100ms);
  EXPECT_NEAR(rate_over(w, 4s), 125'000, 1'000);
}

TEST(FixedPace, follows_slow_starts_rate_after_a_timeout) {
  TestWorld w;
  TestApp one, two;
  w.establish();
  w.a->set_pace_rate(pacing::Phase::Avoidance, 1_Mbps);
  w.a->set_pace_rate(pacing::Phase::SlowStart, 2_Mbps);
  w.a->set_pace_rate(pacing::Phase::Recovery, 3_Mbps);
  one.attach(*w.a, 1'000'000'000, false);
  two.attach(*w.b, 0, false);
  w.run(1s);
  w.up.script = [](uint64_t, const net::TcpView&) { return Fate::Drop; };
  while (w.a->info().recovery != Recovery::Loss) w.run(1ms);
  EXPECT_EQ(w.a->info().pace, 2_Mbps);
}

}  // namespace
}  // namespace wh::tcp
