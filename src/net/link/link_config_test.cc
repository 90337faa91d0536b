// The text form of a link: what is accepted, what is printed, and what each refusal says.
#include "net/link/link_config.h"

#include <gtest/gtest.h>

#include <set>

#include "core/random.h"

namespace wh::net {
namespace {

std::string error_of(std::string_view text) {
  const auto config = parse_link_config(text);
  return config ? "accepted: " + to_string(*config) : config.error().text;
}

TEST(LinkConfig, empty_text_is_a_wire) {
  const LinkConfig config = MUST(parse_link_config(""));
  EXPECT_EQ(config, LinkConfig{});
  EXPECT_TRUE(config.forward.rate.is_infinite());
  EXPECT_EQ(to_string(config), "");
}

TEST(LinkConfig, reverse_takes_delay_and_rate_and_nothing_else) {
  const LinkConfig c =
      MUST(parse_link_config("rate=40Mbps,delay=10ms,buffer=100ms,loss=1%,jitter=1ms"));
  EXPECT_EQ(c.reverse.rate, 40_Mbps);
  EXPECT_EQ(c.reverse.delay, 10ms);
  EXPECT_EQ(c.reverse.buffer, BufferSize(uint64_t{1000}));
  EXPECT_TRUE(c.reverse.loss.is_zero());
  EXPECT_EQ(c.reverse.jitter, 0ns);
  EXPECT_EQ(to_string(c), "rate=40Mbps,delay=10ms,jitter=1ms,buffer=100ms,loss=1%");
}

TEST(LinkConfig, reverse_keys_come_in_any_order) {
  const LinkConfig c = MUST(parse_link_config("rev.rate=5Mbps,rate=40Mbps,delay=10ms"));
  EXPECT_EQ(c.forward.rate, 40_Mbps);
  EXPECT_EQ(c.reverse.rate, 5_Mbps);
  EXPECT_EQ(c.reverse.delay, 10ms);
  EXPECT_EQ(to_string(c), "rate=40Mbps,delay=10ms,rev.rate=5Mbps");
}

TEST(LinkConfig, reverse_trace_does_not_take_the_forward_rate) {
  const LinkConfig c = MUST(parse_link_config("rate=40Mbps,rev.trace=lte.up"));
  EXPECT_TRUE(c.reverse.rate.is_infinite());
  EXPECT_EQ(to_string(c), "rate=40Mbps,rev.trace=lte.up");
}

TEST(LinkConfig, every_key_prints_as_it_was_written) {
  for (const std::string_view text :
       {"rate=2.5Gbps",
        "rate=1bps,delay=1ns",
        "delay=3600s",
        "jitter=2ms,jitter_order=free",
        "buffer=64KiB",
        "buffer=1514B",
        "buffer=1p",
        "rate=40Mbps,buffer=100ms",
        "queue=codel",
        "queue=codel,target=1ms,interval=20ms,ecn=on",
        "queue=fq_codel,quantum=300B,flows=16,ecn=on",
        "loss=0.0000001%",
        "loss=100%",
        "ge=1%:25%:80%:0.5%",
        "dup=1%,corrupt=0.1%",
        "reorder=1%,reorder_gap=0,reorder_delay=5ms",
        "trace=a=b.down",
        "slot=5ms",
        "slot=5ms,ack=keep_last",
        "rate=40Mbps,delay=10ms,rev.rate=1Mbps,rev.delay=20ms,rev.slot=5ms,rev.ack=keep_last",
        "rate=40Mbps,rev.rate=infinite",
        "delay=3ms,rev.delay=0s"}) {
    EXPECT_EQ(error_of(text), "accepted: " + std::string(text));
  }
}

TEST(LinkConfig, equal_values_print_alike) {
  EXPECT_EQ(error_of("rate=40000kbps,delay=10000us"), "accepted: rate=40Mbps,delay=10ms");
  EXPECT_EQ(error_of("ge=1%:25%"), "accepted: ge=1%:25%:100%:0%");
  EXPECT_EQ(error_of("loss=0%,queue=droptail"), "accepted: ");
  EXPECT_EQ(error_of("loss=01.50%"), "accepted: loss=1.5%");
}

TEST(LinkConfig, unknown_keys_get_the_nearest_one) {
  EXPECT_EQ(error_of("rat=40Mbps"), "link: unknown key 'rat'; did you mean 'rate'?");
  EXPECT_EQ(error_of("rev.dealy=1ms"), "link: unknown key 'rev.dealy'; did you mean 'rev.delay'?");
  EXPECT_NE(error_of("colour=red").find("accepted: rate, delay, "), std::string::npos);
  EXPECT_NE(error_of("=1").find("unknown key ''"), std::string::npos);
}

TEST(LinkConfig, form_is_checked) {
  EXPECT_EQ(error_of("rate"), "link: 'rate' has no value; accepted: rate=RATE");
  EXPECT_EQ(error_of("rate=1Mbps,"), "link: nothing follows the last comma");
  EXPECT_EQ(error_of("rate=1Mbps,rate=2Mbps"), "link: 'rate' is given twice");
  EXPECT_NE(error_of(",rate=1Mbps").find("unknown key ''"), std::string::npos);
}

struct Refusal {
  std::string_view text;
  std::string_view says;  // Somewhere in the error.
};

TEST(LinkConfig, absurd_values_are_refused_with_what_is_accepted) {
  const Refusal cases[] = {
      {"rate=0", "rate=0bps: a link with no rate"},
      {"rate=0bps", "accepted: above zero"},
      {"rate=-1Mbps", "is negative"},
      {"rate=fast", "link: rate: 'fast' is not a rate; accepted:"},
      {"rate=99999999999Tbps", "too large"},
      {"rate=99999Tbps", "rate=99999Tbps: out of range; accepted: above 0bps, at most 1Tbps, or"},
      {"rate=1000000000001bps", "at most 1Tbps"},
      {"rate=1Gbps,rev.rate=2Tbps", "link: reverse direction: rate=2Tbps: out of range"},
      {"delay=-1ms", "delay=-1ms: out of range; accepted: 0s to 3600s"},
      {"delay=2h", "out of range"},
      {"delay=10", "is not a duration"},
      {"buffer=1513B", "smaller than one packet; accepted: at least 1514B"},
      {"buffer=0p", "accepted: 1p to"},
      {"buffer=10000001p", "accepted: 1p to"},
      {"buffer=-1p", "accepted: a time, a size or packets"},
      {"buffer=0", "accepted: a time, a size or packets"},
      {"buffer=10ms", "a time needs a rate"},
      {"rate=1Mbps,buffer=12111us", "accepted: at least 12.112ms"},
      {"rate=1Mbps,buffer=-1s", "smaller than one packet"},
      {"rate=1Mbps,buffer=2h", "out of range"},
      {"loss=101%", "above 100%"},
      {"loss=100.0000001%", "above 100%"},
      {"loss=-1%", "is not a percentage"},
      {"loss=0.01", "accepted: 0% to 100%"},
      {"loss=0.00000001%", "more than seven decimals"},
      {"loss=1.%", "is not a percentage"},
      {"loss=%", "is not a percentage"},
      {"ge=1%", "accepted: GO_BAD:GO_GOOD"},
      {"ge=1%:1%:1%:1%:1%", "accepted: GO_BAD:GO_GOOD"},
      {"ge=1%:", "is not a percentage"},
      {"queue=red", "'red' is not known; accepted: droptail, codel, fq_codel"},
      {"target=1ms", "with queue=codel or queue=fq_codel"},
      {"ecn=on", "with queue=codel or queue=fq_codel"},
      {"queue=codel,flows=3", "with queue=fq_codel"},
      {"queue=codel,target=200ms", "interval=100ms: out of range; accepted: 200ms to"},
      {"queue=codel,target=0s", "target=0s: out of range"},
      {"queue=fq_codel,flows=0", "accepted: 1 to 65536"},
      {"queue=fq_codel,quantum=0", "accepted: 1B to"},
      {"reorder=1%,reorder_gap=1001", "accepted: 0 to 1000"},
      {"reorder=1%,reorder_delay=0s", "reorder_delay=0s: out of range"},
      {"rate=1Mbps,trace=x", "one or the other"},
      {"slot=1ms,trace=x", "one or the other"},
      {"trace=", "no file is named"},
      {"slot=0s", "accepted: 1us to 10s"},
      {"ack=keep_last", "nothing ever waits"},
      {"rate=1Mbps,queue=codel,ack=keep_last", "with queue=droptail"},
      {"rate=1Mbps,rev.rate=0", "link: reverse direction: rate=0bps"},
      {"rev.buffer=1B", "link: reverse direction: buffer=1B"},
  };
  for (const Refusal& c : cases) {
    const std::string error = error_of(c.text);
    EXPECT_NE(error.find(c.says), std::string::npos) << c.text << " gave: " << error;
  }
}

TEST(LinkConfig, boundaries_are_accepted) {
  EXPECT_EQ(error_of("buffer=1514B"), "accepted: buffer=1514B");
  EXPECT_EQ(error_of("rate=1000Gbps"), "accepted: rate=1Tbps");
  EXPECT_EQ(error_of("rate=1Mbps,buffer=12112us"), "accepted: rate=1Mbps,buffer=12.112ms");
  EXPECT_EQ(error_of("queue=fq_codel,flows=65536"), "accepted: queue=fq_codel,flows=65536");
}

TEST(LinkConfig, what_takes_no_time_is_known) {
  const auto forward = [](std::string_view text) {
    return takes_no_time(MUST(parse_link_config(text)).forward);
  };
  EXPECT_TRUE(forward(""));
  EXPECT_TRUE(forward("buffer=64KiB,loss=1%,jitter=5ms"));  // Jitter may be nothing.
  EXPECT_TRUE(forward("rev.rate=1Mbps"));
  for (const std::string_view text : {"rate=1Tbps", "delay=1ns", "slot=1ms", "trace=x"}) {
    EXPECT_FALSE(forward(text)) << text;
  }
}

TEST(LinkConfig, traces_are_read_through_what_is_given) {
  LinkConfig c = MUST(parse_link_config("trace=a.down,buffer=20ms,rev.trace=b.up"));
  const auto read = [](const std::string& name) -> Result<std::string> {
    if (name == "a.down") return std::string("1\n2\n3\n4\n5\n");
    return std::string("1\n2\n0\n");
  };
  const auto loaded = load_traces(c, read);
  ASSERT_FALSE(loaded.has_value());
  EXPECT_NE(loaded.error().text.find("b.up: line 3: 0 after 2"), std::string::npos);
  ASSERT_NE(c.forward.trace, nullptr);
  EXPECT_EQ(c.forward.buffer_rate(), 12112_kbps);
  EXPECT_EQ(queue_limit(c.forward, c.forward.buffer_rate()).bytes, Bytes(30280));
}

TEST(LinkConfig, buffer_too_small_for_its_trace_is_refused_when_it_is_loaded) {
  LinkConfig c = MUST(parse_link_config("trace=slow,buffer=20ms"));
  const auto loaded = load_traces(
      c, [](const std::string&) -> Result<std::string> { return std::string("1000\n"); });
  ASSERT_FALSE(loaded.has_value());
  EXPECT_NE(loaded.error().text.find("smaller than one packet"), std::string::npos);
}

TEST(LinkConfig, no_time_is_a_buffer_of_a_trace_that_hardly_moves) {
  LinkConfig c = MUST(parse_link_config("trace=still,buffer=1h"));  // A packet in eleven days.
  const auto loaded = load_traces(
      c, [](const std::string&) -> Result<std::string> { return std::string("1000000000\n"); });
  ASSERT_FALSE(loaded.has_value());
  EXPECT_NE(loaded.error().text.find("less than 1bps"), std::string::npos) << loaded.error().text;
}

TEST(LinkConfig, each_key_has_a_name_a_form_and_a_description) {
  std::set<std::string_view> names;
  for (const LinkKey& key : link_keys()) {
    EXPECT_TRUE(names.insert(key.name).second) << key.name;
    EXPECT_FALSE(key.value.empty()) << key.name;
    EXPECT_FALSE(key.description.empty()) << key.name;
  }
  EXPECT_EQ(names.size(), 21u);
}

TEST(Probability, prints_as_it_parses) {
  const uint64_t seed = 77;
  Random random(seed);
  SCOPED_TRACE(fmt::format("seed {}", seed));
  for (int i = 0; i < 10'000; ++i) {
    const auto ppb = static_cast<uint32_t>(random.below(Probability::kOne + 1));
    const auto p = Probability::parts_per_billion(ppb);
    ASSERT_EQ(MUST(parse_probability(to_string(p))), p) << to_string(p);
  }
  EXPECT_EQ(to_string(Probability::percent(100)), "100%");
  EXPECT_EQ(to_string(Probability{}), "0%");
}

}  // namespace
}  // namespace wh::net
