#include "lab/advise.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "lab/experiment.h"

namespace wh::lab {
namespace {

TEST(Advise, the_articles_two_sites_get_what_the_article_gives_them) {
  const Advice symmetric = advise({.up = 1_Gbps, .down = 1_Gbps});
  EXPECT_EQ(symmetric.fcc, 30_Mbps);
  EXPECT_TRUE(symmetric.is_default);
  const Advice cable = advise({.up = 40_Mbps, .down = 400_Mbps});
  EXPECT_EQ(cable.fcc, 5_Mbps);
  EXPECT_FALSE(cable.is_default);
  EXPECT_EQ(cable.pushing_from,
            8u);  // "If I get more than 7 connections, they will start to push".
  const std::string why = explain({.up = 40_Mbps}, cable);
  EXPECT_NE(why.find("With 7 connections the pushes are 35Mbps"), std::string::npos) << why;
  EXPECT_NE(why.find("From the 8th on they reach it (8 x 5Mbps = 40Mbps)"), std::string::npos);
  EXPECT_NE(why.find("With 9 each can\nhave 4.4Mbps of the 5Mbps"), std::string::npos);
}

TEST(Advise, more_connections_get_less_each_and_the_default_is_the_most) {
  EXPECT_EQ(advise({.up = 40_Mbps, .connections = 7}).fcc, 5_Mbps);
  EXPECT_EQ(advise({.up = 40_Mbps, .connections = 8}).fcc, 4400_kbps);
  EXPECT_EQ(advise({.up = 40_Mbps, .connections = 1}).fcc, 5_Mbps);
  EXPECT_EQ(advise({.up = 239_Mbps}).fcc, 29_Mbps);
  EXPECT_TRUE(advise({.up = 240_Mbps}).is_default);
  EXPECT_EQ(advise({.up = 100_kbps}).fcc, 12_kbps);
}

TEST(Advise, trials_are_of_other_rates_and_of_one_connection_less_and_more) {
  const PathFacts path{.up = 40_Mbps, .down = 400_Mbps, .rtt = 20ms, .buffer = 300ms};
  const Advice advice = advise(path);
  const std::atomic<bool> stop{false};
  const Trials trials =
      try_out(
          {.path = path, .duration = 2s, .repeat = 1, .jobs = 2}, advice, [](double) {}, stop)
          .value();
  ASSERT_EQ(trials.crowd.size(), 3u);
  EXPECT_EQ(trials.crowd[0].connections, 7u);
  EXPECT_EQ(trials.crowd[2].connections, 9u);
  EXPECT_NEAR(trials.crowd[2].each_mbps.mean * 9, trials.crowd[2].total_mbps.mean, 0.01);
  const auto advised = std::find_if(trials.candidates.begin(), trials.candidates.end(),
                                    [](const Trial& t) { return t.is_advised; });
  ASSERT_NE(advised, trials.candidates.end());
  EXPECT_EQ(advised->fcc, 5_Mbps);
  EXPECT_GT(advised->total_mbps.mean, 25);
  EXPECT_EQ(trials.candidates.back().flow, "cubic");
  for (const Trial& t : trials.candidates) {
    EXPECT_GE(t.rtt_p50_ms.mean, 20) << t.label;
    EXPECT_LE(t.rtt_p95_ms.mean, 330) << t.label;
    EXPECT_GT(t.beside_cubic_mbps.mean, 0) << t.label;
    EXPECT_LT(t.beside_cubic_mbps.mean, 38.3) << t.label;
  }
  EXPECT_NE(to_table(trials).find("<--"), std::string::npos);
  EXPECT_NE(to_table(trials).find("7 connections at 5Mbps: "), std::string::npos);
}

TEST(PathFacts, a_run_and_its_capture_show_the_path) {
  LabSpec spec =
      pace_lab(
          {net::parse_link_config("rate=20Mbps,delay=15ms,buffer=100ms,rev.rate=5Mbps").value()},
          {parse_flow("newreno").value(), parse_flow("cubic").value()})
          .value();
  spec.duration = 8s;
  const std::string capture = std::filesystem::temp_directory_path() / "wh-advise.pcap";
  auto experiment = Experiment::make(spec, {.captures = {{"", capture}}}).value();
  experiment->run([](Duration) {});
  ASSERT_TRUE(experiment->finish().has_value());
  const PathFacts run = facts_of_run(to_json(experiment->report()), "x.json").value();
  EXPECT_EQ(run.up, 20_Mbps);
  EXPECT_NEAR(to_ms(run.rtt), 30.5, 1.5);
  EXPECT_NEAR(to_ms(run.buffer), 100, 5);
  EXPECT_EQ(run.connections, 2u);
  const PathFacts seen = facts_of_capture(capture).value();
  EXPECT_NEAR(static_cast<double>(seen.up.bps()), 20e6, 2.5e6);
  EXPECT_NEAR(to_ms(seen.rtt), 30.5, 1.5);
  EXPECT_NEAR(to_ms(seen.buffer), 100, 12);
  EXPECT_EQ(seen.connections, 2u);
  std::filesystem::remove(capture);

  for (const char* bad : {"", "{}", "[]", "{\"flows\":[],\"links\":[]}"}) {
    EXPECT_FALSE(facts_of_run(bad, "bad.json").has_value()) << bad;
  }
  EXPECT_FALSE(facts_of_capture("/no/such/file").has_value());
}

}  // namespace
}  // namespace wh::lab
