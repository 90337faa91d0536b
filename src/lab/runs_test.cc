#include "lab/runs.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "lab/compare.h"
#include "lab/page.h"
#include "lab/parallel.h"

namespace wh::lab {
namespace {

RunPlan plan_of(std::vector<std::string> flows,
                const char* link = "rate=10Mbps,delay=10ms,buffer=50ms") {
  std::vector<FlowSpec> parsed;
  for (const std::string& text : flows) parsed.push_back(parse_flow(text).value());
  RunPlan plan{.spec = pace_lab({net::parse_link_config(link).value()}, std::move(parsed)).value()};
  plan.spec.duration = 3s;
  return plan;
}

RunResult run(const RunPlan& plan) {
  return run_plan(
             plan, [](double) {}, std::atomic<bool>{false})
      .value();
}

TEST(Parallel, does_each_piece_once_whatever_the_number_of_threads) {
  for (const unsigned jobs : {1u, 2u, 7u, 100u}) {
    std::vector<std::atomic<int>> done(50);
    run_parallel(
        done.size(), jobs, [&](size_t i) { ++done[i]; }, [] {});
    for (const auto& n : done) EXPECT_EQ(n, 1);
  }
  run_parallel(
      0, 4, [](size_t) { FAIL(); }, [] {});
}

TEST(Runs, alone_gives_each_flow_the_path_and_keeps_the_background) {
  RunPlan plan = plan_of({"newreno,name=a", "cubic,name=b", "newreno,web=50ms:20kB,background"});
  plan.alone = true;
  const Report report = run(plan).report;
  ASSERT_EQ(report.flows.size(), 4u);
  EXPECT_EQ(report.flows[0].name, "a");
  EXPECT_TRUE(report.flows[1].background);
  EXPECT_EQ(report.flows[2].name, "b");
  EXPECT_GT(report.flows[0].goodput, 4_Mbps);  // Together they would have half of it each.
  EXPECT_GT(report.flows[2].goodput, 4_Mbps);
  EXPECT_EQ(report.links[0].name, "bottleneck (a)");
  EXPECT_EQ(report.links[2].name, "bottleneck (b)");
  EXPECT_EQ(report.flows[1].name, "newreno web (a)");
  EXPECT_EQ(report.flows[3].name, "newreno web (b)");
  EXPECT_EQ(report.flows[1].web->started, report.flows[3].web->started);  // The same one.
  EXPECT_TRUE(report.alone);
  EXPECT_NE(to_json(report).find("\"alone\": true"), std::string::npos);
}

TEST(Runs, alone_keeps_the_names_that_flows_have_together) {
  RunPlan plan = plan_of({"cubic", "cubic,count=2", "newreno,name=x"});
  plan.alone = true;
  plan.spec.duration = 500ms;
  plan.options.sample_every = 100ms;
  const Report report = run(plan).report;
  std::vector<std::string> names, tracks, links;
  for (const FlowReport& flow : report.flows) names.push_back(flow.name);
  for (const Track& track : report.series.flows) tracks.push_back(track.name);
  for (const LinkReport& link : report.links) links.push_back(link.name);
  EXPECT_EQ(names, (std::vector<std::string>{"cubic-1", "cubic-2", "cubic-3", "x"}));
  EXPECT_EQ(tracks, names);
  EXPECT_EQ(links[0], "bottleneck (cubic-1)");
  EXPECT_EQ(links[2], "bottleneck (cubic-2 to cubic-3)");
  EXPECT_EQ(links[4], "bottleneck (x)");
}

// Ctrl-C before the first of several is done: there is nothing to take a mean of.
TEST(Runs, interrupted_in_the_first_of_several_show_a_single_run) {
  RunPlan plan = plan_of({"newreno"});
  plan.repeat = 10;
  plan.spec.duration = 1h;
  std::atomic<bool> stop{false};
  const RunResult result = run_plan(
                               plan, [&](double share) { stop = share > 0; }, stop)
                               .value();
  EXPECT_TRUE(result.report.interrupted);
  EXPECT_FALSE(result.report.spread.has_value());
  EXPECT_EQ(to_table(result.report).find("over 0 runs"), std::string::npos);
  EXPECT_EQ(to_json(result.report).find("\"repeat\""), std::string::npos);
  EXPECT_EQ(std::count(result.csv.begin(), result.csv.end(), '\n'), 1 + 1);
}

// The article's experiment looks at play delay and rebuffers.
TEST(Runs, repetitions_have_a_spread_of_what_flows_do_and_a_row_each) {
  // Nothing is lost: a timeout at the end of a chunk would be a stop.
  RunPlan plan = plan_of({"newreno,video=4Mbps:500ms:2s", "newreno,web=50ms:20kB"},
                         "rate=10Mbps,delay=10ms,buffer=500ms");
  plan.repeat = 3;
  const RunResult result = run(plan);
  const Spread& spread = *result.report.spread;
  EXPECT_GT(spread.flows[0].figures.at("play_delay_ms").mean, 10);
  EXPECT_EQ(spread.flows[0].figures.at("rebuffers").mean, 0);
  EXPECT_FALSE(spread.flows[0].figures.contains("completed"));
  EXPECT_GT(spread.flows[1].figures.at("completion_p95_ms").mean, 20);
  const auto json = nlohmann::json::parse(to_json(result.report));
  EXPECT_GT(json.at("/repeat/flows/0/play_delay_ms/mean"_json_pointer), 10.0);
  EXPECT_GT(json.at("/repeat/links/0/queue_p95_ms/mean"_json_pointer), 0.0);
  const std::string table = to_table(result.report);
  EXPECT_NE(table.find("The first of 3 runs:\n"), std::string::npos) << table;
  EXPECT_NE(table.rfind("play delay ms"), table.find("play delay ms")) << table;

  const std::string& csv = result.csv;
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 1 + 3 * 2);
  const auto columns = [](const std::string& line) {
    return std::count(line.begin(), line.end(), ',');
  };
  const size_t first = csv.find('\n'), second = csv.find('\n', first + 1);
  EXPECT_NE(csv.substr(0, first).find(",play_delay_ms,rebuffers,"), std::string::npos);
  EXPECT_EQ(columns(csv.substr(first, second - first)), columns(csv.substr(0, first)));
  EXPECT_EQ(columns(csv.substr(second, csv.find('\n', second + 1) - second)),
            columns(csv.substr(0, first)));
}

TEST(Runs, on_several_threads_give_the_same_bytes_as_on_one) {
  RunPlan plan = plan_of({"newreno,name=a", "cubic,name=b"});
  plan.alone = true;
  plan.repeat = 3;
  plan.options.sample_every = 50ms;
  const Report one = run(plan).report;
  plan.jobs = 4;
  const Report four = run(plan).report;
  EXPECT_EQ(to_json(one), to_json(four));
  EXPECT_EQ(to_csv(one.series), to_csv(four.series));
}

TEST(Runs, series_tell_any_two_times_apart) {
  const Series series{{1000.001, 1000.002}, {{"f", {{"pace", {30, kNone}}}}}, {}};
  EXPECT_EQ(to_csv(series), "time_s,f: pace\n1000.001,30\n1000.002,\n");
}

TEST(Runs, repetitions_have_other_beginnings_and_a_spread) {
  RunPlan plan = plan_of({"newreno", "cubic"});
  plan.repeat = 4;
  const Report report = run(plan).report;
  ASSERT_TRUE(report.spread.has_value());
  EXPECT_EQ(report.spread->runs, 4u);
  ASSERT_EQ(report.spread->flows.size(), 2u);
  EXPECT_GT(report.spread->flows[0].figures.at("goodput_mbps").ci95, 0);
  EXPECT_GT(report.spread->flows[0].figures.at("rtt_p95_ms").ci95, 0);
  EXPECT_GT(report.spread->links[0].figures.at("queue_mean_ms").ci95, 0);
  // The lab that the report names is the first repetition, jitter and all.
  const auto again = parse_lab(report.lab, "again.toml");
  ASSERT_TRUE(again.has_value()) << again.error().text;
  EXPECT_EQ(again->start_jitter, kRepeatJitter);
  const Report same = run({.spec = *again}).report;
  EXPECT_EQ(same.flows[0].goodput, report.flows[0].goodput);
}

TEST(Runs, one_that_is_stopped_reports_the_time_so_far) {
  RunPlan plan = plan_of({"newreno"});
  plan.spec.duration = 1h;
  std::atomic<bool> stop{false};
  const auto result = run_plan(
      plan, [&](double share) { stop = share > 0; }, stop);
  ASSERT_TRUE(result.has_value());
  EXPECT_TRUE(result->report.interrupted);
  EXPECT_LT(result->report.duration, 60s);
}

TEST(Runs, a_capture_onto_a_full_disk_leaves_the_report_whole) {
  RunPlan plan = plan_of({"newreno"});
  plan.options.captures = {{"", "/dev/full"}};
  const RunResult result = run(plan);
  EXPECT_GT(result.report.flows[0].goodput, 4_Mbps);
  ASSERT_FALSE(result.captures.has_value());
  EXPECT_NE(result.captures.error().text.find("/dev/full"), std::string::npos);
}

TEST(Estimate, interval_is_students) {
  // Mean 3, deviation sqrt(2.5), t(4) = 2.776: half a width of 1.963.
  const Estimate e = estimate({1, 2, 3, 4, 5});
  EXPECT_DOUBLE_EQ(e.mean, 3);
  EXPECT_NEAR(e.ci95, 2.776 * std::sqrt(2.5 / 5), 1e-9);
  EXPECT_TRUE(std::isnan(estimate({7}).ci95));
  EXPECT_EQ(estimate({4, 4, 4}).ci95, 0);
  // Thirty-one degrees of freedom: t is 2.0395, beyond the table.
  std::vector<double> values(32, 0.0);
  values[0] = 32;
  EXPECT_NEAR(estimate(values).ci95, 2.0395 * 1, 0.001);
}

TEST(Compare, pairs_flows_and_tells_chance_from_difference) {
  RunPlan plan = plan_of({"newreno,name=x"});
  plan.repeat = 4;
  const std::string a = to_json(run(plan).report);
  plan.spec.links[0].config.forward.rate = 20_Mbps;
  const std::string b = to_json(run(plan).report);
  const Comparison differ = compare(a, "a.json", b, "b.json").value();
  const auto json = nlohmann::json::parse(differ.json);
  EXPECT_EQ(json["rows"][0]["figure"], "goodput Mbps");
  EXPECT_EQ(json["rows"][0]["beyond_chance"], true);
  EXPECT_GT(json["rows"][0]["difference"], 5.0);
  const Comparison same = compare(a, "a.json", a, "b.json").value();
  EXPECT_EQ(nlohmann::json::parse(same.json)["rows"][0]["beyond_chance"], false);

  const std::string once = to_json(run(plan_of({"newreno,name=x"})).report);
  EXPECT_NE(compare(once, "a", once, "b").value().table.find("--repeat"), std::string::npos);
  for (const char* bad : {"", "[]", "{\"flows\": 3}", "{\"flows\": [{}]}", "nonsense"}) {
    EXPECT_FALSE(compare(bad, "bad.json", a, "a.json").has_value()) << bad;
  }
}

void expect_no_difference(const std::string& document) {
  const auto json = nlohmann::json::parse(compare(document, "a", document, "b").value().json);
  EXPECT_GE(json["rows"].size(), 12u);
  for (const auto& row : json["rows"]) EXPECT_EQ(row["difference"], 0.0) << row;
}

TEST(Compare, keeps_flows_that_are_alike_apart) {
  RunPlan plan = plan_of({"cubic", "cubic"});
  plan.repeat = 2;
  std::string document = to_json(run(plan).report);
  EXPECT_NE(document.find("\"cubic-2\""), std::string::npos);
  expect_no_difference(document);
  // As older documents had them.
  for (const char* name : {"cubic-1", "cubic-2"}) {
    for (size_t at; (at = document.find(name)) != std::string::npos;)
      document.replace(at, 7, "cubic");
  }
  expect_no_difference(document);
}

TEST(Compare, has_what_flows_do_and_the_queue_and_says_what_it_leaves_out) {
  const std::string a =
      to_json(run(plan_of({"newreno,video=4Mbps:500ms:2s,name=v", "cubic,name=c"})).report);
  const std::string b =
      to_json(run(plan_of({"cubic,video=4Mbps:500ms:2s,name=v", "newreno,web,name=w"})).report);
  const Comparison differ = compare(a, "a.json", b, "b.json").value();
  for (const char* figure :
       {"play delay ms", "rebuffers", "fetch p95 ms", "queue p95 ms", "drops"}) {
    EXPECT_NE(differ.table.find(figure), std::string::npos) << figure << "\n" << differ.table;
  }
  EXPECT_NE(differ.table.find("only in a.json: c\nonly in b.json: w\n"), std::string::npos)
      << differ.table;
  EXPECT_EQ(nlohmann::json::parse(differ.json)["only_b"][0], "w");
}

TEST(Compare, refuses_documents_that_are_not_whole) {
  const std::string good = R"({"flows": [{"name": "a", "goodput_bps": 5}]})";
  for (const char* bad :
       {R"({"flows": {"x": {"name": "a"}}})",
        R"({"flows": [{"name": "a"}], "links": {"x": {"name": "y"}}})",
        R"({"flows": [{"name": "a"}], "links": 3})",
        R"({"flows": [{"name": "a"}], "repeat": {"flows": [1]}})",
        R"({"flows": [{"name": "a"}], "repeat": {"flows": {"x": {"name": "a"}}}})",
        R"({"flows": [{"name": "a"}], "repeat": {"links": [{"name": 1}]}})"}) {
    EXPECT_FALSE(compare(bad, "bad.json", good, "a.json").has_value()) << bad;
    EXPECT_FALSE(compare(good, "a.json", bad, "bad.json").has_value()) << bad;
  }
}

// A file's name may be any bytes.
TEST(Document, is_written_whatever_a_trace_is_called) {
  Report report = run(plan_of({"newreno,name=a"})).report;
  report.lab += "trace = \"\xff.down\"";
  EXPECT_TRUE(nlohmann::json::accept(to_json(report)));
  EXPECT_NE(to_page(report, "wh pace --link trace=\xff.down").find("id=\"data\""),
            std::string::npos);
  const std::string json = to_json(report);
  EXPECT_TRUE(nlohmann::json::accept(compare(json, "\xff", json, "b").value().json));
}

TEST(Page, is_one_file_that_holds_the_document_and_refers_to_nothing_outside) {
  RunPlan plan = plan_of({"newreno"});
  plan.spec.flows[0].name = "</script><b>";
  plan.options.sample_every = 100ms;
  const Report report = run(plan).report;
  const std::string page = to_page(report, "wh pace");
  for (const char* place : {"{{title}}", "{{style}}", "{{data}}", "{{script}}", "{{library}}"}) {
    EXPECT_EQ(page.find(place), std::string::npos) << place;
  }
  EXPECT_EQ(page.find("</script><b>"), std::string::npos);
  for (const char* outside : {"src=\"http", "href=\"http", "url(http", "@import"}) {
    EXPECT_EQ(page.find(outside), std::string::npos) << outside;
  }
  const std::string mark = "id=\"data\">";
  const size_t from = page.find(mark) + mark.size();
  const auto json = nlohmann::json::parse(page.substr(from, page.find("</script>", from) - from));
  EXPECT_EQ(json["report"], nlohmann::json::parse(to_json(report)));
  EXPECT_EQ(json["series"]["seconds"].size(), 30u);
  EXPECT_EQ(json["distributions"]["flows"][0]["rtt_ms"].size(), 201u);
}

}  // namespace
}  // namespace wh::lab
