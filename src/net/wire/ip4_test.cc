#include "net/wire/ip4.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/random.h"

namespace wh::net {
namespace {

Ip4Header sample() {
  Ip4Header h;
  h.source = Ip4::of(10, 0, 0, 1);
  h.destination = Ip4::of(10, 0, 0, 2);
  h.protocol = 6;
  h.ttl = 3;
  h.tos = 0xb9;
  h.total_length = 1500;
  h.id = 0xbeef;
  return h;
}

std::vector<uint8_t> emitted(const Ip4Header& h) {
  std::vector<uint8_t> bytes(h.size());
  h.emit(bytes);
  return bytes;
}

// The bytes with a checksum that fits them, whatever else is wrong.
std::vector<uint8_t> mended(std::vector<uint8_t> bytes) {
  store16(&bytes[10], 0);
  store16(&bytes[10], header_checksum(bytes));
  return bytes;
}

Ip4Fault fault_of(std::span<const uint8_t> bytes, size_t size) {
  const auto view = Ip4View::parse(bytes, size);
  EXPECT_FALSE(view);
  return view.fault();
}

TEST(Ip4, parses_what_it_emits) {
  Ip4Header h = sample();
  const auto bytes = emitted(h);
  ASSERT_TRUE(Ip4View::parse(bytes, 1500));
  EXPECT_EQ(Ip4View::parse(bytes, 1500)->header(), h);

  h.dont_fragment = true;
  h.options_size = 8;
  h.options = {1, 7, 7, 4, 0, 0, 0, 0};  // No-operation, record route, end.
  const auto with_options = emitted(h);
  ASSERT_TRUE(Ip4View::parse(with_options, 1500));
  EXPECT_EQ(Ip4View::parse(with_options, 1500)->header(), h);
  EXPECT_EQ(Ip4View::parse(with_options, 1500)->payload_size(), 1472u);
}

TEST(Ip4, parses_what_it_emits_for_random_headers) {
  constexpr uint64_t kSeed = 0x194;
  SCOPED_TRACE(fmt::format("replay: net_test --gtest_filter=Ip4.* with seed {:#x}", kSeed));
  Random random(kSeed);
  for (int i = 0; i < 2000; ++i) {
    Ip4Header h;
    h.source.value = static_cast<uint32_t>(random.next());
    h.destination.value = static_cast<uint32_t>(random.next());
    h.protocol = static_cast<uint8_t>(random.next());
    h.ttl = static_cast<uint8_t>(random.next());
    h.tos = static_cast<uint8_t>(random.next());
    h.id = static_cast<uint16_t>(random.next());
    h.dont_fragment = random.one_in(2);
    h.more_fragments = random.one_in(2);
    h.fragment_offset = static_cast<uint16_t>(8 * random.below(8192));
    h.options_size = static_cast<uint8_t>(4 * random.below(11));
    std::fill_n(h.options.begin(), h.options_size, uint8_t{1});
    h.total_length = static_cast<uint16_t>(h.size() + random.below(60'000));
    const auto bytes = emitted(h);
    const auto view = Ip4View::parse(bytes, h.total_length);
    ASSERT_TRUE(view) << to_string(view.fault());
    ASSERT_EQ(view->header(), h) << "case " << i;
  }
}

TEST(Ip4, total_length_is_held_against_the_packet_not_the_head) {
  const auto bytes = emitted(sample());
  EXPECT_EQ(fault_of(bytes, 1499), Ip4Fault::LengthBeyondPacket);
  EXPECT_TRUE(Ip4View::parse(bytes, 1500));
  EXPECT_TRUE(Ip4View::parse(bytes, 1504));  // Padding behind it is the link's.
}

TEST(Ip4, names_each_fault) {
  const auto good = emitted(sample());
  EXPECT_EQ(fault_of(std::span(good).first(19), 1500), Ip4Fault::Truncated);
  auto bad = good;
  bad[0] = 0x65;
  EXPECT_EQ(fault_of(bad, 1500), Ip4Fault::BadVersion);
  bad[0] = 0x44;
  EXPECT_EQ(fault_of(bad, 1500), Ip4Fault::BadHeaderLength);
  bad[0] = 0x46;
  EXPECT_EQ(fault_of(bad, 1500), Ip4Fault::Truncated);
  bad = good;
  store16(&bad[2], 19);
  EXPECT_EQ(fault_of(mended(bad), 1500), Ip4Fault::BadTotalLength);
  store16(&bad[2], 20);
  EXPECT_TRUE(Ip4View::parse(mended(bad), 1500));
  bad = good;
  bad[8] ^= 1;
  EXPECT_EQ(fault_of(bad, 1500), Ip4Fault::BadChecksum);
  EXPECT_STREQ(to_string(Ip4Fault::BadHeaderLength), "ip4 bad header length");
  EXPECT_STREQ(to_string(Ip4Fault::BadChecksum), "ip4 bad checksum");
}

TEST(Ip4, options_must_have_lengths_that_fit) {
  Ip4Header h = sample();
  h.options_size = 4;
  const auto fault_with = [&](const std::array<uint8_t, 4>& options) {
    std::copy(options.begin(), options.end(), h.options.begin());
    const auto bytes = emitted(h);
    return Ip4View::parse(bytes, 1500)->options_fault();
  };
  EXPECT_EQ(fault_with({7, 1, 0, 0}), 21u);
  EXPECT_EQ(fault_with({7, 0, 0, 0}), 21u);
  EXPECT_EQ(fault_with({7, 5, 0, 0}), 21u);
  EXPECT_EQ(fault_with({1, 7, 4, 0}), 22u);
  EXPECT_EQ(fault_with({1, 1, 1, 7}), 23u) << "it has no length at all";
  for (const std::array<uint8_t, 4>& good :
       {std::array<uint8_t, 4>{7, 4, 0, 0}, {1, 7, 3, 0}, {0, 7, 0, 0}, {1, 1, 7, 2}}) {
    EXPECT_EQ(fault_with(good), 0u);
  }
}

TEST(Ip4, fragment_bits_are_told_apart) {
  Ip4Header h = sample();
  h.dont_fragment = true;
  const auto whole = emitted(h);
  EXPECT_FALSE(Ip4View::parse(whole, 1500)->is_fragment());
  h.dont_fragment = false;
  h.more_fragments = true;
  const auto first = emitted(h);
  EXPECT_TRUE(Ip4View::parse(first, 1500)->is_fragment());
  h.more_fragments = false;
  h.fragment_offset = 65528;
  const auto last = emitted(h);
  EXPECT_TRUE(Ip4View::parse(last, 1500)->is_fragment());
  EXPECT_EQ(Ip4View::parse(last, 1500)->fragment_offset(), 65528u);
}

TEST(Ip4, quoted_packet_may_be_short_and_of_wrong_checksum) {
  auto bytes = emitted(sample());
  bytes[8] ^= 1;
  EXPECT_TRUE(Ip4View::parse_quoted(bytes));
  bytes[0] = 0x41;
  EXPECT_FALSE(Ip4View::parse_quoted(bytes));
}

TEST(Ip4, marks_ecn_and_keeps_the_checksum_right) {
  for (int tos = 0; tos < 256; ++tos) {
    Ip4Header h = sample();
    h.tos = static_cast<uint8_t>(tos);
    auto bytes = emitted(h);
    set_ip4_ecn(bytes, 3);
    const auto view = Ip4View::parse(bytes, 1500);
    ASSERT_TRUE(view);
    ASSERT_EQ(view->tos(), tos | 3);
  }
}

}  // namespace
}  // namespace wh::net
