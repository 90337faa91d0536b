#include "lab/spec.h"

#include <gtest/gtest.h>

namespace wh::lab {
namespace {

TEST(Flow, text_is_read_and_printed_alike) {
  for (const char* text :
       {"cc=newreno", "cc=newreno,name=a,rate=12Mbps,start=5s,bytes=10MB,count=3,ip=6,reverse"}) {
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
      {"rate=0bps", "'0bps' cannot be paced; accepted: 8kbps or more"},
      {"rate=infinite", "cannot be paced"},
      {"rate=-1Mbps", "negative"},
      {"start=-1s", "before the run begins"},
      {"bytes=0B", "sends nothing"},
      {"count=0", "a whole number from 1 to 200000"},
      {"count=1000000", "a whole number from 1 to 200000"},
      {"ip=5", "accepted: 4, 6"},
      {"", "unknown key"},
      {"newreno,,", "unknown key"},
      {"reverse=yes", "takes no value"},
  };
  for (const auto& c : cases) {
    const auto flow = parse_flow(c.text);
    ASSERT_FALSE(flow.has_value()) << c.text;
    EXPECT_NE(flow.error().text.find(c.says), std::string::npos) << flow.error().text;
  }
}

LabSpec sample() {
  LabSpec spec = pace_lab(
      net::parse_link_config("rate=40Mbps,delay=10ms,buffer=100ms,loss=1%,rev.rate=5Mbps").value(),
      {parse_flow("newreno").value(), parse_flow("newreno,rate=12Mbps,start=5s,count=2").value(),
       parse_flow("newreno,ip=6,reverse,bytes=1MB").value()});
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
      "[[host]]\nname='a'\n[[host]]\nname='b'\n[[link]]\nfrom='a'\nto='b'\n"
      "[[flow]]\nfrom='a'\nto='b'\n",
      "x.toml");
  ASSERT_TRUE(spec.has_value()) << spec.error().text;
  EXPECT_EQ(spec->sysctls, (std::vector<std::string>{"net.inet.tcp.hpts.min_sleep=500"}));
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
      {tail + "[[link]]\nfrom='a'\nto='c'\n[[flow]]\nfrom='a'\nto='b'", "there is no host 'c'"},
      {tail + "[[link]]\nfrom='a'\nto='b'", "there is no flow"},
      {tail + "[[flow]]\nfrom='a'\nto='b'", "there is no link"},
      {tail + tail + "[[link]]\nfrom='a'\nto='b'\n[[flow]]\nfrom='a'\nto='b'",
       "two hosts are named 'a'"},
      {"host = 3", "x.toml:1: host: write [[host]]"},
      {"[[flow]]\nrate = ['1Mbps']", "a text or a number"},
  };
  for (const auto& c : cases) {
    const auto spec = parse_lab(c.text, "x.toml");
    ASSERT_FALSE(spec.has_value()) << c.text;
    EXPECT_NE(spec.error().text.find(c.says), std::string::npos) << spec.error().text;
  }
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
  spec.flows[0].count = kMaxConnections - 3;
  EXPECT_TRUE(check_lab(spec).has_value());
  spec.flows[0].count = kMaxConnections - 2;
  EXPECT_FALSE(check_lab(spec).has_value());
}

}  // namespace
}  // namespace wh::lab
