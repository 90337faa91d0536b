// Connections under Dynamic Goodput Pacing: the article's listings, and what a
// paced connection does on a path.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "tcp/one_flow.h"
#include "tcp/rate_policy.h"
#include "tcp/socket_option.h"

namespace wh::tcp {
namespace {

// FreeBSD's names for the parts of DGP: each reaches the policy, and says what that begins with.
TEST(DgpTunables, are_those_of_its_parts) {
  TestWorld world;
  const auto set = [&](std::string_view name, int64_t value) {
    MUST(world.client.ip.sysctl().assign(fmt::format("net.inet.tcp.rack.{}={}", name, value)));
    return usual_dgp_config(world.client.tcp.tunables());
  };
  EXPECT_EQ(set("timely.increase", 3).timely.increase, 3u);
  EXPECT_EQ(set("timely.upper", 5).timely.upper, 5u);
  EXPECT_EQ(set("timely.lower", 6).timely.lower, 6u);
  EXPECT_EQ(set("timely.rtt_max_mul", 7).timely.rtt_max_mul, 7u);
  EXPECT_EQ(set("timely.rtt_min_div", 8).timely.rtt_min_div, 8u);
  EXPECT_EQ(set("timely.lowerbound", 9).timely.lowerbound, 9u);
  EXPECT_EQ(set("timely.upperboundss", 300).timely.bound_slow_start, 300u);
  EXPECT_EQ(set("timely.upperboundca", 200).timely.bound_avoidance, 200u);
  EXPECT_EQ(set("timely.max_push_drop", 1).timely.max_push_drop, 1u);
  EXPECT_EQ(set("timely.dec_raise_thresh", 90).timely.dec_raise_thresh, 90u);
  EXPECT_EQ(set("pacing.max_pace_over", 40).timely.max_pace_over, 40u);
  EXPECT_FALSE(set("pacing.no_timely", 1).timely.enabled);
  EXPECT_EQ(set("pacing.rnd_gp_gain", 1500).slow_start_growth, 50u);
  EXPECT_EQ(set("measure.goal_bdp", 3).window.goal_bdp, 3u);
  EXPECT_EQ(set("measure.wma_divisor", 4).filter.divisor, 4u);
  EXPECT_EQ(set("probertt.gp_per_mul", 70).probe.gp_per_mul, 70u);
  EXPECT_EQ(set("probertt.gp_per_reduce", 5).probe.gp_per_reduce, 5u);
  EXPECT_EQ(set("probertt.gp_per_low", 30).probe.gp_per_low, 30u);
  EXPECT_EQ(set("probertt.mustdrainsrtts", 2).probe.must_drain_srtts, 2u);
  EXPECT_EQ(set("probertt.holdtim_at_target", 50'000).probe.hold, 50ms);
  EXPECT_EQ(set("probertt.safety", 1'000'000).probe.safety, 1s);
  EXPECT_EQ(set("probertt.exit_per_hpb", 120).probe.exit_gain, 120u);
  EXPECT_EQ(set("probertt.exit_per_nonhpb", 110).probe.exit_gain, 110u);
  EXPECT_EQ(set("probertt.filter_life", 5'000'000).rtt_window, 5s);
  MUST(world.client.ip.sysctl().assign("net.inet.tcp.rack.pacing.gp_per_ca=150"));
  world.establish();
  ASSERT_TRUE(setsockopt(*world.a, TCP_RACK_PACE_ALWAYS, 1));
  EXPECT_EQ(getsockopt(*world.a, TCP_RACK_GP_INCREASE_CA), 150u);
}

// What no sysctl has changed is what the parts' own defaults say.
TEST(DgpTunables, begin_as_the_parts_do) {
  const pacing::Dgp::Config usual = usual_dgp_config({}), own;
  EXPECT_EQ(usual.slow_start_growth, own.slow_start_growth);
  EXPECT_EQ(usual.rtt_window, own.rtt_window);
  EXPECT_EQ(usual.filter.divisor, own.filter.divisor);
  EXPECT_EQ(usual.window.goal_bdp, own.window.goal_bdp);
  EXPECT_EQ(usual.window.min_target, own.window.min_target);
  EXPECT_TRUE(usual.timely == own.timely);
  EXPECT_TRUE(usual.probe == own.probe);
}

TEST(DgpListing, turns_dgp_on_by_socket_option) {
  TestWorld world;
  world.establish();
  const int profileno = 1;
  ASSERT_TRUE(setsockopt(*world.a, TCP_RACK_PROFILE, profileno));
  EXPECT_EQ(world.a->pace_parts().fcc.bytes_per_second(), 3'750'000u);
  EXPECT_EQ(world.a->pace_parts().state, pacing::PaceParts::State::Startup);
}

TEST(DgpListing, turns_dgp_on_for_all_by_sysctl) {
  TestWorld world;
  MUST(world.client.ip.sysctl().assign("net.inet.tcp.rack.misc.defprofile = 1"));
  MUST(world.client.ip.sysctl().assign("net.inet.tcp.rack.pacing.fillcw_cap = 6250000"));
  world.establish();
  EXPECT_EQ(world.a->pace_parts().state, pacing::PaceParts::State::Startup);
  EXPECT_EQ(world.a->pace_parts().fcc, 50_Mbps);
  EXPECT_EQ(world.b->pace_parts().state, pacing::PaceParts::State::Unpaced);
}

TEST(DgpListing, sets_fcc_for_one_connection) {
  TestWorld world;
  world.establish();
  const uint64_t fcc = 50000000 / 8;
  EXPECT_EQ(fcc, 6'250'000u);
  const int profileno = 1;
  ASSERT_TRUE(setsockopt(*world.a, TCP_RACK_PROFILE, profileno));
  ASSERT_TRUE(setsockopt(*world.a, TCP_FILLCW_RATE_CAP, fcc));
  EXPECT_EQ(world.a->pace_parts().fcc, 50_Mbps);
  ASSERT_TRUE(setsockopt(*world.a, TCP_FILLCW_RATE_CAP, uint64_t{0}));
  EXPECT_TRUE(world.a->pace_parts().fcc.is_zero());
}

// The listing as printed names TCP_RACK_PROFILE for a uint64_t: what it means is done.
TEST(DgpListing, takes_what_the_printed_listing_means) {
  TestWorld world;
  world.establish();
  ASSERT_TRUE(setsockopt(*world.a, TCP_RACK_PROFILE, 1));
  const uint64_t fcc = 50000000 / 8;
  ASSERT_TRUE(setsockopt(*world.a, TCP_RACK_PROFILE, fcc));
  EXPECT_EQ(world.a->pace_parts().fcc, 50_Mbps);
}

TEST(SocketOption, refuses_what_makes_no_sense_and_says_what_would) {
  TestWorld world;
  world.establish();
  const auto text = [](const Result<void>& r) { return r ? std::string() : r.error().text; };
  EXPECT_NE(text(setsockopt(*world.a, TCP_RACK_PROFILE, 2)).find("accepted: 0"), std::string::npos);
  EXPECT_NE(text(setsockopt(*world.a, TCP_RACK_PROFILE, -1)).find("from 0 to 6"),
            std::string::npos);
  const auto by_sysctl = world.client.ip.sysctl().assign("net.inet.tcp.rack.misc.defprofile=3");
  EXPECT_NE(text(by_sysctl).find("accepted: 0"), std::string::npos) << text(by_sysctl);
  EXPECT_EQ(world.a->stack().tunables().defprofile, 0);
  EXPECT_NE(text(setsockopt(*world.a, TCP_FILLCW_RATE_CAP, 5)).find("uint64_t"), std::string::npos);
  EXPECT_NE(text(setsockopt(*world.a, TCP_NO_TIMELY, 1)).find("TCP_RACK_PROFILE"),
            std::string::npos);
  EXPECT_FALSE(setsockopt(*world.a, 4711, 1));
  ASSERT_TRUE(setsockopt(*world.a, TCP_RACK_PACE_RATE_CA, uint64_t{1'500'000}));
  EXPECT_EQ(world.a->pacer().rate(), 12_Mbps);
  EXPECT_NE(text(setsockopt(*world.a, TCP_RACK_PROFILE, 1)).find("busy"), std::string::npos);
}

TEST(SocketOption, reaches_every_part_of_the_policy) {
  TestWorld world;
  world.establish();
  Connection& c = *world.a;
  ASSERT_TRUE(setsockopt(c, TCP_RACK_PROFILE, 1));
  for (const auto& [option, value] : {std::pair<int, int>{TCP_RACK_GP_INCREASE_SS, 180},
                                      {TCP_RACK_GP_INCREASE_CA, 110},
                                      {TCP_RACK_GP_INCREASE_REC, 80},
                                      {TCP_TIMELY_DYN_ADJ, 0},
                                      {TCP_NO_TIMELY, 1},
                                      {TCP_REC_IS_DYN, 1},
                                      {TCP_GP_USE_LTBW, 0},
                                      {TCP_DGP_UPPER_BOUNDS, 200 << 16 | 150},
                                      {TCP_RACK_PACE_MAX_SEG, 20},
                                      {TCP_RACK_PACE_MIN_SEG, 4},
                                      {TCP_RACK_PACING_DIVISOR, 500},
                                      {TCP_RACK_FORCE_MSEG, 1},
                                      {TCP_RACK_MEASURE_CNT, 3},
                                      {TCP_RACK_DGP_IN_REC, 1},
                                      {TCP_HONOR_HPTS_MIN, 20}}) {
    EXPECT_TRUE(setsockopt(c, option, value)) << option;
  }
  EXPECT_EQ(c.pace_parts().multiplier, 180u);
  EXPECT_EQ(c.burst_limits().user_max, 20u);
  EXPECT_EQ(c.burst_limits().divisor, 500u);
  EXPECT_TRUE(c.burst_limits().force_max);
  ASSERT_TRUE(setsockopt(c, TCP_PACING_RATE_CAP, uint64_t{125'000}));
  ASSERT_TRUE(setsockopt(c, TCP_RACK_PROFILE, 0));
  EXPECT_EQ(c.pace_parts().state, pacing::PaceParts::State::Unpaced);
  ASSERT_TRUE(setsockopt(c, TCP_RACK_PACE_TO_FILL, 1));
}

TEST(SocketOption, says_how_lateness_is_repaid) {
  TestWorld world;
  world.establish();
  Connection& c = *world.a;
  ASSERT_TRUE(setsockopt(c, TCP_RACK_PROFILE, 1));
  using Repay = pacing::PaceAccount::Repay;
  EXPECT_EQ(c.pacer().policy().repay, Repay::Slowly);
  EXPECT_EQ(c.pacer().policy().max_reduction, 10u);
  ASSERT_TRUE(setsockopt(c, TCP_HONOR_HPTS_MIN, 80));
  EXPECT_EQ(c.pacer().policy().max_reduction, 80u);
  ASSERT_TRUE(setsockopt(c, TCP_HONOR_HPTS_MIN, 1));  // Honoured, with the usual reduction.
  EXPECT_EQ(c.pacer().policy().max_reduction, 10u);
  ASSERT_TRUE(setsockopt(c, TCP_HONOR_HPTS_MIN, 0));
  EXPECT_EQ(c.pacer().policy().repay, Repay::AtOnce);
  EXPECT_FALSE(setsockopt(c, TCP_HONOR_HPTS_MIN, 81));
}

// Six profiles were numbered; two of them exist in FreeBSD of 2024 (and here).
TEST(SocketOption, has_profiles_1_and_6) {
  TestWorld world;
  world.establish();
  for (const int profile : {2, 3, 4, 5, 7}) {
    EXPECT_FALSE(setsockopt(*world.a, TCP_RACK_PROFILE, profile)) << profile;
  }
  ASSERT_TRUE(setsockopt(*world.a, TCP_RACK_PROFILE, 6));
  EXPECT_EQ(world.a->pace_parts().state, pacing::PaceParts::State::Startup);
  MUST(world.client.ip.sysctl().assign("net.inet.tcp.rack.misc.defprofile=6"));
  EXPECT_EQ(world.client.tcp.tunables().defprofile, 6);
}

// E-68: the standing queue of a deep buffer, with and without DGP.
TEST(DgpPath, keeps_the_queue_short_where_a_loss_based_flow_fills_it_E68) {
  OneFlow dgp(12_Mbps, 300ms, "newreno", [](Connection& c) {
    c.set_fcc(4_Mbps);
    MUST(c.set_profile(1));
  });
  OneFlow reno(12_Mbps, 300ms, "newreno", [](Connection&) {});
  dgp.mbps(3s);
  reno.mbps(3s);
  const double fast = reno.mbps(10s), paced = dgp.mbps(10s);
  EXPECT_GE(paced, 0.95 * fast);
  EXPECT_LE(to_ms(dgp.source.highest), 0.6 * to_ms(reno.source.highest));
}

// With an FCC above the path's rate, or none, the window decides, and the queue is the window's.
TEST(DgpPath, fills_the_queue_where_FCC_does_not_bind_E68) {
  OneFlow reno(4_Mbps, 300ms, "newreno", [](Connection&) {});
  reno.mbps(3s);
  reno.mbps(20s);
  for (const Rate fcc : {Rate(), 30_Mbps}) {
    OneFlow dgp(4_Mbps, 300ms, "newreno", [fcc](Connection& c) {
      c.set_fcc(fcc);
      MUST(c.set_profile(1));
    });
    dgp.mbps(3s);
    dgp.mbps(20s);
    EXPECT_GE(to_ms(dgp.source.highest), 0.8 * to_ms(reno.source.highest)) << fcc.bps();
  }
}

TEST(DgpPath, is_loss_based_without_a_cap_or_with_one_above_the_path) {
  for (const Rate fcc : {Rate(), 30_Mbps}) {
    OneFlow flow(8_Mbps, 100ms, "newreno", [fcc](Connection& c) {
      c.set_fcc(fcc);
      MUST(c.set_profile(1));
    });
    flow.mbps(20s);
    EXPECT_GT(flow.sender->info().recoveries, 0u) << fcc.bps();
  }
}

TEST(DgpPath, goes_over_cubic_too) {
  OneFlow flow(20_Mbps, 200ms, "cubic", [](Connection& c) {
    c.set_fcc(5_Mbps);
    MUST(c.set_profile(1));
  });
  flow.mbps(2s);
  EXPECT_GT(flow.mbps(5s), 0.9 * 20 * 1448 / 1514);
}

TEST(DgpPath, lets_the_flight_down_to_find_the_round_trip_E65_E66) {
  for (const int mode : {0, 1}) {
    OneFlow flow(10_Mbps, 200ms, "newreno", [mode](Connection& c) {
      c.stack().tunables().probertt_mode = mode;
      c.set_fcc(2_Mbps);
      MUST(c.set_profile(1));
    });
    bool was_probing = false;
    Bytes least = Bytes::max();
    for (int i = 0; i < 2400; ++i) {
      flow.world.run(10ms);
      if (flow.sender->pace_parts().state != pacing::PaceParts::State::ProbeRtt) continue;
      was_probing = true;
      least = std::min(least, flow.sender->info().pipe);
    }
    EXPECT_TRUE(was_probing) << mode;
    // No more than the path holds: 25 kB, or four segments.
    EXPECT_LE(least, mode == 0 ? Bytes(1448 * 19) : Bytes(1448 * 4)) << mode;
  }
}

TEST(DgpPath, measures_the_capacity_and_holds_fcc_at_a_quarter_of_it) {
  for (const Rate rate : {4_Mbps, 20_Mbps, 100_Mbps}) {
    OneFlow flow(rate, 200ms, "newreno", [](Connection& c) {
      c.set_fcc_share(25);
      MUST(c.set_profile(1));
    });
    flow.mbps(4s);
    const pacing::PaceParts parts = flow.sender->pace_parts();
    EXPECT_NEAR(static_cast<double>(parts.capacity.bps()), static_cast<double>(rate.bps()),
                0.05 * static_cast<double>(rate.bps()));
    EXPECT_NEAR(static_cast<double>(parts.fcc.bps()), static_cast<double>(rate.bps()) / 4,
                0.12 * static_cast<double>(rate.bps()) / 4);
  }
}

TEST(DgpPath, follows_a_step_of_the_capacity_within_ten_seconds) {
  for (const auto& [before, after] : {std::pair(40_Mbps, 10_Mbps), {10_Mbps, 40_Mbps}}) {
    OneFlow flow(before, 300ms, "newreno", [](Connection& c) {
      c.set_fcc_share(25);
      MUST(c.set_profile(1));
    });
    flow.mbps(8s);
    flow.world.up.config.rate = after;
    flow.world.run(10s);
    EXPECT_NEAR(static_cast<double>(flow.sender->pace_parts().fcc.bps()),
                static_cast<double>(after.bps()) / 4, 0.15 * static_cast<double>(after.bps()) / 4);
  }
}

// One of ten segments every half a second, whatever else keeps the flight short.
TEST(DgpPath, sends_whole_measuring_bursts) {
  for (const Rate rate : {4_Mbps, 10_Mbps}) {
    std::map<Instant, int> segments;
    OneFlow flow(rate, 200ms, "newreno", [](Connection& c) {
      c.set_fcc_share(25);
      MUST(c.set_profile(1));
    });
    flow.mbps(5s);
    flow.world.up.tap = [&](Instant when, const net::Packet&, const net::TcpView&) {
      ++segments[when];
    };
    flow.mbps(20s);
    const auto whole = std::count_if(segments.begin(), segments.end(),
                                     [](const auto& burst) { return burst.second >= 10; });
    EXPECT_GE(whole, 30) << rate.bps();
  }
}

// Not FCC alone: the limit of what may be in flight has to let go.
TEST(DgpPath, fills_a_path_ten_seconds_after_it_became_twenty_times_as_fast) {
  OneFlow flow(5_Mbps, 300ms, "newreno", [](Connection& c) {
    c.set_fcc_share(25);
    MUST(c.set_profile(1));
  });
  flow.mbps(10s);
  flow.world.up.config.rate = 100_Mbps;
  flow.world.run(10s);
  EXPECT_GT(flow.mbps(5s), 0.9 * 100 * 1448 / 1514);
}

// Two DGP flows on one path, the second some time after the first, both with an FCC of so many
// percent of the capacity.
struct TwoFlows {
  TwoFlows(uint32_t percent, Duration later)
      : set([percent](Connection& c) {
          c.set_fcc_share(percent);
          MUST(c.set_profile(1));
        }),
        flow(20_Mbps, 200ms, "newreno", set) {
    flow.world.run(later);
    second = MUST(flow.world.client.tcp.connect(flow.world.server_endpoint(),
                                                {.observer = &source, .on_create = set}));
    flow.world.run(100ms);
    peer = flow.world.listener->accept();
    peer->set_observer(&sink);
    sink.on_ready(*peer, kReadable);
  }
  ~TwoFlows() {
    second->abort();
    peer->abort();
  }
  // What the first one gets over what the second one gets in the next `time`, as a logarithm: 0 is
  // even.
  double unevenness(Duration time) {
    const uint64_t before = sink.received;
    const double first = flow.mbps(time);
    return std::log(first /
                    (static_cast<double>(sink.received - before) * 8 / 1e6 / to_seconds(time)));
  }
  std::function<void(Connection&)> set;
  OneFlow flow;
  Bulk source;
  Sink sink;
  Connection* second = nullptr;
  Connection* peer = nullptr;
};

// Below FCC two flows level out however they met. Above it nothing levels them: what they met with,
// which may be even by chance, is what they have minutes later.
TEST(DgpPath, shares_a_path_evenly_only_as_far_as_fcc_goes) {
  double most_uneven = 0;
  for (const Duration later : {5s, 10s, 15s}) {
    TwoFlows pushing(45, later);
    pushing.flow.world.run(15s);
    EXPECT_LT(std::abs(pushing.unevenness(30s)), std::log(1.25)) << to_seconds(later);

    TwoFlows free(10, later);
    free.flow.world.run(15s);
    const double early = free.unevenness(30s);
    free.flow.world.run(90s);
    const double late = free.unevenness(30s);
    EXPECT_GT(late / early, 0.5) << to_seconds(later) << ": " << early << " became " << late;
    EXPECT_LT(std::abs(late - early), std::log(1.3)) << to_seconds(later);
    most_uneven = std::max(most_uneven, std::abs(late));
  }
  EXPECT_GT(most_uneven, std::log(1.3));
}

// Who joins a path that has a queue takes the queue for the path, and so do the others ten seconds
// later, unless one of them really lets go.
TEST(DgpPath, finds_the_round_trip_again_among_many) {
  const auto dgp = [](Connection& c) {
    c.set_fcc(1_Mbps);
    MUST(c.set_profile(1));
  };
  OneFlow flow(40_Mbps, 300ms, "newreno", dgp);
  Bulk source;
  Sink sink;
  std::vector<Connection*> all;
  for (int i = 0; i < 6; ++i) {
    flow.world.run(150ms);
    all.push_back(MUST(flow.world.client.tcp.connect(flow.world.server_endpoint(),
                                                     {.observer = &source, .on_create = dgp})));
  }
  flow.world.run(500ms);
  while (Connection* peer = flow.world.listener->accept()) {
    all.push_back(peer);
    peer->set_observer(&sink);
    sink.on_ready(*peer, kReadable);
  }
  flow.world.run(40s);
  std::vector<Duration> trips;
  for (int i = 0; i < 200; ++i) {
    flow.world.run(100ms);
    trips.push_back(flow.sender->pace_parts().current_rtt);
  }
  std::nth_element(trips.begin(), trips.begin() + 100, trips.end());
  EXPECT_LT(to_ms(trips[100]), 100);
  for (Connection* c : all) c->abort();
}

TEST(FillPath, paces_any_window_over_a_round_trip) {
  OneFlow flow(20_Mbps, 100ms, "cubic", [](Connection& c) { MUST(c.set_pace_to_fill(true)); });
  flow.mbps(2s);
  EXPECT_GT(flow.mbps(5s), 0.93 * 20 * 1448 / 1514);
  EXPECT_EQ(flow.sender->pace_parts().by, pacing::PaceBy::FillCwnd);
}

}  // namespace
}  // namespace wh::tcp
