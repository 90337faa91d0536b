#include "net/wire/ip6.h"

#include <gtest/gtest.h>

#include <vector>

namespace wh::net {
namespace {

constexpr uint8_t kTcp = 6;

// An IPv6 packet whose payload is `payload`, the first header in it being `next`.
std::vector<uint8_t> packet(uint8_t next, const std::vector<uint8_t>& payload) {
  Ip6Header h;
  h.source = {{0x20, 1, 0xd, 0xb8, 1}};
  h.destination = {{0x20, 1, 0xd, 0xb8, 2}};
  h.next_header = next;
  h.payload_length = static_cast<uint16_t>(payload.size());
  std::vector<uint8_t> bytes(Ip6Header::kSize);
  h.emit(bytes);
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  return bytes;
}

struct Walked {
  std::optional<Ip6Fault> fault;
  Ip6Extensions chain;
};
Walked walk(const std::vector<uint8_t>& bytes) {
  const auto view = Ip6View::parse(bytes);
  EXPECT_TRUE(view);
  Walked w;
  w.fault = view->extensions(w.chain);
  return w;
}

// Eight-byte extension headers, filled with a PadN option where options belong.
std::vector<uint8_t> options(uint8_t next) {
  return {next, 0, 1, 4, 0, 0, 0, 0};
}
std::vector<uint8_t> fragment(uint8_t next, uint16_t offset, bool more) {
  std::vector<uint8_t> bytes(8);
  Ip6FragmentHeader{next, offset, more, 0xabcd}.emit(bytes);
  return bytes;
}
std::vector<uint8_t> join(std::initializer_list<std::vector<uint8_t>> parts) {
  std::vector<uint8_t> all;
  for (const auto& p : parts) all.insert(all.end(), p.begin(), p.end());
  return all;
}

TEST(Ip6, parses_what_it_emits) {
  Ip6Header h;
  h.source = Ip6::link_local(MacAddress::local(1));
  h.destination = {{0xff, 2}};
  h.next_header = 17;
  h.hop_limit = 255;
  h.traffic_class = 0xb9;
  h.flow_label = 0xfedcb;
  h.payload_length = 1460;
  std::vector<uint8_t> bytes(40);
  h.emit(bytes);
  const auto view = Ip6View::parse(bytes, 1500);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->header(), h);
  EXPECT_EQ(view->ecn(), 1);
}

TEST(Ip6, names_each_fault_of_the_fixed_header) {
  auto bytes = packet(kTcp, std::vector<uint8_t>(20));
  EXPECT_EQ(Ip6View::parse(std::span(bytes).first(39), 60).fault(), Ip6Fault::Truncated);
  EXPECT_EQ(Ip6View::parse(bytes, 59).fault(), Ip6Fault::LengthBeyondPacket);
  EXPECT_TRUE(Ip6View::parse(bytes, 60));
  EXPECT_TRUE(Ip6View::parse_quoted(std::span(bytes).first(40)));
  bytes[0] = 0x45;
  EXPECT_EQ(Ip6View::parse(bytes, 60).fault(), Ip6Fault::BadVersion);
  EXPECT_STREQ(to_string(Ip6Fault::BadVersion), "ip6 bad version");
}

TEST(Ip6, finds_the_transport_at_once_when_there_are_no_extensions) {
  const auto w = walk(packet(kTcp, std::vector<uint8_t>(20)));
  EXPECT_FALSE(w.fault);
  EXPECT_EQ(w.chain.protocol, kTcp);
  EXPECT_EQ(w.chain.offset, 40u);
  EXPECT_EQ(w.chain.protocol_at, 6u);
}

TEST(Ip6, walks_the_chain_in_the_order_of_rfc_8200) {
  const auto w = walk(packet(kIp6HopByHop, join({options(kIp6DestinationOptions),
                                                 options(kIp6Routing),
                                                 {kIp6Fragment, 0, 0, 0, 0, 0, 0, 0},
                                                 fragment(kTcp, 0, false),
                                                 std::vector<uint8_t>(20)})));
  ASSERT_FALSE(w.fault);
  EXPECT_EQ(w.chain.protocol, kTcp);
  EXPECT_EQ(w.chain.offset, 72u);
  EXPECT_EQ(w.chain.routing_at, 56u);
  EXPECT_EQ(w.chain.fragment_at, 64u);
  EXPECT_EQ(w.chain.fragment_protocol_at, 56u);
  EXPECT_EQ(w.chain.protocol_at, 64u);
  EXPECT_TRUE(w.chain.fragment.is_atomic());
  EXPECT_EQ(w.chain.fragment.id, 0xabcdu);
}

TEST(Ip6, stops_at_a_fragment_with_an_offset) {
  // What follows looks like a chain and is not one: it is the middle of a payload.
  const auto w = walk(packet(kIp6Fragment, join({fragment(kIp6HopByHop, 8, true), {0xff, 0xff}})));
  ASSERT_FALSE(w.fault);
  EXPECT_EQ(w.chain.protocol, kIp6HopByHop);
  EXPECT_EQ(w.chain.offset, 48u);
  EXPECT_EQ(w.chain.fragment, (Ip6FragmentHeader{kIp6HopByHop, 8, true, 0xabcd}));
}

TEST(Ip6, walks_on_behind_a_first_fragment) {
  const auto w =
      walk(packet(kIp6Fragment, join({fragment(kIp6DestinationOptions, 0, true), options(kTcp)})));
  ASSERT_FALSE(w.fault);
  EXPECT_EQ(w.chain.protocol, kTcp);
  EXPECT_EQ(w.chain.offset, 56u);
}

TEST(Ip6, chain_must_end_within_payload_and_head) {
  EXPECT_EQ(walk(packet(kIp6HopByHop, {kTcp, 0, 1, 4, 0, 0, 0})).fault,
            Ip6Fault::ExtensionTruncated);
  EXPECT_EQ(walk(packet(kIp6HopByHop, {kTcp, 1, 1, 12, 0, 0, 0, 0})).fault,
            Ip6Fault::ExtensionTruncated);
  // Whole in the packet, but not in its contiguous head.
  const auto bytes = packet(kIp6HopByHop, options(kTcp));
  const auto view = Ip6View::parse(std::span(bytes).first(47), bytes.size());
  ASSERT_TRUE(view);
  Ip6Extensions chain;
  EXPECT_EQ(view->extensions(chain), Ip6Fault::ExtensionTruncated);
}

TEST(Ip6, chain_of_eight_is_walked_and_of_nine_refused) {
  for (const uint32_t count : {Ip6View::kMaxExtensions, Ip6View::kMaxExtensions + 1}) {
    std::vector<uint8_t> chain;
    for (uint32_t i = 0; i < count; ++i) {
      chain = join({chain, options(i + 1 == count ? kTcp : kIp6DestinationOptions)});
    }
    const auto w = walk(packet(kIp6DestinationOptions, chain));
    if (count == Ip6View::kMaxExtensions) {
      EXPECT_FALSE(w.fault);
      EXPECT_EQ(w.chain.protocol, kTcp);
    } else {
      EXPECT_EQ(w.fault, Ip6Fault::TooManyExtensions);
    }
  }
}

TEST(Ip6, hop_by_hop_stands_first_or_not_at_all) {
  EXPECT_EQ(
      walk(packet(kIp6DestinationOptions, join({options(kIp6HopByHop), options(kTcp)}))).fault,
      Ip6Fault::HopByHopNotFirst);
}

// An atomic fragment header changes nothing: what counts is the one behind it.
TEST(Ip6, fragment_header_behind_an_atomic_one_is_found) {
  const auto w = walk(packet(kIp6Fragment, {kIp6Fragment, 0, 0, 0, 0, 0, 0, 1,  //
                                            kTcp, 0, 5, 0xc8, 0, 0, 0, 2}));
  ASSERT_FALSE(w.fault);
  EXPECT_EQ(w.chain.fragment_at, 48u);
  EXPECT_EQ(w.chain.fragment_protocol_at, 40u);
  EXPECT_EQ(w.chain.fragment.offset, 0x5c8);
  EXPECT_EQ(w.chain.fragment.id, 2u);
}

TEST(Ip6, options_must_end_within_their_header) {
  EXPECT_EQ(walk(packet(kIp6HopByHop, {kTcp, 0, 1, 5, 0, 0, 0, 0})).fault, Ip6Fault::BadOptions);
  EXPECT_EQ(walk(packet(kIp6HopByHop, {kTcp, 0, 0, 0, 0, 0, 0, 1})).fault, Ip6Fault::BadOptions);
  EXPECT_FALSE(walk(packet(kIp6HopByHop, {kTcp, 0, 0, 0, 0, 0, 1, 0})).fault);
}

TEST(Ip6, points_at_the_first_option_that_may_not_be_skipped) {
  EXPECT_EQ(walk(packet(kIp6HopByHop, {kTcp, 0, 5, 2, 0, 0, 0x3e, 0})).chain.unknown_option_at, 0u);
  EXPECT_EQ(walk(packet(kIp6HopByHop, {kTcp, 0, 5, 2, 0, 0, 0xc2, 0})).chain.unknown_option_at,
            46u);
}

TEST(Ip6, marks_ecn_and_nothing_else) {
  auto bytes = packet(kTcp, {});
  store32(bytes.data(), 6u << 28 | 0xfcu << 20 | 0xfffff);
  set_ip6_ecn(bytes, 3);
  EXPECT_EQ(load32(bytes.data()), 6u << 28 | 0xffu << 20 | 0xfffff);
  set_ip6_ecn(bytes, 0);
  EXPECT_EQ(load32(bytes.data()), 6u << 28 | 0xfcu << 20 | 0xfffff);
}

}  // namespace
}  // namespace wh::net
