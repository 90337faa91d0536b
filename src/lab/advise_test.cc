#include "lab/advise.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "host/system.h"
#include "lab/experiment.h"
#include "lab/runs.h"

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
  EXPECT_NE(
      why.find("From the 8th connection on they push against each other (8 x 5Mbps = 40Mbps)"),
      std::string::npos)
      << why;
  EXPECT_NE(why.find("With 9 each can have\n4.44Mbps of the 5Mbps"), std::string::npos) << why;
}

TEST(Advise, says_how_many_connections_the_default_would_let_fill_the_path) {
  const auto says = [](const PathFacts& path, std::string_view text) {
    const std::string why = explain(path, advise(path));
    EXPECT_NE(why.find(text), std::string::npos) << why;
  };
  says({.up = 12_Mbps}, "250 % of the path: one connection would fill it by pushing.");
  says({.up = 30_Mbps}, "100 % of the path: one connection would fill it by pushing.");
  says({.up = 40_Mbps}, "75 % of the path: two connections would fill it by pushing.");
  says({.up = 200_Mbps}, "15 % of the path: 7 connections would fill it by pushing.");
}

TEST(Advise, more_connections_get_less_each_and_the_default_is_the_most) {
  EXPECT_EQ(advise({.up = 40_Mbps, .connections = 7}).fcc, 5_Mbps);
  EXPECT_EQ(advise({.up = 40_Mbps, .connections = 8}).fcc, 4400_kbps);
  EXPECT_EQ(advise({.up = 40_Mbps, .connections = 1}).fcc, 5_Mbps);
  EXPECT_EQ(advise({.up = 239_Mbps}).fcc, 29_Mbps);
  EXPECT_TRUE(advise({.up = 240_Mbps}).is_default);
}

// A pace has 64 kbps at least: less would be no advice.
TEST(Advise, no_rate_is_slower_than_the_slowest_pace) {
  const PathFacts crowd{.up = 40_Mbps, .connections = 1000};
  const Advice slowest = advise(crowd);
  EXPECT_EQ(slowest.fcc, 64_kbps);
  EXPECT_TRUE(slowest.is_slowest);
  EXPECT_EQ(slowest.pushing_from, 625u);
  const std::string why = explain(crowd, slowest);
  EXPECT_NE(why.find("So many fill the buffer, whatever FCC is."), std::string::npos) << why;
  EXPECT_NE(why.find("63.9kbps of the 64kbps"), std::string::npos) << why;
  const PathFacts slow{.up = 100_kbps, .connections = 1};
  EXPECT_EQ(advise(slow).fcc, 64_kbps);
  EXPECT_EQ(advise(slow).pushing_from, 2u);
  EXPECT_NE(explain(slow, advise(slow)).find("With 1 connection the"), std::string::npos);
  EXPECT_EQ(explain(slow, advise(slow)).find("So many"), std::string::npos);
  EXPECT_FALSE(advise({.up = 40_Mbps, .connections = 600}).is_slowest);
}

// 33 x 30 Mbps leave 1 % of 1 Gbps: the queue of their beginning goes, but not while people wait.
TEST(Advise, pushes_that_leave_next_to_nothing_are_told_from_those_with_room) {
  const PathFacts path{.up = 1_Gbps};
  const Advice advice = advise(path);
  EXPECT_EQ(advice.room_for, 31u);
  EXPECT_EQ(advice.pushing_from, 34u);
  const std::string why = explain(path, advice);
  EXPECT_NE(why.find("With 31 connections the pushes are 930Mbps together, and the path has room"),
            std::string::npos)
      << why;
  EXPECT_NE(why.find("With 33 they are 990Mbps: so little is left"), std::string::npos) << why;
  EXPECT_NE(why.find("From the 34th connection on"), std::string::npos) << why;
  EXPECT_EQ(advise({.up = 40_Mbps}).room_for, 7u);
}

TEST(Advise, trials_in_which_nothing_arrives_say_so) {
  const PathFacts path{.up = 40_Mbps, .rtt = 2s};
  const std::atomic<bool> stop{false};
  const std::string table = to_table(
      try_out(
          {.path = path, .duration = 1s, .repeat = 1, .jobs = 2}, advise(path), [](double) {}, stop)
          .value());
  EXPECT_NE(table.find("Nothing arrived"), std::string::npos) << table;
  EXPECT_EQ(table.find("nan"), std::string::npos) << table;
}

TEST(Advise, names_rates_and_connections_as_people_do) {
  EXPECT_EQ(three_digits(19'876'543_bps), 19'900'000_bps);
  EXPECT_EQ(three_digits(999_bps), 999_bps);
  EXPECT_EQ(three_digits(999'500_bps), 1_Mbps);
  EXPECT_EQ(three_digits(Rate::infinite()), Rate::infinite());
  for (const auto& [n, text] : {std::pair(9u, "9th"),
                                {20u, "20th"},
                                {21u, "21st"},
                                {22u, "22nd"},
                                {23u, "23rd"},
                                {113u, "113th"}}) {
    const PathFacts path{.up = (5_Mbps).percent(100 * n), .connections = n - 1};
    const std::string why = explain(path, advise(path));
    EXPECT_NE(why.find(fmt::format("From the {} connection", text)), std::string::npos) << why;
  }
}

// Of 119'876'543 bps, 23 times 5.2 Mbps is all: nobody sees the difference.
TEST(Advise, the_knee_is_where_three_digits_say_that_the_path_is_reached) {
  const PathFacts path{.up = 119'876'543_bps, .connections = 20};
  const Advice advice = advise(path);
  EXPECT_EQ(advice.fcc, 5'700'000_bps);
  EXPECT_EQ(advice.pushing_from, 21u);
  EXPECT_NE(explain(path, advice).find("of the 120Mbps that"), std::string::npos);
  EXPECT_EQ(advise({.up = 119'876'543_bps, .connections = 22}).fcc, 5'200'000_bps);
  EXPECT_EQ(advise({.up = 119'876'543_bps, .connections = 22}).pushing_from, 23u);
}

// Twenty seconds showed queues that are gone after thirty.
TEST(Advise, a_trial_lasts_until_what_its_beginning_did_is_over) {
  EXPECT_EQ(usual_duration(100_Mbps), Duration(60s));
  EXPECT_EQ(usual_duration(300_Mbps), Duration(45s));
  EXPECT_EQ(usual_duration(300'000'001_bps), Duration(30s));
  EXPECT_EQ(warmup_of(60s), Duration(30s));
  EXPECT_EQ(warmup_of(30s), Duration(20s));
}

TEST(Advise, trials_are_of_other_rates_and_of_one_connection_less_and_more) {
  const PathFacts path{.up = 40_Mbps, .down = 400_Mbps, .rtt = 20ms, .buffer = 300ms};
  const Advice advice = advise(path);
  const std::atomic<bool> stop{false};
  // Four seconds of warm-up: seven connections that begin together overfill the buffer, and until
  // the holes are repaired the path is full and the receiving programs get nothing.
  const Trials trials =
      try_out(
          {.path = path, .duration = 6s, .repeat = 1, .jobs = 2}, advice, [](double) {}, stop)
          .value();
  ASSERT_EQ(trials.crowd.size(), 3u);
  EXPECT_EQ(trials.crowd[0].connections, 7u);
  EXPECT_EQ(trials.crowd[2].connections, 9u);
  EXPECT_NEAR(trials.crowd[2].each_mbps.mean * 9, trials.crowd[2].total_mbps.mean, 0.01);
  const auto advised = std::find_if(trials.candidates.begin(), trials.candidates.end(),
                                    [](const Trial& t) { return t.is_advised; });
  ASSERT_NE(advised, trials.candidates.end());
  EXPECT_EQ(advised->fcc, 5_Mbps);
  EXPECT_GT(advised->total_mbps.mean, 0.9 * 40 * 1448 / 1514);
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
  EXPECT_EQ(seen.remark, "");
  // Whoever wrote it was killed.
  std::filesystem::resize_file(capture, std::filesystem::file_size(capture) - 7);
  const PathFacts cut = facts_of_capture(capture).value();
  EXPECT_EQ(cut.connections, 2u);
  EXPECT_NE(cut.remark.find("cut short"), std::string::npos) << cut.remark;
  std::filesystem::remove(capture);

  // The other end sees no round trip.
  const std::string other = std::filesystem::temp_directory_path() / "wh-advise-other.pcap";
  experiment = Experiment::make(spec, {.captures = {{"bottleneck-receiver", other}}}).value();
  experiment->run([](Duration) {});
  ASSERT_TRUE(experiment->finish().has_value());
  const auto blind = facts_of_capture(other);
  ASSERT_FALSE(blind.has_value());
  EXPECT_NE(blind.error().text.find("accepted: --rtt and --buffer"), std::string::npos)
      << blind.error().text;
  const PathFacts told = facts_of_capture(other, true).value();
  EXPECT_NEAR(static_cast<double>(told.up.bps()), 20e6, 2.5e6);
  EXPECT_EQ(told.connections, 2u);
  std::filesystem::remove(other);

  for (const char* bad : {"", "{}", "[]", "{\"flows\":[],\"links\":[]}"}) {
    EXPECT_FALSE(facts_of_run(bad, "bad.json").has_value()) << bad;
  }
  EXPECT_FALSE(facts_of_capture("/no/such/file").has_value());
}

// A server has clients of both families, and addresses of both: one direction all the same.
TEST(PathFacts, a_capture_counts_the_connections_of_both_families) {
  LabSpec spec = pace_lab({net::parse_link_config("rate=20Mbps,delay=15ms,buffer=100ms").value()},
                          {parse_flow("cubic").value(), parse_flow("cubic,ip=6").value(),
                           parse_flow("cubic,rate=5Mbps,reverse").value()})
                     .value();
  spec.duration = 8s;
  const std::string path = testing::TempDir() + fmt::format("wh-families-{}.pcap", ::getpid());
  auto experiment = Experiment::make(spec, {.captures = {{"", path}}}).value();
  experiment->run([](Duration) {});
  ASSERT_TRUE(experiment->finish().has_value());
  const PathFacts seen = facts_of_capture(path).value();
  EXPECT_EQ(seen.connections, 2u);
  EXPECT_NEAR(static_cast<double>(seen.up.bps()), 20e6, 2.5e6);
  std::filesystem::remove(path);
}

// Whoever took a capture may have set the clock meanwhile: from 1970, or back.
TEST(PathFacts, a_clock_that_jumps_is_no_end_of_time) {
  LabSpec spec = pace_lab({net::parse_link_config("rate=20Mbps,delay=15ms,buffer=100ms").value()},
                          {parse_flow("newreno").value()})
                     .value();
  spec.duration = 3s;
  const std::string path = testing::TempDir() + fmt::format("wh-clock-{}.pcap", ::getpid());
  auto experiment = Experiment::make(spec, {.captures = {{"", path}}}).value();
  experiment->run([](Duration) {});
  ASSERT_TRUE(experiment->finish().has_value());
  const std::string taken = host::read_file(path).value();
  // `change` says by how many seconds the n-th packet's clock is off.
  const auto with_clock = [&](auto change) {
    std::string text = taken;
    size_t n = 0;
    for (size_t at = 24; at + 16 <= text.size(); ++n) {
      uint32_t seconds, size;
      std::memcpy(&seconds, &text[at], 4);
      std::memcpy(&size, &text[at + 8], 4);
      seconds += change(n);
      std::memcpy(&text[at], &seconds, 4);
      at += 16 + size;
    }
    EXPECT_GT(n, 1000u);
    EXPECT_TRUE(host::write_file(path, text));
    return facts_of_capture(path);
  };
  const auto set = with_clock([](size_t n) { return n < 8 ? 0u : 1'700'000'000u; });
  ASSERT_TRUE(set) << set.error().text;
  EXPECT_EQ(set->up, 0_bps);  // Hardly anything in fifty years.
  const auto back = with_clock([](size_t n) { return n < 8 ? 1'700'000'000u : 1'600'000'000u; });
  ASSERT_TRUE(back) << back.error().text;
  const auto a_little =
      with_clock([](size_t n) { return n < 1000 ? 1'700'000'002u : 1'700'000'000u; });
  ASSERT_TRUE(a_little) << a_little.error().text;
  EXPECT_LT(a_little->buffer, 1s);
  std::filesystem::remove(path);
}

TEST(PathFacts, a_run_with_impossible_numbers_is_read_for_the_caller_to_refuse) {
  const PathFacts facts = facts_of_run(R"json({"flows": [{"rtt_ms": {"min": 1e300}}],
                       "links": [{"name": "l", "rate_bps": 1e19, "utilization": 1,
                                  "queue_ms": {"max": -1e300}}]})json",
                                       "x.json")
                              .value();
  EXPECT_GT(facts.up, 100_Gbps);
  EXPECT_GT(facts.rtt, 10s);
  EXPECT_EQ(facts.buffer, 0s);
}

PathFacts facts_of(const std::string& link, const std::vector<std::string>& flows, bool alone) {
  std::vector<FlowSpec> parsed;
  for (const std::string& flow : flows) parsed.push_back(parse_flow(flow).value());
  RunPlan plan{.spec = pace_lab({net::parse_link_config(link).value()}, std::move(parsed)).value(),
               .alone = alone};
  plan.spec.duration = 2s;
  const auto run = run_plan(
      plan, [](double) {}, std::atomic<bool>{false});
  return facts_of_run(to_json(run.value().report), "x.json").value();
}

// A paced flow leaves the buffer all but empty, and the lab knows how large it is.
TEST(PathFacts, a_run_has_the_buffer_of_its_lab_whether_it_was_filled_or_not) {
  for (const auto& [buffer, time] :
       {std::pair("250ms", 250.0), {"500000B", 400.0}, {"500p", 500 * 1.2112}}) {
    const std::string link = fmt::format("rate=10Mbps,delay=5ms,buffer={}", buffer);
    EXPECT_NEAR(to_ms(facts_of(link, {"newreno,rate=5Mbps"}, false).buffer), time, 0.1) << buffer;
  }
  // Of the direction that is used.
  EXPECT_NEAR(to_ms(facts_of("rate=10Mbps,delay=5ms,buffer=250ms,rev.buffer=70ms",
                             {"newreno,rate=5Mbps,reverse"}, false)
                        .buffer),
              70, 0.1);
}

TEST(PathFacts, flows_that_had_the_path_for_themselves_are_not_connections_at_a_time) {
  const std::string link = "rate=10Mbps,delay=5ms,buffer=50ms";
  EXPECT_EQ(facts_of(link, {"newreno", "cubic,count=3"}, false).connections, 4u);
  const PathFacts alone = facts_of(
      link, {"newreno,rate=5Mbps", "cubic,count=3,rate=1Mbps", "cubic,background,rate=1Mbps"},
      true);
  EXPECT_EQ(alone.connections, 4u);
  EXPECT_NEAR(to_ms(alone.buffer), 50, 0.1);
}

}  // namespace
}  // namespace wh::lab
