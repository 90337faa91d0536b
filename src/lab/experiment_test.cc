#include "lab/experiment.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "host/system.h"

namespace wh::lab {
namespace {

LabSpec lab(const std::string& link, std::vector<std::string> flows, Duration duration = 10s) {
  std::vector<FlowSpec> parsed;
  for (const std::string& text : flows) parsed.push_back(parse_flow(text).value());
  LabSpec spec = pace_lab(net::parse_link_config(link).value(), std::move(parsed));
  spec.duration = duration;
  return spec;
}

Report run(const LabSpec& spec) {
  auto experiment = Experiment::make(spec, {}).value();
  experiment->run([](Duration) {});
  experiment->check_invariants();
  return experiment->report();
}

TEST(Experiment, a_full_link_gives_exactly_payload_over_frame_of_its_rate) {
  // Once the queue stands, every nanosecond of the link carries 1514-byte frames with 1448 of
  // payload.
  LabSpec spec = lab("rate=40Mbps,delay=10ms,buffer=100ms", {"newreno"}, 60s);
  spec.warmup = 10s;
  const Report report = run(spec);
  EXPECT_NEAR(static_cast<double>(report.flows[0].goodput.bps()), 40e6 * 1448 / 1514, 40e6 * 0.001);
  EXPECT_NEAR(report.links[0].utilization, 1.0, 1e-4);
  EXPECT_EQ(report.flows[0].failure, "");
}

TEST(Experiment, every_congestion_control_that_a_flow_may_name_exists) {
  for (const std::string& name : congestion_controls()) {
    const Report report = run(lab("rate=10Mbps,delay=5ms,buffer=50ms", {"cc=" + name}, 2s));
    EXPECT_EQ(report.flows[0].failure, "") << name;
    EXPECT_GT(report.flows[0].goodput, 5_Mbps) << name;
  }
}

TEST(Experiment, a_paced_flow_sends_the_rate_asked_for_in_frames) {
  for (const char* ip : {"4", "6"}) {
    LabSpec spec = lab("rate=100Mbps,delay=10ms,buffer=100ms",
                       {fmt::format("newreno,rate=12Mbps,ip={}", ip)}, 60s);
    spec.warmup = 10s;
    const Report report = run(spec);
    const double payload = *ip == '4' ? 1448 : 1428;
    EXPECT_NEAR(static_cast<double>(report.flows[0].goodput.bps()), 12e6 * payload / 1514,
                12e6 * 0.001)
        << "IPv" << ip;
    EXPECT_EQ(report.flows[0].profile, "fixed");
    EXPECT_TRUE(report.links[0].drops.empty());
  }
}

TEST(Experiment, round_trip_is_the_hand_computed_one_on_an_empty_path) {
  // One frame of 1514 bytes at 40 Mbps takes 302.8 us, its acknowledgment of 66 bytes 13.2 us, and
  // the propagation 20 ms; a flow of one segment waits for nothing else but the delayed
  // acknowledgment's timer.
  LabSpec spec = lab("rate=40Mbps,delay=10ms", {"newreno,bytes=2896B"});
  const Report report = run(spec);
  EXPECT_EQ(report.flows[0].delivered, 2896_B);
  EXPECT_GE(report.flows[0].rtt.min(), 20'000'000u + 13'200u);
  EXPECT_LE(report.flows[0].rtt.min(), 20'000'000u + 2 * 302'800u + 13'200u + 50'000u);
}

TEST(Experiment, flows_of_both_directions_and_families_finish) {
  const Report report =
      run(lab("rate=10Mbps,delay=5ms,buffer=50ms,loss=1%,rev.loss=1%",
              {"newreno,bytes=500kB", "newreno,bytes=500kB,reverse", "newreno,bytes=500kB,ip=6",
               "newreno,bytes=500kB,ip=6,reverse,count=3"},
              60s));
  ASSERT_EQ(report.flows.size(), 6u);
  for (const FlowReport& flow : report.flows) {
    EXPECT_EQ(flow.delivered, Bytes(500'000)) << flow.name << " " << flow.failure;
  }
  EXPECT_LT(report.duration, 60s);  // It ends when everything is done.
}

TEST(Experiment, warmup_is_left_out_of_every_statistic) {
  LabSpec spec = lab("rate=10Mbps,delay=10ms,buffer=200ms", {"newreno,start=2s"}, 6s);
  spec.warmup = 1s;
  const Report report = run(spec);
  // Nothing but the time before the flow began lies between the warm-up and the measured goodput.
  EXPECT_GT(report.flows[0].goodput, 8_Mbps);
  EXPECT_LT(report.links[0].utilization, 0.85);
}

TEST(Experiment, same_seed_same_report_and_capture_other_seed_other_report) {
  LabSpec spec = lab("rate=10Mbps,delay=10ms,buffer=50ms,loss=1%", {"newreno", "newreno,ip=6"}, 3s);
  std::vector<std::string> found;
  const std::string path = std::filesystem::temp_directory_path() / "wh-experiment-test.pcap";
  for (const uint64_t seed : {1u, 1u, 2u}) {
    spec.seed = seed;
    auto experiment = Experiment::make(spec, {.pcap = path}).value();
    experiment->run([](Duration) {});
    ASSERT_TRUE(experiment->finish().has_value());
    found.push_back(to_table(experiment->report()) + host::read_file(path).value());
  }
  std::filesystem::remove(path);
  EXPECT_EQ(found[0], found[1]);
  EXPECT_NE(found[0], found[2]);
}

TEST(Experiment, stop_leaves_a_report_of_the_time_so_far) {
  auto experiment = Experiment::make(lab("rate=10Mbps,delay=10ms", {"newreno"}), {}).value();
  experiment->run([&](Duration done) {
    if (done >= 2s) experiment->stop();
  });
  const Report report = experiment->report();
  EXPECT_TRUE(report.interrupted);
  EXPECT_GE(report.duration, 2s);
  EXPECT_LT(report.duration, 3s);
  EXPECT_GT(report.flows[0].delivered, 1_MiB);
}

TEST(Experiment, bad_sysctl_trace_or_capture_is_an_error_before_the_run) {
  LabSpec spec = lab("rate=10Mbps", {"newreno"});
  spec.sysctls = {"net.inet.tcp.hpts.min_slep=1"};
  EXPECT_NE(Experiment::make(spec, {}).error().text.find("did you mean"), std::string::npos);
  spec = lab("rate=10Mbps", {"newreno"});
  EXPECT_FALSE(Experiment::make(spec, {.pcap = "/no/such/folder/x.pcap"}).has_value());
  spec = lab("trace=/no/such/file", {"newreno"});
  EXPECT_NE(Experiment::make(spec, {}).error().text.find("/no/such/file"), std::string::npos);
}

TEST(Report, json_has_what_the_issue_names) {
  const Report report =
      run(lab("rate=10Mbps,delay=10ms,buffer=50ms", {"newreno", "newreno,rate=2Mbps"}, 2s));
  const std::string json = to_json(report);
  for (const char* key : {"\"name\"",
                          "\"cc\"",
                          "\"profile\"",
                          "\"goodput_bps\"",
                          "\"sent_bytes\"",
                          "\"retransmitted_bytes\"",
                          "\"rtt_ms\"",
                          "\"min\"",
                          "\"mean\"",
                          "\"p50\"",
                          "\"p95\"",
                          "\"p99\"",
                          "\"max\"",
                          "\"cwnd_bytes\"",
                          "\"pace_bps\": 2000000",
                          "\"pace_bps\": null",
                          "\"utilization\"",
                          "\"queue_ms\"",
                          "\"drops\"",
                          "\"jain\"",
                          "\"seed\": 1",
                          "\"version\""}) {
    EXPECT_NE(json.find(key), std::string::npos) << key;
  }
}

TEST(Report, jain_is_one_for_equals_and_one_nth_for_a_monopoly) {
  Report report;
  report.flows.resize(4);
  EXPECT_EQ(report.jain(), 1);
  for (auto& flow : report.flows) flow.goodput = 5_Mbps;
  EXPECT_DOUBLE_EQ(report.jain(), 1);
  for (size_t i = 1; i < 4; ++i) report.flows[i].goodput = Rate();
  EXPECT_DOUBLE_EQ(report.jain(), 0.25);
}

}  // namespace
}  // namespace wh::lab
