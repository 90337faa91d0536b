// FreeBSD's options of the RACK stack on one connection: what is set is what is told and what is
// done. What they do to the segments is in tests/transcripts/rack_options.
#include "tcp/socket_option.h"

#include <gtest/gtest.h>

#include "tcp/one_flow.h"

namespace wh::tcp {
namespace {

struct Wanted {
  int option;
  int value;
};

TEST(RackOption, tells_what_it_was_set_to) {
  TestWorld world;
  world.establish();
  Connection& c = *world.a;
  ASSERT_TRUE(setsockopt(c, TCP_RACK_PROFILE, 6));
  for (const auto& [option, value] : {Wanted{TCP_RACK_PACE_MAX_SEG, 20},
                                      {TCP_RACK_PACE_MIN_SEG, 4},
                                      {TCP_RACK_PACING_DIVISOR, 500},
                                      {TCP_RACK_FORCE_MSEG, 1},
                                      {TCP_RACK_GP_INCREASE_SS, 180},
                                      {TCP_RACK_GP_INCREASE_CA, 110},
                                      {TCP_RACK_GP_INCREASE_REC, 80},
                                      {TCP_TIMELY_DYN_ADJ, 0},
                                      {TCP_REC_IS_DYN, 1},
                                      {TCP_RACK_NO_PUSH_AT_MAX, 1},
                                      {TCP_DGP_UPPER_BOUNDS, 200 << 16 | 150},
                                      {TCP_RACK_MEASURE_CNT, 3},
                                      {TCP_RACK_DGP_IN_REC, 1},
                                      {TCP_HONOR_HPTS_MIN, 20},
                                      {TCP_GP_USE_LTBW, 1},
                                      {TCP_SS_EEXIT, 0},
                                      {TCP_RACK_PACE_TO_FILL, 0},
                                      {TCP_RACK_MIN_TO, 20},
                                      {TCP_RACK_REORD_THRESH, 3},
                                      {TCP_RACK_REORD_FADE, 0},
                                      {TCP_RACK_TLP_THRESH, 4},
                                      {TCP_RACK_PKT_DELAY, 0},
                                      {TCP_BBR_RACK_INIT_RATE, 8000},
                                      {TCP_NO_PRR, 1},
                                      {TCP_RACK_ABC_VAL, 8},
                                      {TCP_RACK_TIMER_SLOP, 1500},
                                      {TCP_RACK_DSACK_OPT, 1},
                                      {TCP_RACK_ENABLE_HYSTART, 1},
                                      {TCP_RACK_HI_BETA, 75}}) {
    EXPECT_NE(getsockopt(c, option), static_cast<uint64_t>(value)) << option;
    ASSERT_TRUE(setsockopt(c, option, value)) << option;
    EXPECT_EQ(getsockopt(c, option), static_cast<uint64_t>(value)) << option;
  }
  EXPECT_EQ(getsockopt(c, TCP_NO_TIMELY), 1u);  // The other name of the same.
  EXPECT_EQ(getsockopt(c, TCP_RACK_PROFILE), 6u);
  EXPECT_EQ(getsockopt(c, TCP_RACK_PACE_ALWAYS), 1u);
  ASSERT_TRUE(setsockopt(c, TCP_FILLCW_RATE_CAP, uint64_t{1} << 33));
  EXPECT_EQ(getsockopt(c, TCP_FILLCW_RATE_CAP), uint64_t{1} << 33);
  ASSERT_TRUE(setsockopt(c, TCP_PACING_RATE_CAP, uint64_t{125'000}));
  EXPECT_EQ(getsockopt(c, TCP_PACING_RATE_CAP), 125'000u);
}

TEST(RackOption, tells_what_the_stack_has_until_it_is_set) {
  TestWorld world;
  world.establish();
  Tunables& t = world.client.tcp.tunables();
  t.pktdelay_us = 5000;
  t.timers_slop_ms = 70;
  t.gp_per_ss = 170;
  t.req_measure_cnt = 2;
  const Connection& c = *world.a;
  EXPECT_EQ(getsockopt(c, TCP_RACK_PKT_DELAY), 5u);
  EXPECT_EQ(getsockopt(c, TCP_RACK_TIMER_SLOP), 70'000u);
  EXPECT_EQ(getsockopt(c, TCP_RACK_GP_INCREASE_SS), 170u);
  EXPECT_EQ(getsockopt(c, TCP_RACK_MEASURE_CNT), 2u);
  EXPECT_EQ(getsockopt(c, TCP_RACK_PROFILE), 0u);
  EXPECT_EQ(getsockopt(c, TCP_FILLCW_RATE_CAP), 3'750'000u);
  for (int option = 1000; option < 1200; ++option) {
    if (!is_pacing_option(option)) {
      uint8_t nowhere[8];
      EXPECT_FALSE(c.get_option(option, nowhere)) << option;
      continue;
    }
    // The multiplier and the profile's own come with the profile.
    EXPECT_EQ(getsockopt(c, option), usual_option(option, t)) << option;
  }
}

TEST(RackOption, gives_no_more_than_there_is_room_for) {
  TestWorld world;
  world.establish();
  uint8_t small[2] = {};
  EXPECT_EQ(MUST(world.a->get_option(TCP_RACK_PACE_MAX_SEG, small)), 2u);
  EXPECT_EQ(small[0], 40);
  uint8_t large[16];
  EXPECT_EQ(MUST(world.a->get_option(TCP_RACK_PACE_MAX_SEG, large)), 4u);
  EXPECT_EQ(MUST(world.a->get_option(TCP_FILLCW_RATE_CAP, large)), 8u);
}

TEST(RackOption, is_of_one_connection) {
  TestWorld world;
  world.establish();
  Connection& other = *MUST(world.client.tcp.connect(world.server_endpoint(), {}));
  ASSERT_TRUE(setsockopt(*world.a, TCP_RACK_MIN_TO, 20));
  EXPECT_EQ(getsockopt(other, TCP_RACK_MIN_TO), 1u);
  EXPECT_EQ(world.client.tcp.tunables().timers_minto_ms, 1);
  EXPECT_FALSE(setsockopt(*world.a, TCP_RACK_MIN_TO, 0));
  EXPECT_FALSE(setsockopt(*world.a, TCP_RACK_HI_BETA, 49));
  EXPECT_FALSE(setsockopt(*world.a, TCP_RACK_ENABLE_HYSTART, 2));
  other.abort();
}

TEST(PaceAlways, paces_at_twice_the_estimated_goodput) {
  OneFlow flow(20_Mbps, 100ms, "newreno",
               [](Connection& c) { MUST(setsockopt(c, TCP_RACK_PACE_ALWAYS, 1)); });
  flow.mbps(3s);
  const pacing::PaceParts parts = flow.sender->pace_parts();
  EXPECT_EQ(parts.by, pacing::PaceBy::Bandwidth);
  EXPECT_TRUE(parts.fill_cwnd.is_zero());
  EXPECT_TRUE(parts.multiplier == 200 || parts.multiplier == 250) << parts.multiplier;
  const double bandwidth =
      static_cast<double>(std::max(parts.goodput, parts.long_term).bps()) * 1514 / 1448;
  EXPECT_NEAR(static_cast<double>(parts.pace.bps()), bandwidth * parts.multiplier / 100,
              0.001 * bandwidth);
  EXPECT_GT(flow.mbps(3s), 0.9 * 20 * 1448 / 1514);
  ASSERT_TRUE(setsockopt(*flow.sender, TCP_RACK_PACE_TO_FILL, 1));
  EXPECT_FALSE(flow.sender->pace_parts().fill_cwnd.is_zero());
  ASSERT_TRUE(setsockopt(*flow.sender, TCP_RACK_PACE_ALWAYS, 0));
  EXPECT_FALSE(flow.sender->pacer().is_on());
}

TEST(PaceAlways, leaves_the_choice_to_what_is_set) {
  TestWorld world;
  world.establish();
  Connection& c = *world.a;
  ASSERT_TRUE(setsockopt(c, TCP_RACK_PACE_ALWAYS, 1));
  EXPECT_EQ(getsockopt(c, TCP_RACK_GP_INCREASE_CA), 200u);
  EXPECT_EQ(getsockopt(c, TCP_RACK_PROFILE), 0u);
  ASSERT_TRUE(setsockopt(c, TCP_RACK_PROFILE, 1));
  EXPECT_EQ(getsockopt(c, TCP_RACK_GP_INCREASE_CA), 100u);
  EXPECT_EQ(getsockopt(c, TCP_RACK_PROFILE), 1u);
  ASSERT_TRUE(setsockopt(c, TCP_RACK_PACE_ALWAYS, 1));
  EXPECT_EQ(getsockopt(c, TCP_RACK_PROFILE), 1u);
  ASSERT_TRUE(setsockopt(c, TCP_RACK_PACE_RATE_CA, uint64_t{1'500'000}));
  ASSERT_TRUE(setsockopt(c, TCP_RACK_PACE_ALWAYS, 1));
  EXPECT_EQ(c.pacer().rate(), 12_Mbps);
  EXPECT_EQ(getsockopt(c, TCP_RACK_PACE_RATE_CA), 1'500'000u);
}

TEST(InitRate, paces_before_anything_is_measured) {
  TestWorld world;
  world.establish();
  Connection& c = *world.a;
  ASSERT_TRUE(setsockopt(c, TCP_BBR_RACK_INIT_RATE, 8000));
  ASSERT_TRUE(setsockopt(c, TCP_RACK_PROFILE, 1));
  MUST(c.send(std::vector<uint8_t>(14'480)));
  const pacing::PaceParts parts = c.pace_parts();
  EXPECT_EQ(parts.by, pacing::PaceBy::Bandwidth);
  EXPECT_NEAR(static_cast<double>(parts.pace.bps()), 2.5 * 8e6 * 1514 / 1448, 1000);
  EXPECT_LT(c.info().outstanding, Bytes(14'480));  // A burst, and the rest is to come.
  world.run(10ms);
  EXPECT_EQ(c.info().outstanding + c.info().acknowledged, Bytes(14'480));
}

TEST(FixedPace, is_told_for_each_state) {
  TestWorld world;
  world.establish();
  Connection& c = *world.a;
  EXPECT_EQ(getsockopt(c, TCP_RACK_PACE_RATE_SS), 0u);
  ASSERT_TRUE(setsockopt(c, TCP_RACK_PACE_RATE_CA, uint64_t{125'000}));
  EXPECT_EQ(getsockopt(c, TCP_RACK_PACE_RATE_SS), 125'000u);
  ASSERT_TRUE(setsockopt(c, TCP_RACK_PACE_RATE_SS, uint64_t{1'250'000}));
  ASSERT_TRUE(setsockopt(c, TCP_RACK_PACE_RATE_REC, uint64_t{50'000}));
  EXPECT_EQ(getsockopt(c, TCP_RACK_PACE_RATE_CA), 125'000u);
  EXPECT_EQ(getsockopt(c, TCP_RACK_PACE_RATE_SS), 1'250'000u);
  EXPECT_EQ(getsockopt(c, TCP_RACK_PACE_RATE_REC), 50'000u);
}

// FreeBSD's rates are ints; a uint64_t reaches further.
TEST(FixedPace, takes_an_int_as_well) {
  TestWorld world;
  world.establish();
  Connection& c = *world.a;
  ASSERT_TRUE(setsockopt(c, TCP_RACK_PACE_RATE_SS, 1'500'000));
  EXPECT_EQ(c.pacer().rate(), 12_Mbps);
  EXPECT_FALSE(setsockopt(c, TCP_RACK_PACE_RATE_CA, 999));
  EXPECT_FALSE(setsockopt(c, TCP_FILLCW_RATE_CAP, 6'250'000));
  EXPECT_FALSE(setsockopt(c, TCP_RACK_PACE_RATE_CA, uint16_t{50'000}));
}

// A profile that pushes for the whole window again is another thing than one that does not.
TEST(PaceToFill, is_one_of_two_voices_under_a_profile) {
  TestWorld world;
  world.establish();
  Connection& c = *world.a;
  ASSERT_TRUE(setsockopt(c, TCP_RACK_PROFILE, 1));
  EXPECT_EQ(getsockopt(c, TCP_RACK_PACE_TO_FILL), 1u);
  MUST(c.send(std::vector<uint8_t>(14'480)));
  world.run(50ms);
  EXPECT_FALSE(c.pace_parts().fill_cwnd.is_zero());
  ASSERT_TRUE(setsockopt(c, TCP_RACK_PACE_TO_FILL, 0));
  EXPECT_EQ(getsockopt(c, TCP_RACK_PROFILE), 1u);
  EXPECT_TRUE(c.congestion().has_rate_policy);
  MUST(c.send(std::vector<uint8_t>(14'480)));
  world.run(50ms);
  EXPECT_TRUE(c.pace_parts().fill_cwnd.is_zero());
  ASSERT_TRUE(setsockopt(c, TCP_RACK_PACE_TO_FILL, 1));
  EXPECT_FALSE(c.pace_parts().fill_cwnd.is_zero());
  ASSERT_TRUE(setsockopt(c, TCP_RACK_PROFILE, 0));
  ASSERT_TRUE(setsockopt(c, TCP_RACK_PACE_TO_FILL, 1));
  EXPECT_FALSE(c.congestion().has_rate_policy);
  ASSERT_TRUE(setsockopt(c, TCP_RACK_PROFILE, 1));  // Not FillCwBw alone any more.
  EXPECT_EQ(getsockopt(c, TCP_RACK_PROFILE), 1u);
  EXPECT_TRUE(c.congestion().has_rate_policy);
}

TEST(FastSendBlock, is_what_both_fast_paths_need) {
  for (const int64_t fsb : {0, 1}) {
    TestWorld world;
    world.client.tcp.tunables().send_block = fsb;
    world.up.script = [](uint64_t n, const net::TcpView&) {
      return n == 4 ? Fate::Drop : Fate::Deliver;
    };
    world.establish();
    MUST(world.a->send(std::vector<uint8_t>(14'480)));
    world.run(500ms);
    EXPECT_EQ(world.client.tcp.counters().fto_send > 0, fsb == 1);
    EXPECT_EQ(world.client.tcp.counters().fto_rsm_send > 0, fsb == 1);
    EXPECT_EQ(world.client.tcp.counters().nfto_resend > 0, fsb == 0);
  }
}

}  // namespace
}  // namespace wh::tcp
