// Random links under random traffic: nothing is lost without a reason, and one seed gives one
// history.
//
// Each round draws a configuration from everything a link can do (swarm testing: a feature is in
// about half of them), sends bursts of TCP and UDP packets both ways while rates change and the
// link goes down and up, and checks the books all along. A failure prints the round's seed and
// configuration.
#include <gtest/gtest.h>

#include <map>

#include "net/link/flow_packets.h"
#include "net/link/link.h"

namespace wh::net {
namespace {

// All that a direction counts, by name.
template <class Fn>
void for_each_counter(const LinkCounters& c, Fn fn) {
  const auto tally = [&fn](const std::string& name, const Tally& t) {
    fn(name + ".packets", t.packets);
    fn(name + ".bytes", t.bytes);
  };
  tally("accepted", c.accepted);
  tally("delivered", c.delivered);
  tally("duplicated", c.duplicated);
  tally("transmitted", c.transmitted);
  tally("backlog", c.backlog);
  tally("peak", c.peak);
  for (size_t i = 0; i < kDropReasons; ++i) {
    const std::string reason(to_string(static_cast<DropReason>(i)));
    fn("dropped." + reason, c.dropped[i].packets);
  }
  fn("corrupted", c.corrupted);
  fn("marked", c.marked);
  fn("reordered", c.reordered);
  fn("duplicate_failed", c.duplicate_failed);
  fn("reorder_failed", c.reorder_failed);
  fn("busy_ns", c.busy_ns);
}

constexpr uint64_t kFirstSeed = 20241101;

std::string random_direction(Random& random) {
  std::string text;
  const auto add = [&](std::string_view key, const std::string& value) {
    text += fmt::format("{}{}={}", text.empty() ? "" : ",", key, value);
  };
  const auto one_in_two = [&] { return random.one_in(2); };
  const auto percent = [&] { return fmt::format("{}%", random.between(0, 30)); };
  const auto ms = [&](uint64_t least, uint64_t most) {
    return fmt::format("{}us", random.between(least * 1000, most * 1000));
  };
  const bool trace = random.one_in(4);
  const bool slot = !trace && random.one_in(4);
  const bool rate = !trace && random.one_in(2);
  if (trace) add("trace", "random");
  if (rate) add("rate", fmt::format("{}bps", random.between(100'000, 50'000'000)));
  if (slot) add("slot", ms(1, 8));
  if (one_in_two()) add("delay", ms(0, 20));
  if (one_in_two()) add("jitter", ms(0, 5));
  if (one_in_two() && text.find("jitter") != text.npos) add("jitter_order", "free");
  add("buffer", one_in_two() ? fmt::format("{}p", random.between(1, 60))
                             : fmt::format("{}B", random.between(1514, 60'000)));
  switch (random.below(4)) {
    case 0: add("queue", "codel"); break;
    case 1: add("queue", "fq_codel"), add("flows", std::to_string(random.between(1, 8))); break;
    case 2:
      if (rate || slot || trace) add("ack", "keep_last");
      break;
    default: break;
  }
  if (text.find("codel") != text.npos) {
    add("target", ms(1, 3)), add("interval", ms(4, 30)), add("ecn", one_in_two() ? "on" : "off");
  }
  if (one_in_two()) add("loss", percent());
  if (one_in_two()) add("ge", fmt::format("{}:{}", percent(), percent()));
  if (one_in_two()) add("dup", percent());
  if (one_in_two()) add("corrupt", percent());
  if (one_in_two()) {
    add("reorder", percent()), add("reorder_gap", std::to_string(random.below(5)));
    add("reorder_delay", ms(1, 5));
  }
  return text;
}

std::string random_trace(Random& random) {
  std::string text;
  uint64_t ms = 0;
  for (uint64_t n = random.between(1, 40); n != 0; --n) {
    text += std::to_string(ms += random.below(6)) + "\n";
  }
  return text + std::to_string(ms + 1) + "\n";
}

PacketPtr random_packet(PacketPool& pool, Random& random, uint32_t& ack) {
  const auto port = static_cast<uint16_t>(random.between(1, 4));
  if (random.one_in(3)) {
    return udp_packet(pool, port, static_cast<uint32_t>(random.between(62, 1514)),
                      static_cast<uint8_t>(random.below(4)),
                      random.one_in(2) ? Family::V4 : Family::V6);
  }
  SegmentSpec spec{.port = port, .ack = ack += static_cast<uint32_t>(random.below(3)) * 1448};
  if (random.one_in(4)) spec.payload = static_cast<uint32_t>(random.between(1, 1448));
  return tcp_packet(pool, spec);
}

using Totals = std::map<std::string, uint64_t>;

// Everything that an observer could tell apart, in one text. Adds what the links counted to
// `totals`.
std::string run_round(uint64_t seed, Totals& totals) {
  Random random(seed);
  std::string text = random_direction(random);
  std::string reverse = random_direction(random);
  for (size_t at = 0; at != reverse.npos; at = reverse.find(',', at)) {
    reverse.insert(at == 0 ? 0 : ++at, "rev.");
  }
  // The reverse takes the forward's rate unless it has one, which does not go with a slot or ack of
  // its own alone.
  if (reverse.find("rev.rate") == reverse.npos && reverse.find("rev.trace") == reverse.npos) {
    reverse += ",rev.rate=infinite";
    if (reverse.find("slot") == reverse.npos && reverse.find("keep_last") != reverse.npos) {
      reverse += ",rev.slot=2ms";
    }
  }
  text += "," + reverse;
  SCOPED_TRACE(fmt::format("seed {}: {}", seed, text));
  LinkConfig config = MUST(parse_link_config(text));
  EXPECT_EQ(MUST(parse_link_config(to_string(config))), config);
  Random traces = random.fork("trace");
  MUST(load_traces(config,
                   [&](const auto&) -> Result<std::string> { return random_trace(traces); }));

  VirtualLoop loop;
  PacketPool pool;
  Recorder at_a(loop), at_b(loop);
  std::string history;
  {
    Link link(config, {"a"}, {"b"}, loop, pool, random.fork("link"));
    link.a().attach(&at_a);
    link.b().attach(&at_b);
    uint32_t ack = 0;
    for (int burst = 0; burst < 60; ++burst) {
      for (uint64_t n = random.below(20); n != 0; --n) {
        Interface& from = random.one_in(2) ? link.a() : link.b();
        from.transmit(frame_of(random_packet(pool, random, ack)));
      }
      if (random.one_in(10)) link.set_up(random.one_in(2));
      if (random.one_in(10)) {
        link.forward().set_rate(Rate::bits_per_second(random.between(50'000, 90'000'000)));
      }
      loop.run_for(Duration(static_cast<int64_t>(random.below(5'000'000))));
      const auto kept = link.check_conservation();
      EXPECT_TRUE(kept.has_value()) << kept.error().text;
    }
    link.set_up(true);
    loop.run();
    for (LinkDirection* way : {&link.forward(), &link.reverse()}) {
      EXPECT_TRUE(way->check_conservation().has_value());
      EXPECT_EQ(way->queued() + way->in_transit(), Tally{});
      for_each_counter(way->counters(), [&](const std::string& name, uint64_t value) {
        history += fmt::format("{}={} ", name, value);
        totals[name] += value;
      });
    }
  }
  EXPECT_EQ(pool.in_use(), 0u);
  for (const Recorder* end : {&at_a, &at_b}) {
    for (const auto& a : end->arrivals) {
      history +=
          fmt::format("{}:{}:{}:{} ", a.when.time_since_epoch().count(), a.number, a.size, a.frame);
    }
  }
  return history;
}

TEST(LinkSwarm, books_balance_under_random_configurations) {
  Totals totals;
  for (uint64_t seed = kFirstSeed; seed < kFirstSeed + 400; ++seed) {
    (void)run_round(seed, totals);
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
  }
  // Everything that a link can do to a packet happened somewhere.
  for (const char* name :
       {"duplicated.packets", "corrupted", "marked", "reordered", "dropped.loss", "dropped.ge",
        "dropped.queue_full", "dropped.codel", "dropped.ack_replaced"}) {
    EXPECT_GT(totals[name], 0u) << name;
  }
}

TEST(LinkSwarm, one_seed_gives_one_history) {
  Totals totals;
  for (uint64_t seed = kFirstSeed; seed < kFirstSeed + 25; ++seed) {
    const std::string first = run_round(seed, totals);
    EXPECT_EQ(first, run_round(seed, totals)) << "seed " << seed;
    EXPECT_NE(first, run_round(seed + 1000, totals)) << "seed " << seed;
  }
}

}  // namespace
}  // namespace wh::net
