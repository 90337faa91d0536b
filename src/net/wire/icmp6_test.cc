#include "net/wire/icmp6.h"

#include <gtest/gtest.h>

#include <vector>

namespace wh::net {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const Ip6 kTarget = Ip6::link_local(MacAddress::local(9));

template <class Message>
std::vector<uint8_t> icmp6_bytes(const Message& message) {
  std::vector<uint8_t> bytes(message.size());
  message.emit(bytes);
  return bytes;
}

Icmp6Fault icmp6_fault(std::span<const uint8_t> bytes) {
  const auto view = Icmp6View::parse(bytes);
  EXPECT_FALSE(view);
  return view.fault();
}

RouterAdvertisement full_advertisement() {
  RouterAdvertisement ra;
  ra.hop_limit = 64;
  ra.managed = true;
  ra.router_lifetime = seconds(1800);
  ra.reachable_time = milliseconds(30'000);
  ra.retransmit_timer = milliseconds(1000);
  ra.source_mac = MacAddress::local(1);
  ra.mtu = 1400;
  ra.prefix_count = 2;
  ra.prefixes[0] = {{{0x20, 1, 0xd, 0xb8, 1}}, 64, true, true, seconds(0xffffffff), seconds(14400)};
  ra.prefixes[1] = {{{0x20, 1, 0xd, 0xb8, 2}}, 48, false, true, seconds(1), seconds(0)};
  return ra;
}

TEST(Icmp6, parses_the_echo_it_emits) {
  const Icmp6Header h = Icmp6Header::echo(Icmp6Type::EchoReply, 3, 4);
  std::vector<uint8_t> bytes(8);
  h.emit(bytes);
  const auto view = Icmp6View::parse(bytes);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->header(), h);
  EXPECT_EQ(view->echo_id(), 3);
  EXPECT_EQ(view->echo_sequence(), 4);
}

TEST(Icmp6, parses_the_neighbour_discovery_it_emits) {
  for (const bool with_mac : {false, true}) {
    const auto mac = with_mac ? std::optional(MacAddress::local(5)) : std::nullopt;
    const NeighbourSolicitation ns{kTarget, mac};
    EXPECT_EQ(Icmp6View::parse(icmp6_bytes(ns))->type(), Icmp6Type::NeighbourSolicitation);
    const auto ns_bytes = icmp6_bytes(ns);
    EXPECT_EQ(Icmp6View::parse(ns_bytes)->neighbour_solicitation(), ns);

    const NeighbourAdvertisement na{kTarget, with_mac, true, !with_mac, mac};
    const auto na_bytes = icmp6_bytes(na);
    EXPECT_EQ(Icmp6View::parse(na_bytes)->neighbour_advertisement(), na);

    const RouterSolicitation rs{mac};
    const auto rs_bytes = icmp6_bytes(rs);
    EXPECT_EQ(Icmp6View::parse(rs_bytes)->router_solicitation(), rs);
  }
  const RouterAdvertisement ra = full_advertisement();
  const auto bytes = icmp6_bytes(ra);
  ASSERT_EQ(bytes.size(), 16u + 8 + 8 + 64);
  ASSERT_TRUE(Icmp6View::parse(bytes));
  EXPECT_EQ(Icmp6View::parse(bytes)->router_advertisement(), ra);
}

TEST(Icmp6, neighbour_discovery_is_truncated_one_byte_before_its_fixed_part) {
  const auto ns = icmp6_bytes(NeighbourSolicitation{kTarget, {}});
  EXPECT_TRUE(Icmp6View::parse(ns));
  EXPECT_EQ(icmp6_fault(std::span(ns).first(23)), Icmp6Fault::Truncated);
  const auto ra = icmp6_bytes(RouterAdvertisement{});
  EXPECT_TRUE(Icmp6View::parse(ra));
  EXPECT_EQ(icmp6_fault(std::span(ra).first(15)), Icmp6Fault::Truncated);
}

TEST(Icmp6, option_of_length_zero_or_beyond_the_message_is_a_fault) {
  auto bytes = icmp6_bytes(NeighbourSolicitation{kTarget, MacAddress::local(5)});
  bytes[25] = 0;
  EXPECT_EQ(icmp6_fault(bytes), Icmp6Fault::BadOptions);
  bytes[25] = 2;
  EXPECT_EQ(icmp6_fault(bytes), Icmp6Fault::BadOptions);
  bytes[25] = 1;
  EXPECT_TRUE(Icmp6View::parse(bytes));
  bytes.push_back(0);
  EXPECT_EQ(icmp6_fault(bytes), Icmp6Fault::BadOptions);
}

TEST(Icmp6, skips_options_it_does_not_know_and_prefixes_of_a_wrong_length) {
  auto bytes = icmp6_bytes(full_advertisement());
  const size_t prefix = 32;
  bytes[16] = 200;    // The source address becomes an unknown option.
  bytes[prefix] = 3;  // The first prefix claims the second as its own tail.
  bytes[prefix + 1] = 8;
  const auto view = Icmp6View::parse(bytes);
  ASSERT_TRUE(view);
  const RouterAdvertisement ra = view->router_advertisement();
  EXPECT_FALSE(ra.source_mac);
  EXPECT_EQ(ra.mtu, 1400u);
  EXPECT_EQ(ra.prefix_count, 0u);
}

TEST(Icmp6, keeps_four_prefixes_and_skips_the_fifth) {
  RouterAdvertisement ra;
  ra.prefix_count = 4;
  for (uint8_t i = 0; i < 4; ++i) ra.prefixes[i].length = i;
  auto bytes = icmp6_bytes(ra);
  const std::vector<uint8_t> fifth(bytes.end() - 32, bytes.end());
  bytes.insert(bytes.end(), fifth.begin(), fifth.end());
  const auto view = Icmp6View::parse(bytes);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->router_advertisement(), ra);
}

TEST(Icmp6, error_must_quote_an_ip6_header) {
  Ip6Header ip;
  ip.destination = kTarget;
  ip.payload_length = 1400;
  std::vector<uint8_t> bytes(48);
  Icmp6Header{Icmp6Type::PacketTooBig, 0, 0, 1280}.emit(bytes);
  ip.emit(std::span(bytes).subspan(8));
  const auto view = Icmp6View::parse(bytes);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->mtu(), 1280u);
  EXPECT_EQ(view->quoted().destination(), kTarget);
  EXPECT_EQ(icmp6_fault(std::span(bytes).first(47)), Icmp6Fault::BadQuote);
  EXPECT_EQ(icmp6_fault(std::span(bytes).first(7)), Icmp6Fault::Truncated);
  EXPECT_STREQ(to_string(Icmp6Fault::BadOptions), "icmp6 bad options");
}

}  // namespace
}  // namespace wh::net
