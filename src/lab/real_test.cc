// The same flows on real packets: our TCP and the Linux kernel's, with an emulated link and a TAP
// device between.
#include <gtest/gtest.h>

#include "host/capabilities.h"
#include "lab/experiment.h"

namespace wh::lab {
namespace {

class Real : public ::testing::Test {
 protected:
  void SetUp() override {
    if (auto can = host::can_use_tap(); !can) GTEST_SKIP() << can.error().text;
  }
  // Runs the flows with a kernel as receiver (or sender, of those that are reversed).
  static Report run(const std::string& link, const std::vector<std::string>& flows,
                    Duration duration) {
    std::vector<FlowSpec> parsed;
    for (const std::string& text : flows) parsed.push_back(parse_flow(text).value());
    LabSpec spec = pace_lab({net::parse_link_config(link).value()}, std::move(parsed)).value();
    spec.hosts.back().kind = HostKind::Kernel;
    spec.duration = duration;
    auto experiment = Experiment::make(spec, {});
    if (!experiment) {
      ADD_FAILURE() << experiment.error().text;
      return {};
    }
    (*experiment)->run([](Duration) {});
    return (*experiment)->report();
  }
};

TEST_F(Real, asks_nothing_of_the_kernel_that_it_cannot_do) {
  const auto lab = [](FlowSpec flow) {
    LabSpec spec =
        pace_lab({net::parse_link_config("delay=1ms").value()}, {std::move(flow)}).value();
    spec.hosts.back().kind = HostKind::Kernel;
    return spec;
  };
  for (const char* flow : {"dgp,reverse", "profile=fill,reverse"}) {
    const auto checked = check_lab(lab(parse_flow(flow).value()));
    ASSERT_FALSE(checked.has_value());
    EXPECT_NE(checked.error().text.find("neither DGP nor FillCwBw"), std::string::npos);
  }
  FlowSpec odd = parse_flow("cubic,reverse").value();
  odd.cc = "odd";  // As one that it was built without.
  const auto experiment = Experiment::make(lab(odd), {});
  ASSERT_FALSE(experiment.has_value());
  EXPECT_NE(experiment.error().text.find("congestion control 'odd'"), std::string::npos);
}

TEST_F(Real, every_byte_reaches_the_kernel_through_loss_reordering_and_duplication) {
  const Report report =
      run("rate=50Mbps,delay=2ms,buffer=50ms,loss=2%,reorder=2%,dup=1%,rev.loss=2%",
          {"newreno,bytes=1MB", "newreno,bytes=1MB,ip=6"}, 30s);
  ASSERT_EQ(report.flows.size(), 2u);
  for (const FlowReport& flow : report.flows) {
    EXPECT_EQ(flow.failure, "");
    EXPECT_EQ(flow.delivered, Bytes(1'000'000)) << flow.name;
  }
  EXPECT_TRUE(report.real_time);
}

TEST_F(Real, every_byte_of_the_kernel_reaches_us_through_loss_reordering_and_duplication) {
  const Report report =
      run("rate=50Mbps,delay=2ms,buffer=50ms,rev.loss=2%,rev.reorder=2%,rev.dup=1%,loss=2%",
          {"newreno,bytes=1MB,reverse", "newreno,bytes=1MB,ip=6,reverse"}, 30s);
  ASSERT_EQ(report.flows.size(), 2u);
  for (const FlowReport& flow : report.flows) {
    EXPECT_EQ(flow.failure, "");
    EXPECT_EQ(flow.delivered, Bytes(1'000'000)) << flow.name;
  }
}

TEST_F(Real, the_pace_of_our_flows_is_reported_whoever_chose_it) {
  const Report report = run("rate=20Mbps,delay=2ms,buffer=50ms",
                            {"newreno,profile=fill", "newreno,rate=3Mbps", "newreno"}, 3s);
  ASSERT_EQ(report.flows.size(), 3u);
  ASSERT_TRUE(report.flows[0].pace.has_value());
  EXPECT_GT(*report.flows[0].pace, 0_bps);
  EXPECT_EQ(report.flows[1].pace, 3_Mbps);
  EXPECT_FALSE(report.flows[2].pace.has_value());
}

// Fifty programs of the kernel's are not started in half a second.
TEST_F(Real, time_counts_from_when_all_is_set_up) {
  const Report report =
      run("rate=50Mbps,delay=1ms,buffer=50ms",
          {"newreno,count=50,bytes=1kB", "newreno,count=50,bytes=1kB,reverse"}, 600ms);
  Bytes ours, kernels;
  for (size_t i = 0; i < 50; ++i) ours += report.flows[i].delivered;
  for (size_t i = 50; i < 100; ++i) kernels += report.flows[i].delivered;
  EXPECT_GT(ours, 0_B);
  EXPECT_GT(kernels, 10_KiB);  // Most of them, not one after the other.
}

TEST_F(Real, goodput_is_of_the_time_until_a_flow_is_done) {
  const Report report =
      run("rate=20Mbps,delay=1ms,buffer=50ms",
          {"newreno,bytes=50kB", "newreno,bytes=50kB,reverse", "newreno,rate=1Mbps"}, 3s);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(report.flows[i].delivered, Bytes(50'000));
    // Twice what it is over the whole run.
    EXPECT_GT(report.flows[i].goodput, Rate::of(Bytes(100'000), 3s)) << report.flows[i].name;
  }
}

TEST_F(Real, a_run_without_an_end_is_reported_by_both_sides) {
  const Report report =
      run("rate=20Mbps,delay=2ms,buffer=50ms", {"newreno", "newreno,reverse"}, 3s);
  ASSERT_EQ(report.flows.size(), 2u);
  for (const FlowReport& flow : report.flows) {
    EXPECT_EQ(flow.failure, "");
    EXPECT_GT(flow.delivered, 100_KiB) << flow.name;
    EXPECT_GT(flow.sent, 100_KiB) << flow.name;
  }
}

}  // namespace
}  // namespace wh::lab
