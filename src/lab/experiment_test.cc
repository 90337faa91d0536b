#include "lab/experiment.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "host/system.h"
#include "net/capture.h"

namespace wh::lab {
namespace {

LabSpec lab(const std::string& link, std::vector<std::string> flows, Duration duration = 10s) {
  std::vector<FlowSpec> parsed;
  for (const std::string& text : flows) parsed.push_back(parse_flow(text).value());
  LabSpec spec = pace_lab({net::parse_link_config(link).value()}, std::move(parsed)).value();
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

// Nobody asks for a neighbour across the path: 300 ms for the SYN, 300 ms back, 300 ms for data.
TEST(Experiment, a_flow_begins_with_its_syn) {
  for (const char* ip : {"4", "6"}) {
    const Report report =
        run(lab("rate=10Mbps,delay=300ms,buffer=100ms", {fmt::format("cubic,ip={}", ip)}, 1s));
    EXPECT_GT(report.flows[0].delivered, Bytes(0)) << "IPv" << ip;
  }
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

TEST(Experiment, what_a_warm_up_leaves_out_is_what_a_run_as_long_as_it_counts) {
  const auto run_for = [](Duration duration, Duration warmup) {
    LabSpec spec = lab("rate=20Mbps,delay=10ms,buffer=60ms",
                       {"newreno,name=bulk", "newreno,video=4Mbps:500ms:2s,name=video",
                        "newreno,web=50ms:20kB,name=web"},
                       duration);
    spec.warmup = warmup;
    return run(spec);
  };
  const Duration warmup = 3123456789ns;
  const Report all = run_for(9s, 0s), before = run_for(warmup, 0s), rest = run_for(9s, warmup);
  for (size_t i = 0; i < all.flows.size(); ++i) {
    const FlowReport &whole = all.flows[i], &begun = before.flows[i], &found = rest.flows[i];
    EXPECT_GT(begun.delivered, 100_KiB) << whole.name;
    EXPECT_EQ(found.delivered, whole.delivered - begun.delivered) << whole.name;
    EXPECT_EQ(found.sent, whole.sent - begun.sent) << whole.name;
    EXPECT_EQ(found.retransmitted, whole.retransmitted - begun.retransmitted) << whole.name;
    EXPECT_EQ(found.rtt.count(), whole.rtt.count() - begun.rtt.count()) << whole.name;
    EXPECT_EQ(found.goodput, Rate::of(found.delivered, 9s - warmup)) << whole.name;
  }
  const VideoReport& video = *rest.flows[1].video;
  EXPECT_GT(before.flows[1].video->chunks, 2u);
  EXPECT_EQ(video.chunks, all.flows[1].video->chunks - before.flows[1].video->chunks);
  EXPECT_EQ(video.fetch.count(), video.chunks);
  EXPECT_EQ(video.stalled, all.flows[1].video->stalled - before.flows[1].video->stalled);
  EXPECT_EQ(video.play_delay, Duration::max()) << "it began to play in the warm-up";
  const WebReport& web = *rest.flows[2].web;
  EXPECT_GT(before.flows[2].web->started, 10u);
  EXPECT_EQ(web.started, all.flows[2].web->started - before.flows[2].web->started);
  EXPECT_EQ(web.completed, all.flows[2].web->completed - before.flows[2].web->completed);
  EXPECT_EQ(web.completion.count(), web.completed);
  for (size_t i = 0; i < all.hosts.size(); ++i) {
    for (const auto& [counter, count] : rest.hosts[i].tcp) {
      const auto begun = before.hosts[i].tcp.find(counter);
      const uint64_t left_out = begun == before.hosts[i].tcp.end() ? 0 : begun->second;
      EXPECT_EQ(count, all.hosts[i].tcp.at(counter) - left_out) << counter;
    }
  }
}

// Whoever is done before the statistics begin has none.
TEST(Experiment, a_flow_that_the_warm_up_outlives_counts_nothing) {
  LabSpec spec = lab("rate=10Mbps,delay=10ms", {"newreno,bytes=100kB"}, 5s);
  spec.warmup = 2s;
  const Report report = run(spec);
  EXPECT_EQ(report.flows[0].delivered, 0_B);
  EXPECT_EQ(report.flows[0].goodput, 0_bps);
  EXPECT_EQ(report.flows[0].rtt.count(), 0u);
  EXPECT_GE(report.duration, report.warmup);
  // One that was stopped before them has left nothing out.
  auto stopped = Experiment::make(spec, {}).value();
  stopped->run([&](Duration) { stopped->stop(); });
  EXPECT_EQ(stopped->report().warmup, 0s);
}

TEST(Experiment, same_seed_same_report_and_capture_other_seed_other_report) {
  LabSpec spec = lab("rate=10Mbps,delay=10ms,buffer=50ms,loss=1%", {"newreno", "newreno,ip=6"}, 3s);
  std::vector<std::string> found;
  const std::string path = std::filesystem::temp_directory_path() / "wh-experiment-test.pcap";
  for (const uint64_t seed : {1u, 1u, 2u}) {
    spec.seed = seed;
    auto experiment = Experiment::make(spec, {.captures = {{"", path}}}).value();
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

TEST(Experiment, a_stop_flag_is_heeded_while_it_is_set_up) {
  const std::atomic<bool> stop{true};
  auto experiment =
      Experiment::make(lab("rate=10Mbps,delay=10ms", {"newreno,count=1000"}), {.stop = &stop})
          .value();
  experiment->run([](Duration) { FAIL() << "it ran"; });
  const Report report = experiment->report();
  EXPECT_TRUE(report.interrupted);
  EXPECT_EQ(report.duration, 0s);
  EXPECT_LT(report.flows.size(), 10u);
  EXPECT_NE(to_table(report).find("Jain"), std::string::npos);
}

TEST(Experiment, a_stop_flag_is_heeded_within_a_slice_of_the_run) {
  // A year in slices of 100 ms, each of which is many thousand events.
  LabSpec spec = lab("rate=100Gbps,delay=1us", {"newreno,count=4"}, std::chrono::hours(24 * 365));
  std::atomic<bool> stop{false};
  auto experiment = Experiment::make(spec, {.stop = &stop}).value();
  Timer raise(experiment->loop(), [&] { stop = true; });
  raise.arm(experiment->loop().now() + 5ms);
  experiment->run([](Duration) {});
  EXPECT_TRUE(experiment->report().interrupted);
  EXPECT_GE(experiment->report().duration, 5ms);
  EXPECT_LT(experiment->report().duration, 50ms);
}

TEST(Experiment, dgp_shows_whoever_turned_it_on) {
  LabSpec spec =
      lab("rate=10Mbps,delay=10ms,buffer=50ms",
          {"newreno", "newreno,bytes=100kB", "newreno,rate=1Mbps", "newreno,web=1s:9kB"}, 3s);
  spec.sysctls = {"net.inet.tcp.rack.misc.defprofile=1"};
  auto experiment = Experiment::make(spec, {.sample_every = 100ms}).value();
  experiment->run([](Duration) {});
  const Report report = experiment->report();
  EXPECT_EQ(report.flows[0].profile, "dgp");
  EXPECT_EQ(report.flows[1].profile, "dgp");    // Which has ended.
  EXPECT_EQ(report.flows[2].profile, "fixed");  // Its own rate takes the profile's place.
  EXPECT_EQ(report.flows[3].profile, "dgp");
  size_t known = 0;
  for (const Channel& channel : report.series.flows[0].channels) {
    if (channel.name != "gpest_mbps") continue;
    for (const double v : channel.values) known += !std::isnan(v);
  }
  EXPECT_GT(known, 10u);
  EXPECT_EQ(run(lab("rate=10Mbps", {"newreno"}, 1s)).flows[0].profile, "unpaced");
}

TEST(Experiment, bad_sysctl_trace_or_capture_is_an_error_before_the_run) {
  LabSpec spec = lab("rate=10Mbps", {"newreno"});
  spec.sysctls = {"net.inet.tcp.hpts.min_slep=1"};
  EXPECT_NE(Experiment::make(spec, {}).error().text.find("did you mean"), std::string::npos);
  spec = lab("rate=10Mbps", {"newreno"});
  EXPECT_FALSE(Experiment::make(spec, {.captures = {{"", "/no/such/folder/x.pcap"}}}).has_value());
  spec = lab("trace=/no/such/file", {"newreno"});
  EXPECT_NE(Experiment::make(spec, {}).error().text.find("/no/such/file"), std::string::npos);
  spec = lab("trace=/dev/zero", {"newreno"});
  EXPECT_NE(Experiment::make(spec, {}).error().text.find("/dev/zero: it goes on and on"),
            std::string::npos);
}

TEST(Experiment, bottlenecks_in_a_row_are_crossed_by_both_families_and_by_cross_traffic) {
  const auto link = [](const char* text) { return net::parse_link_config(text).value(); };
  LabSpec spec = pace_lab({link("rate=50Mbps,delay=2ms,buffer=50ms,rev.buffer=50ms"),
                           link("rate=10Mbps,delay=2ms,buffer=50ms,rev.buffer=50ms"),
                           link("rate=50Mbps,delay=2ms,buffer=50ms,rev.buffer=50ms")},
                          {parse_flow("newreno").value(), parse_flow("newreno,ip=6").value(),
                           parse_flow("newreno,from=router1,to=router2,name=cross").value(),
                           parse_flow("newreno,reverse").value()})
                     .value();
  spec.duration = 8s;
  const Report report = run(spec);
  double through = 0;
  for (const FlowReport& f : report.flows) {
    EXPECT_EQ(f.failure, "") << f.name;
    EXPECT_GT(f.goodput, 500_kbps) << f.name;
  }
  for (size_t i = 0; i < 3; ++i) through += static_cast<double>(report.flows[i].goodput.bps());
  EXPECT_NEAR(through, 10e6 * 1448 / 1514, 1e6);  // Three share the middle one,
  EXPECT_GT(report.links[2].utilization, 0.9);
  EXPECT_LT(report.links[0].utilization, 0.25);       // the outer ones have room,
  EXPECT_GE(report.flows[0].rtt.min(), 12'000'000u);  // and propagation adds up.
}

TEST(Experiment, a_kernel_less_lab_of_any_shape_finds_its_ways) {
  // A ring of five hosts and a leaf: every host reaches every other.
  LabSpec spec;
  for (const char* name : {"a", "b", "c", "d", "e", "leaf"}) spec.hosts.push_back({.name = name});
  const net::LinkConfig config = net::parse_link_config("rate=50Mbps,delay=1ms").value();
  const char* ends[][2] = {{"a", "b"}, {"b", "c"}, {"c", "d"},
                           {"d", "e"}, {"e", "a"}, {"c", "leaf"}};
  for (const auto& e : ends) {
    spec.links.push_back(
        {.name = fmt::format("{}{}", e[0], e[1]), .from = e[0], .to = e[1], .config = config});
  }
  for (const HostSpec& from : spec.hosts) {
    for (const HostSpec& to : spec.hosts) {
      if (from.name == to.name) continue;
      for (const char* ip : {"4", "6"}) {
        FlowSpec flow = parse_flow(fmt::format("newreno,bytes=3kB,ip={}", ip)).value();
        flow.from = from.name;
        flow.to = to.name;
        flow.name = from.name + to.name + ip;
        spec.flows.push_back(flow);
      }
    }
  }
  ASSERT_TRUE(check_lab(spec).has_value());
  for (const FlowReport& f : run(spec).flows) EXPECT_EQ(f.delivered, 3000_B) << f.name << f.failure;
}

TEST(Experiment, each_flow_has_the_round_trip_asked_for) {
  const Report report = run(lab("rate=100Mbps,delay=5ms,buffer=50ms",
                                {"newreno,bytes=20kB", "newreno,rtt=60ms,bytes=20kB,start=1s",
                                 "newreno,rtt=60ms,bytes=20kB,start=2s,reverse"}));
  EXPECT_NEAR(static_cast<double>(report.flows[0].rtt.min()) * 1e-6, 10, 1);
  EXPECT_NEAR(static_cast<double>(report.flows[1].rtt.min()) * 1e-6, 60, 1);
  EXPECT_NEAR(static_cast<double>(report.flows[2].rtt.min()) * 1e-6, 60, 1);
}

TEST(Experiment, samples_change_nothing_and_add_up_to_the_goodput) {
  const LabSpec spec = lab("rate=10Mbps,delay=10ms,buffer=50ms,loss=0.5%",
                           {"newreno", "cubic,web=100ms:20kB", "cubic,video=1Mbps:1s:4s"}, 5s);
  const std::string without = to_json(run(spec));
  auto experiment = Experiment::make(spec, {.sample_every = 100ms}).value();
  experiment->run([](Duration) {});
  const Report with = experiment->report();
  EXPECT_EQ(to_json(with), without);
  ASSERT_EQ(with.series.seconds.size(), 50u);
  ASSERT_EQ(with.series.flows.size(), 3u);
  for (size_t i = 0; i < with.flows.size(); ++i) {
    double sum = 0;
    for (const double v : with.series.flows[i].channels[0].values) {
      if (!std::isnan(v)) sum += v;
    }
    EXPECT_NEAR(sum / 50, static_cast<double>(with.flows[i].goodput.bps()) * 1e-6, 0.01);
  }
}

// Nor do they where transfers fail at one end first.
TEST(Experiment, samples_change_nothing_of_short_flows_that_fail) {
  LabSpec spec =
      lab("rate=10Mbps,delay=10ms,loss=80%", {"newreno,web=1s:30kB", "newreno,web=1h"}, 600s);
  const Report without = run(spec);
  EXPECT_GT(without.flows[0].web->failed, 10u);
  auto experiment = Experiment::make(spec, {.sample_every = 77ms}).value();
  experiment->run([](Duration) {});
  EXPECT_EQ(to_json(experiment->report()), to_json(without));
}

TEST(Experiment, captures_at_any_interface_and_names_them_when_there_is_none) {
  const std::string path = std::filesystem::temp_directory_path() / "wh-at-receiver.pcap";
  const LabSpec spec = lab("rate=10Mbps,delay=10ms,loss=5%", {"newreno,bytes=100kB"});
  auto experiment = Experiment::make(spec, {.captures = {{"bottleneck-receiver", path}}}).value();
  experiment->run([](Duration) {});
  const uint64_t delivered = experiment->link(0).forward().counters().delivered.packets;
  ASSERT_TRUE(experiment->finish().has_value());
  uint64_t in = 0;  // What came from the sender, by its MAC address; what it sent is there too.
  const auto packets = net::read_capture(path).value();
  for (const auto& packet : packets) in += packet.bytes.at(11) == 1;
  EXPECT_EQ(in, delivered);
  std::filesystem::remove(path);
  const auto refused = Experiment::make(spec, {.captures = {{"receiver", path}}});
  EXPECT_NE(refused.error().text.find("accepted: bottleneck-sender, bottleneck-receiver"),
            std::string::npos);
}

TEST(Workload, a_video_within_the_path_plays_without_a_stop_and_beyond_it_stops) {
  const Report fits = run(lab("rate=10Mbps,delay=10ms", {"newreno,video=4Mbps:2s:10s"}, 60s));
  ASSERT_TRUE(fits.flows[0].video.has_value());
  EXPECT_EQ(fits.flows[0].video->rebuffers, 0u);
  EXPECT_EQ(fits.flows[0].video->stalled, 0s);
  // A first chunk of 1 MB at 10 Mbps takes 0.8 s and a slow start.
  EXPECT_GT(fits.flows[0].video->play_delay, 800ms);
  EXPECT_LT(fits.flows[0].video->play_delay, 1200ms);
  // The player never has more than its buffer: 60 s were played at most, 10 s are ahead.
  EXPECT_LE(fits.flows[0].video->chunks, 35u);
  EXPECT_GE(fits.flows[0].video->chunks, 33u);

  const Report tight = run(lab("rate=10Mbps,delay=10ms", {"newreno,video=12Mbps:2s:10s"}, 60s));
  // 60 s at 9.56 Mbps carry 47.8 s of a video of 12 Mbps; the rest is waiting, and so is some of
  // the time in which a request is on its way.
  EXPECT_GT(tight.flows[0].video->rebuffers, 3u);
  const double waited =
      to_seconds(tight.flows[0].video->stalled + tight.flows[0].video->play_delay);
  EXPECT_GE(waited, 12.2);
  EXPECT_LE(waited, 18.0);
}

TEST(Workload, onoff_sends_and_is_silent_in_turn) {
  for (const char* flow : {"newreno,onoff=1s:1s", "newreno,onoff=1200kB:1s"}) {
    auto experiment = Experiment::make(lab("rate=10Mbps,delay=5ms,buffer=20ms", {flow}, 20s),
                                       {.sample_every = 100ms})
                          .value();
    experiment->run([](Duration) {});
    const Report report = experiment->report();
    EXPECT_NEAR(static_cast<double>(report.flows[0].goodput.bps()), 4.8e6, 0.5e6) << flow;
    size_t silent = 0;
    for (const double v : report.series.flows[0].channels[0].values) silent += v == 0;
    EXPECT_NEAR(static_cast<double>(silent), 95, 10) << flow;
  }
}

TEST(Workload, onoff_gives_tcp_little_in_advance_so_off_begins_when_told) {
  // The queue holds a second, which is sent whatever happens; a second window unsent behind it
  // would be one more.
  auto experiment =
      Experiment::make(lab("rate=10Mbps,delay=5ms,buffer=1s", {"newreno,onoff=3s:3s"}, 30s),
                       {.sample_every = 100ms})
          .value();
  experiment->run([](Duration) {});
  size_t silent = 0;
  const Report report = experiment->report();
  for (const double v : report.series.flows[0].channels[0].values) silent += v == 0;
  EXPECT_GE(silent, 5u * 18);
}

// What left during the silence says nothing of how fast TCP takes bytes: the next turn would begin
// with twice that, and the one after it with four times.
TEST(Workload, onoff_of_short_turns_stays_silent_between_them) {
  const Report report =
      run(lab("rate=40Mbps,delay=10ms,buffer=100ms", {"newreno,onoff=3ms:400ms"}, 10s));
  EXPECT_LT(report.flows[0].goodput, 12_Mbps);
}

TEST(Workload, onoff_keeps_a_fast_link_full) {
  LabSpec spec = lab("rate=2Gbps,delay=1ms,buffer=5ms", {"newreno,onoff=10s:1s"}, 2s);
  spec.warmup = 1s;
  EXPECT_GT(run(spec).links[0].utilization, 0.98);
}

TEST(Workload, web_completes_short_flows_at_the_rate_and_of_the_size_asked_for) {
  const Report report = run(lab("rate=50Mbps,delay=5ms", {"newreno,web=20ms:10kB"}, 60s));
  ASSERT_TRUE(report.flows[0].web.has_value());
  const WebReport& web = *report.flows[0].web;
  EXPECT_NEAR(static_cast<double>(web.started), 3000, 170);  // Three deviations of 55.
  EXPECT_GE(web.completed + 5, web.started);
  EXPECT_EQ(web.failed, 0u);
  // Log-normal with sigma 1.5: the mean of 3,000 has a deviation of 5 %.
  EXPECT_NEAR(static_cast<double>(report.flows[0].delivered.count()) / 3000, 10'000, 2'000);
  EXPECT_GE(web.completion.min(), 15'000'000u);  // The handshake there and back, the data there.
}

TEST(Experiment, background_is_left_out_of_fairness_and_of_the_end) {
  const Report report = run(
      lab("rate=10Mbps,delay=5ms,buffer=50ms", {"newreno,bytes=1MB", "newreno,background"}, 60s));
  EXPECT_LT(report.duration, 10s);
  EXPECT_EQ(report.jain(), 1);
  EXPECT_TRUE(report.flows[1].background);
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

TEST(Report, says_what_befell_packets_that_were_not_dropped) {
  LabSpec spec =
      lab("rate=10Mbps,delay=10ms,queue=codel,ecn=on,reorder=1%,corrupt=1%", {"newreno"}, 10s);
  spec.sysctls = {"net.inet.tcp.ecn.enable=1"};
  const Report report = run(spec);
  for (const char* what : {"marked", "reordered", "corrupted"}) {
    ASSERT_TRUE(report.links[0].events.contains(what)) << what;
    const auto said = fmt::format("{} {}", report.links[0].events.at(what), what);
    EXPECT_NE(to_table(report).find(said), std::string::npos) << said;
  }
  EXPECT_NE(to_json(report).find("\"events\": {\n        \"corrupted\": "), std::string::npos);
  const Report plain = run(lab("rate=10Mbps,delay=10ms", {"newreno"}, 1s));
  EXPECT_EQ(to_table(plain).find("events"), std::string::npos);
  EXPECT_NE(to_json(plain).find("\"events\": {}"), std::string::npos);
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
