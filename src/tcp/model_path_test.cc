// Controls that have a model of the path, on one: Vegas, which counts what waits in the queue, and
// BBR.
#include <gtest/gtest.h>

#include "tcp/congestion/bbr.h"
#include "tcp/one_flow.h"

namespace wh::tcp {
namespace {

// Of the 20 ms of path and what is served before it a segment is timed; three wait, at most four
// while it looks.
TEST(VegasPath, keeps_a_few_segments_in_the_queue) {
  for (const Rate rate : {10_Mbps, 20_Mbps, 40_Mbps, 200_Mbps}) {
    OneFlow flow(rate, 300ms, "vegas", [](Connection&) {});
    flow.mbps(5s);
    EXPECT_GT(flow.mbps(5s), 0.98e-6 * static_cast<double>(rate.bps()) * 1448 / 1514);
    const double segment_ms = to_ms(rate.transfer_time(Bytes(1514)));
    EXPECT_LE(to_ms(flow.source.highest), 20 + 6 * segment_ms) << to_string(rate);
  }
}

// The draft's example test cases, on a path of 20 Mbps and 20 ms.
const Bbr* model_of(const Connection& c) {
  return dynamic_cast<const Bbr*>(c.congestion_control());
}

TEST(BbrPath, leaves_startup_when_the_bandwidth_is_flat_and_measures_it) {
  OneFlow flow(20_Mbps, 300ms, "bbr", [](Connection&) {});
  const Bbr* bbr = model_of(*flow.sender);
  ASSERT_NE(bbr, nullptr);
  EXPECT_EQ(bbr->state(), Bbr::State::Startup);
  flow.mbps(1s);
  EXPECT_TRUE(bbr->is_pipe_full());
  EXPECT_NE(bbr->state(), Bbr::State::Startup);
  const double payload = 20e6 * 1448 / 1514;
  EXPECT_NEAR(static_cast<double>(bbr->max_bw().bps()), payload, 0.02 * payload);
  EXPECT_LE(bbr->min_rtt(), Duration(21ms));
  EXPECT_GT(flow.mbps(10s), 0.95 * payload / 1e6);
  EXPECT_LE(to_ms(flow.source.highest), 60);
}

TEST(BbrPath, goes_round_its_states_and_probes_the_round_trip_every_five_seconds) {
  OneFlow flow(20_Mbps, 300ms, "bbr", [](Connection&) {});
  const Bbr* bbr = model_of(*flow.sender);
  flow.mbps(1s);
  std::set<Bbr::State> seen;
  for (int i = 0; i < 1200; ++i) {
    flow.world.run(10ms);
    seen.insert(bbr->state());
  }
  for (const Bbr::State s : {Bbr::State::Down, Bbr::State::Cruise, Bbr::State::Refill,
                             Bbr::State::Up, Bbr::State::ProbeRtt}) {
    EXPECT_TRUE(seen.contains(s)) << to_string(s);
  }
  EXPECT_FALSE(seen.contains(Bbr::State::Startup));
}

TEST(BbrPath, leaves_no_pace_to_the_control_that_follows_it_and_follows_one_itself) {
  OneFlow flow(20_Mbps, 300ms, "bbr", [](Connection&) {});
  flow.mbps(2s);
  ASSERT_TRUE(flow.sender->pacer().is_on());
  flow.world.up.config.rate = 60_Mbps;
  ASSERT_TRUE(flow.sender->set_congestion("cubic"));
  EXPECT_FALSE(flow.sender->pacer().is_on());
  flow.mbps(5s);
  EXPECT_GT(flow.mbps(5s), 0.9 * 60 * 1448 / 1514);
  ASSERT_TRUE(flow.sender->set_congestion("bbr"));
  flow.mbps(5s);
  EXPECT_GT(flow.mbps(5s), 0.9 * 60 * 1448 / 1514);
  EXPECT_TRUE(flow.sender->pacer().is_on());
}

TEST(BbrPath, remembers_where_losses_began_in_a_shallow_buffer) {
  OneFlow flow(20_Mbps, 5ms, "bbr", [](Connection&) {});
  const Bbr* bbr = model_of(*flow.sender);
  flow.mbps(10s);
  EXPECT_NE(bbr->inflight_longterm(), Bytes::max());
  EXPECT_GT(flow.mbps(10s), 0.8 * 20 * 1448 / 1514);
  const Info info = flow.sender->info();
  EXPECT_LT(info.retransmitted.count(), info.sent.count() / 20);
}

}  // namespace
}  // namespace wh::tcp
