#include "vnet/fib.h"

#include <gtest/gtest.h>

#include <array>

#include "core/random.h"

namespace wh::vnet {
namespace {

using net::Family;
using net::Ip4;
using net::Ip6;
using net::IpAddress;
using net::Prefix;

Prefix prefix(std::string_view text) {
  return MUST(net::parse_prefix(text));
}
IpAddress ip(std::string_view text) {
  return MUST(net::parse_ip(text));
}

TEST(Fib, tells_its_prefixes_some_at_a_time) {
  Fib four(Family::V4), six(Family::V6);
  for (const char* text : {"0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/24", "10.1.0.0/16"}) {
    four.set(prefix(text), RouteSource::Static, 10);
  }
  const auto told = [&](const Fib& fib, size_t most, std::optional<Prefix> behind) {
    std::string text;
    for (const Prefix& p : fib.prefixes(most, behind)) text += to_string(p) + " ";
    return text;
  };
  EXPECT_EQ(told(four, 2, std::nullopt), "0.0.0.0/0 10.0.0.0/8 ");
  EXPECT_EQ(told(four, 2, prefix("10.0.0.0/8")), "10.0.0.0/24 10.1.0.0/16 ");
  EXPECT_EQ(told(four, 9, prefix("0.0.0.0/0")), "10.0.0.0/8 10.0.0.0/24 10.1.0.0/16 ");
  EXPECT_EQ(told(four, 9, prefix("10.0.7.0/25")), "10.1.0.0/16 ");
  EXPECT_EQ(told(four, 9, prefix("10.1.0.0/16")), "");
  six.set(prefix("2001:db8::/32"), RouteSource::Static, 10);
  six.set(prefix("2001:db8::/64"), RouteSource::Static, 10);
  EXPECT_EQ(told(six, 1, std::nullopt), "2001:db8::/32 ");
  EXPECT_EQ(told(six, 9, prefix("2001:db8::/32")), "2001:db8::/64 ");
}

TEST(Fib, finds_the_longest_prefix) {
  Fib fib(Family::V4);
  fib.set(prefix("0.0.0.0/0"), RouteSource::Static, 10);
  fib.set(prefix("10.0.0.0/8"), RouteSource::Static, 11);
  fib.set(prefix("10.1.0.0/16"), RouteSource::Static, 12);
  fib.set(prefix("10.1.2.0/23"), RouteSource::Static, 13);
  fib.set(prefix("10.1.2.3/32"), RouteSource::Static, 14);
  EXPECT_EQ(fib.lookup(ip("11.0.0.1")), 10u);
  EXPECT_EQ(fib.lookup(ip("10.2.0.1")), 11u);
  EXPECT_EQ(fib.lookup(ip("10.1.1.255")), 12u);
  EXPECT_EQ(fib.lookup(ip("10.1.2.0")), 13u);
  EXPECT_EQ(fib.lookup(ip("10.1.3.255")), 13u);
  EXPECT_EQ(fib.lookup(ip("10.1.4.0")), 12u);
  EXPECT_EQ(fib.lookup(ip("10.1.2.3")), 14u);
  EXPECT_EQ(fib.covering(ip("10.1.3.9"))->prefix, prefix("10.1.2.0/23"));
}

TEST(Fib, uncovers_the_shorter_prefix_when_one_goes) {
  Fib fib(Family::V4);
  fib.set(prefix("10.0.0.0/9"), RouteSource::Static, 1 + 10);
  fib.set(prefix("10.0.0.0/12"), RouteSource::Static, 2 + 10);
  fib.set(prefix("10.0.0.0/14"), RouteSource::Static, 3 + 10);
  EXPECT_TRUE(fib.remove(prefix("10.0.0.0/12"), RouteSource::Static));
  EXPECT_EQ(fib.lookup(ip("10.3.0.1")), 13u);
  EXPECT_EQ(fib.lookup(ip("10.8.0.1")), 11u);
  EXPECT_TRUE(fib.remove(prefix("10.0.0.0/9"), RouteSource::Static));
  EXPECT_EQ(fib.lookup(ip("10.8.0.1")), kNoRoute);
  EXPECT_FALSE(fib.remove(prefix("10.0.0.0/9"), RouteSource::Static));
}

TEST(Fib, prefers_sources_in_their_order) {
  Fib fib(Family::V4);
  fib.set(prefix("10.0.0.1/32"), RouteSource::Neighbour, 20);
  fib.set(prefix("10.0.0.1/32"), RouteSource::Interface, kLocal);
  EXPECT_EQ(fib.lookup(ip("10.0.0.1")), kLocal);
  EXPECT_TRUE(fib.remove(prefix("10.0.0.1/32"), RouteSource::Interface));
  EXPECT_EQ(fib.lookup(ip("10.0.0.1")), 20u);
}

// Against a list of prefixes searched from end to end, while routes come and go.
void agree_with_a_list(Family family, uint64_t seed) {
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  Random random(seed);
  Fib fib(family);
  std::map<Prefix, AdjacencyIndex> list;
  const uint8_t bits = family == Family::V4 ? 32 : 128;
  // Few distinct bytes, so that prefixes nest and share nodes.
  auto draw = [&] {
    Ip6 bytes;
    for (size_t i = 0; i < bits / 8u; ++i) {
      bytes.bytes[i] = static_cast<uint8_t>(random.below(2) * 0x80 + random.below(3));
    }
    IpAddress a(bytes);
    a.family = family;
    return a;
  };
  const auto alone = [&](const IpAddress& a) {
    const uint8_t* bytes = a.bits.bytes.data();
    return Fib::adjacency_in(family == Family::V4 ? fib.lookup_alone(Key4::load(bytes))
                                                  : fib.lookup_alone(Key6::load(bytes)));
  };
  const std::array<IpAddress, 4> asked_often = {draw(), draw(), draw(), draw()};
  for (int step = 0; step < 3000; ++step) {
    const Prefix p = Prefix{draw(), static_cast<uint8_t>(random.below(bits + 1u))}.network();
    if (random.chance(0.4)) {
      ASSERT_EQ(fib.remove(p, RouteSource::Static), list.erase(p) == 1);
    } else {
      const auto value = static_cast<AdjacencyIndex>(random.between(5, 1000));
      fib.set(p, RouteSource::Static, value);
      list[p] = value;
    }
    const IpAddress a = draw();
    AdjacencyIndex expected = kNoRoute;
    int longest = -1;
    for (const auto& [candidate, value] : list) {
      if (candidate.contains(a) && candidate.length > longest) {
        longest = candidate.length;
        expected = value;
      }
    }
    ASSERT_EQ(fib.lookup(a), expected) << to_string(a) << " after step " << step;
    ASSERT_EQ(alone(a), expected) << to_string(a) << " alone after step " << step;
    for (const IpAddress& again : asked_often) {
      ASSERT_EQ(alone(again), fib.lookup(again)) << to_string(again) << " again, step " << step;
    }
  }
}

TEST(Fib, agrees_with_a_list_over_random_changes) {
  for (const uint64_t seed : {1u, 2u, 3u}) {
    agree_with_a_list(Family::V4, seed);
    agree_with_a_list(Family::V6, seed);
  }
}

}  // namespace
}  // namespace wh::vnet
