#include "lab/spec.h"

#include <gtest/gtest.h>

namespace wh::lab {
namespace {

TEST(Flow, text_is_read_and_printed_alike) {
  for (const char* text :
       {"cc=newreno", "cc=newreno,name=a,rate=12Mbps,start=5s,bytes=10MB,count=3,ip=6,reverse",
        "cc=cubic,rtt=80ms,onoff=500kB:1s,background", "cc=cubic,from=router1,to=receiver",
        "cc=cubic,web=100ms:50kB", "cc=cubic,video=8Mbps:4s:20s"}) {
    EXPECT_EQ(print_flow(parse_flow(text).value()), text);
  }
  EXPECT_EQ(parse_flow("newreno,rate=1Mbps").value(), parse_flow("rate=1Mbps,cc=newreno").value());
  EXPECT_EQ(parse_flow("newreno,reverse").value().from, "receiver");
}

TEST(Flow, errors_name_the_key_and_what_is_accepted) {
  const struct {
    const char* text;
    const char* says;
  } cases[] = {
      {"cc=cubicc", "unknown congestion control 'cubicc'; accepted: "},
      {"rat=12Mbps", "did you mean rate?"},
      {"rate=0bps", "'0bps' cannot be paced; accepted: 8kbps to 1Tbps"},
      {"rate=infinite", "cannot be paced"},
      {"rate=-1Mbps", "negative"},
      {"start=-1s", "before the run begins"},
      {"bytes=0B", "sends nothing"},
      {"count=0", "a whole number from 1 to 200000"},
      {"count=1000000", "a whole number from 1 to 200000"},
      {"ip=5", "accepted: 4, 6"},
      {"", "flow: nothing is said of it; accepted: a congestion control (newreno, "},
      {"newreno,,", "flow 'newreno,,': a key is missing beside a comma"},
      {"newreno,", "a key is missing beside a comma"},
      {"=1", "a key is missing"},
      {"cc=cubic,start=1s,start=2s", "start: is given twice"},
      {"newreno,cc=cubic", "cc: is given twice"},
      {"dgp,profile=fill", "profile: is given twice"},
      {"rate=2Tbps", "'2Tbps' cannot be paced; accepted: 8kbps to 1Tbps"},
      {"dgp,fcc=2Tbps", "'2Tbps' is not an FCC; accepted: a rate such as 5Mbps, at most 1Tbps"},
      {"reverse=yes", "takes no value"},
      {"background=1", "takes no value"},
      {"rtt=0s", "is no round trip"},
      {"rtt=9999h", "rtt: '9999h' is no round trip; accepted: above 0s, at most 1h"},
      {"web,video", "has a workload already: web=100ms:50kB"},
      {"onoff=2s:0s", "out of range"},
      {"video=8Mbps:4s:3s", "no room for a chunk of 4s"},
      {"video=8Mbps:4s:20s:1", "too many parts; accepted: video=RATE:TIME:TIME"},
      {"web=:50kB", "is not a duration"},
  };
  for (const auto& c : cases) {
    const auto flow = parse_flow(c.text);
    ASSERT_FALSE(flow.has_value()) << c.text;
    EXPECT_NE(flow.error().text.find(c.says), std::string::npos) << flow.error().text;
  }
}

LabSpec sample() {
  std::vector<FlowSpec> flows;
  for (const char* text :
       {"newreno", "newreno,rate=12Mbps,start=5s,count=2", "newreno,ip=6,reverse,bytes=1MB",
        "cubic,video=5Mbps:2s:8s,background", "cubic,web=50ms:20kB", "cubic,onoff=1s:2s",
        "cubic,rtt=80ms", "cubic,rtt=80ms,reverse"}) {
    flows.push_back(parse_flow(text).value());
  }
  LabSpec spec =
      pace_lab({net::parse_link_config("rate=40Mbps,delay=10ms,buffer=100ms,loss=1%,rev.rate=5Mbps")
                    .value()},
               std::move(flows))
          .value();
  spec.start_jitter = 20ms;
  spec.seed = 7;
  spec.warmup = 2s;
  spec.sysctls = {"net.inet.tcp.sack.enable=0"};
  return spec;
}

TEST(Lab, file_is_read_and_printed_alike) {
  const LabSpec spec = sample();
  const std::string text = print_lab(spec);
  const auto again = parse_lab(text, "x.toml");
  ASSERT_TRUE(again.has_value()) << again.error().text << "\n" << text;
  EXPECT_EQ(print_lab(*again), text);
  EXPECT_EQ(again->flows, spec.flows);
  EXPECT_EQ(again->hosts, spec.hosts);
  EXPECT_EQ(again->links[0].config, spec.links[0].config);
  EXPECT_EQ(again->sysctls, spec.sysctls);
}

TEST(Lab, nested_sysctl_tables_are_names) {
  const auto spec = parse_lab(
      "[sysctl]\nnet.inet.tcp.hpts.min_sleep = 500\n"
      "[[host]]\nname='a'\n[[host]]\nname='b'\n[[link]]\nfrom='a'\nto='b'\ndelay='1ms'\n"
      "[[flow]]\nfrom='a'\nto='b'\n",
      "x.toml");
  ASSERT_TRUE(spec.has_value()) << spec.error().text;
  EXPECT_EQ(spec->sysctls, (std::vector<std::string>{"net.inet.tcp.hpts.min_sleep=500"}));
}

// As wh pace is given them: a file is not asked what it is called.
TEST(Lab, odd_names_are_printed_so_that_they_come_back) {
  LabSpec spec = sample();
  spec.sysctls = {"a..b=1", "net.\"x\\ y.z=2 =3"};
  spec.links[0].config.forward.rate = Rate::infinite();
  spec.links[0].config.forward.buffer = uint64_t{100};
  spec.links[0].config.forward.trace_file = "a\nb\x01\x7f\"c";
  const auto again = parse_lab(print_lab(spec), "x.toml");
  ASSERT_TRUE(again.has_value()) << again.error().text << "\n" << print_lab(spec);
  EXPECT_EQ(again->sysctls, spec.sysctls);
  EXPECT_EQ(again->links[0].config.forward.trace_file, spec.links[0].config.forward.trace_file);
}

// A flag may say anew what a file has said.
TEST(Lab, the_last_word_on_a_sysctl_is_the_one) {
  LabSpec spec = sample();
  spec.sysctls = {"net.inet.tcp.recvspace=1", "net.inet.tcp.recvspace_more=2"};
  spec.assign("net.inet.tcp.recvspace=3");
  EXPECT_EQ(spec.sysctls, (std::vector<std::string>{"net.inet.tcp.recvspace_more=2",
                                                    "net.inet.tcp.recvspace=3"}));
  EXPECT_TRUE(parse_lab(print_lab(spec), "x.toml").has_value());
}

TEST(Lab, errors_name_the_file_and_the_line) {
  const std::string tail = "[[host]]\nname='a'\n[[host]]\nname='b'\n";
  const struct {
    std::string text;
    const char* says;
  } cases[] = {
      {"seed = ", "x.toml:1: "},
      {"\nseed = -1\n", "x.toml:2: seed: a whole number"},
      {"duration = '10 s'", "x.toml:1: duration: '10 s' is not a duration"},
      {"\n\ncolour = 'red'", "x.toml:3: colour: unknown key; accepted: seed, "},
      {"[[host]]\nname='a'\nkind='kernal'",
       "x.toml:3: kind: unknown 'kernal'; accepted: vnet, kernel"},
      {"[[host]]\nkind='vnet'", "it has no name"},
      {tail + "[[link]]\nfrom='a'\nto='b'\nrate='fast'", "x.toml:5: link: "},
      {tail + "[[link]]\nto='b'", "it has no from"},
      {tail + "[[link]]\nfrom='a'\nto='b'\ndelay='1ms'\n[[flow]]\nfrom='a'\nto='b'\nrtt='80ms'",
       "in a lab file, give it a host"},
      {tail + "[[link]]\nfrom='a'\nto='b'\ndelay='1ms'\n[[link]]\nname='link0'\nfrom='a'\nto='b'\n",
       "two links are named 'link0'"},
      {tail + "[[link]]\nfrom='a'\nto='c'\n[[flow]]\nfrom='a'\nto='b'", "there is no host 'c'"},
      {tail + "[[link]]\nfrom='a'\nto='b'\ndelay='1ms'", "there is no flow"},
      {tail + "[[flow]]\nfrom='a'\nto='b'", "there is no link"},
      {tail + tail + "[[link]]\nfrom='a'\nto='b'\n[[flow]]\nfrom='a'\nto='b'",
       "two hosts are named 'a'"},
      {"[[link]]\nfrom='a'\nto='b'\nloss='1%'\n[[flow]]\nfrom='a'\nto='b'",
       "x.toml: link 'link0' has neither a rate nor a delay"},
      {"[[link]]\nfrom='a'\nto='b'\nrate='99999Tbps'\n[[flow]]\nfrom='a'\nto='b'",
       "x.toml:1: link: link: rate=99999Tbps: out of range; accepted: above 0bps, at most 1Tbps"},
      {"seed = 1\nsysctl = 3",
       "x.toml:2: sysctl: not a table; accepted: [sysctl], and NAME = VALUE"},
      {"host = 3", "x.toml:1: host: write [[host]]"},
      {"[[flow]]\nrate = ['1Mbps']", "a text or a number"},
  };
  for (const auto& c : cases) {
    const auto spec = parse_lab(c.text, "x.toml");
    ASSERT_FALSE(spec.has_value()) << c.text;
    EXPECT_NE(spec.error().text.find(c.says), std::string::npos) << spec.error().text;
  }
}

TEST(Lab, hosts_that_only_links_name_are_there) {
  const auto spec =
      parse_lab("[[link]]\nfrom='a'\nto='b'\ndelay='1ms'\n[[flow]]\nfrom='a'\nto='b'\n", "x.toml");
  ASSERT_TRUE(spec.has_value()) << spec.error().text;
  ASSERT_EQ(spec->hosts.size(), 2u);
  EXPECT_EQ(spec->hosts[0].name, "a");
}

TEST(PaceLab, links_in_a_row_are_joined_by_routers) {
  const auto link = net::parse_link_config("rate=10Mbps,delay=5ms").value();
  const LabSpec spec = pace_lab({link, link, link}, {parse_flow("cubic").value()}).value();
  ASSERT_EQ(spec.links.size(), 3u);
  EXPECT_EQ(spec.links[1].from, "router1");
  EXPECT_EQ(spec.links[1].to, "router2");
  EXPECT_EQ(spec.hosts.back().name, "receiver");
}

TEST(PaceLab, a_flow_with_a_round_trip_of_its_own_has_a_host_and_a_wire) {
  const auto link = net::parse_link_config("rate=10Mbps,delay=5ms").value();
  const LabSpec spec =
      pace_lab({link}, {parse_flow("cubic,rtt=10ms").value(), parse_flow("cubic,rtt=11ms").value(),
                        parse_flow("cubic,rtt=11ms,reverse").value()})
          .value();
  ASSERT_EQ(spec.links.size(), 2u);  // The path's own round trip needs none, and one serves both.
  EXPECT_EQ(spec.flows[0].from, "sender");
  EXPECT_EQ(spec.flows[1].from, "sender-11ms");
  EXPECT_EQ(spec.flows[2].to, "sender-11ms");
  EXPECT_EQ(spec.links[1].config.forward.delay + spec.links[1].config.reverse.delay, 1ms);
  EXPECT_TRUE(check_lab(spec).has_value());

  // The same round trip over a part of the path only takes a longer wire.
  const LabSpec two =
      pace_lab({link, link}, {parse_flow("cubic,rtt=50ms").value(),
                              parse_flow("cubic,rtt=50ms,to=router1").value(),
                              parse_flow("cubic,rtt=50ms,to=router1,reverse").value()})
          .value();
  ASSERT_EQ(two.links.size(), 4u);
  EXPECT_EQ(two.flows[1].from, "sender-50ms-router1");
  EXPECT_EQ(two.flows[2].to, "sender-50ms-router1");
  const auto wire = [&](size_t i) {
    return two.links[i].config.forward.delay + two.links[i].config.reverse.delay;
  };
  EXPECT_EQ(wire(2), 30ms);
  EXPECT_EQ(wire(3), 40ms);

  const auto refused = pace_lab({link}, {parse_flow("cubic,rtt=9999us").value()});
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().text.find("the path itself takes 10ms"), std::string::npos);
}

TEST(Lab, absurd_labs_are_refused) {
  LabSpec spec = sample();
  spec.duration = 0s;
  EXPECT_FALSE(check_lab(spec).has_value());
  spec = sample();
  spec.warmup = spec.duration;
  EXPECT_FALSE(check_lab(spec).has_value());
  spec.warmup = spec.duration - 1ns;
  EXPECT_TRUE(check_lab(spec).has_value());
  spec.flows[1].start = spec.duration;
  EXPECT_FALSE(check_lab(spec).has_value());
  spec = sample();
  const auto others = static_cast<uint32_t>(spec.connections() - spec.flows[0].count);
  spec.flows[0].count = kMaxConnections - others;
  EXPECT_TRUE(check_lab(spec).has_value());
  ++spec.flows[0].count;
  EXPECT_FALSE(check_lab(spec).has_value());
  spec = sample();
  spec.hosts.resize(kMaxHosts, {.name = "x"});
  for (size_t i = 0; i < spec.hosts.size(); ++i) {
    if (spec.hosts[i].name == "x") spec.hosts[i].name = fmt::format("x{}", i);
  }
  EXPECT_TRUE(check_lab(spec).has_value());
  spec.hosts.push_back({.name = "one too many"});
  EXPECT_FALSE(check_lab(spec).has_value());
  spec = sample();
  spec.flows[4].count = kMaxWebFlows;
  EXPECT_TRUE(check_lab(spec).has_value());
  ++spec.flows[4].count;
  EXPECT_FALSE(check_lab(spec).has_value());
}

TEST(Lab, seeds_larger_than_a_number_of_toml_come_back) {
  LabSpec spec = pace_lab({net::parse_link_config("rate=10Mbps").value()},
                          {FlowSpec{.from = "sender", .to = "receiver"}})
                     .value();
  for (const uint64_t seed : {uint64_t{INT64_MAX}, uint64_t{INT64_MAX} + 1, UINT64_MAX}) {
    spec.seed = seed;
    const auto again = parse_lab(print_lab(spec), "x.toml");
    ASSERT_TRUE(again.has_value()) << again.error().text;
    EXPECT_EQ(again->seed, seed);
  }
}

TEST(FlowNames, no_two_are_alike) {
  const auto names = [](const std::vector<std::string>& texts) {
    std::vector<FlowSpec> flows;
    for (const std::string& text : texts) flows.push_back(parse_flow(text).value());
    return flow_names(flows);
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(names({"cubic", "newreno,rate=2Mbps"}), (Names{"cubic", "newreno 2Mbps"}));
  EXPECT_EQ(names({"cubic", "cubic"}), (Names{"cubic-1", "cubic-2"}));
  EXPECT_EQ(names({"cubic,count=2"}), (Names{"cubic-1", "cubic-2"}));
  EXPECT_EQ(names({"cubic", "cubic,count=2"}), (Names{"cubic-1", "cubic-2", "cubic-3"}));
  EXPECT_EQ(names({"dgp,fcc=auto", "dgp,fcc=25%"}), (Names{"dgp 25%-1", "dgp 25%-2"}));
  EXPECT_EQ(names({"cubic,name=x", "newreno,name=x"}), (Names{"x-1", "x-2"}));
  EXPECT_EQ(names({"cubic,count=2", "newreno,name=cubic-1"}),
            (Names{"cubic-2", "cubic-3", "cubic-1"}));
}

}  // namespace
}  // namespace wh::lab
