#include "net/wire/tcp.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/random.h"

namespace wh::net {
namespace {

std::vector<uint8_t> emitted(const TcpHeader& h) {
  std::vector<uint8_t> bytes(h.size());
  h.emit(bytes);
  return bytes;
}

TcpHeader sample_segment() {
  TcpHeader h;
  h.source_port = 33000;
  h.destination_port = 80;
  h.seq = SeqNum(0xfffffff0);
  h.ack = SeqNum(0x12345678);
  h.flags = kTcpAck | kTcpPsh;
  h.window = 501;
  return h;
}

TcpOptions syn_options() {
  TcpOptions o;
  o.mss = 1460;
  o.sack_permitted = true;
  o.timestamps = TcpTimestamps{100, 0};
  o.window_scale = 7;
  return o;
}

SackBlock block(uint32_t begin) {
  return {SeqNum(begin), SeqNum(begin + 1000)};
}

TcpOptions parse(std::initializer_list<uint8_t> bytes) {
  return TcpOptions::parse({bytes.begin(), bytes.size()});
}

TEST(Tcp, parses_what_it_emits) {
  TcpHeader h = sample_segment();
  h.options.timestamps = TcpTimestamps{7, 8};
  h.options.add_sack(block(5000));
  const auto bytes = emitted(h);
  const auto view = TcpView::parse(bytes, bytes.size() + 1400);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->header(), h);
  EXPECT_EQ(view->payload_size(), 1400u);
}

TEST(Tcp, parses_what_it_emits_for_random_headers) {
  constexpr uint64_t kSeed = 0x7c9;
  SCOPED_TRACE(fmt::format("replay: net_test --gtest_filter=Tcp.* with seed {:#x}", kSeed));
  Random random(kSeed);
  int tight = 0;
  for (int i = 0; i < 20'000; ++i) {
    TcpHeader h = sample_segment();
    h.seq = SeqNum(static_cast<uint32_t>(random.next()));
    h.flags.bits = static_cast<uint16_t>(random.below(0x1000));
    h.urgent = static_cast<uint16_t>(random.next());
    TcpOptions& o = h.options;
    if (random.one_in(2)) o.mss = static_cast<uint16_t>(random.next());
    if (random.one_in(2)) o.window_scale = static_cast<uint8_t>(random.next());
    o.sack_permitted = random.one_in(2);
    if (random.one_in(2)) o.timestamps = TcpTimestamps{static_cast<uint32_t>(random.next()), 9};
    for (uint64_t n = random.below(5); n != 0; --n) o.add_sack(block(static_cast<uint32_t>(n)));
    if (random.one_in(3)) {
      o.fast_open = FastOpenCookie{};
      o.fast_open->size = static_cast<uint8_t>(random.one_in(2) ? 0 : 4 + 2 * random.below(7));
      for (uint8_t k = 0; k < o.fast_open->size; ++k) o.fast_open->bytes[k] = k;
    }
    if (o.size() > TcpOptions::kMaxSize) continue;
    tight += o.timestamps && o.sack_count == 3 && o.window_scale ? 1 : 0;
    const auto bytes = emitted(h);
    const auto view = TcpView::parse(bytes);
    ASSERT_TRUE(view);
    ASSERT_EQ(view->header(), h) << "case " << i << ": " << to_string(o);
  }
  EXPECT_GT(tight, 0) << "no case was laid out closely";
}

TEST(Tcp, lays_out_the_options_of_a_syn_as_freebsd_does) {
  TcpHeader h = sample_segment();
  h.options = syn_options();
  const auto bytes = emitted(h);
  const std::vector<uint8_t> options(bytes.begin() + 20, bytes.end());
  // FreeBSD's order and padding: mss, nop, wscale, sackOK, timestamps.
  const std::vector<uint8_t> expected = {2, 4,  0x05, 0xb4, 1, 3,   3, 7, 4, 2,
                                         8, 10, 0,    0,    0, 100, 0, 0, 0, 0};
  EXPECT_EQ(options, expected);
}

TEST(Tcp, header_length_must_cover_the_fixed_part_and_end_within_the_segment) {
  auto bytes = emitted(sample_segment());
  EXPECT_TRUE(TcpView::parse(bytes));
  EXPECT_EQ(TcpView::parse(std::span(bytes).first(19)).fault(), TcpFault::Truncated);
  bytes[12] = 4 << 4;
  EXPECT_EQ(TcpView::parse(bytes).fault(), TcpFault::BadHeaderLength);
  bytes[12] = 6 << 4;
  EXPECT_EQ(TcpView::parse(bytes, 20).fault(), TcpFault::BadHeaderLength);
  EXPECT_EQ(TcpView::parse(bytes, 24).fault(), TcpFault::Truncated);  // In slices, not the head.
  bytes.resize(24);
  EXPECT_TRUE(TcpView::parse(bytes, 24));
  EXPECT_STREQ(to_string(TcpFault::BadHeaderLength), "tcp bad header length");
}

TEST(Tcp, counts_syn_and_fin_in_sequence_space) {
  TcpHeader h = sample_segment();
  const auto length = [&](TcpFlags flags, size_t payload) {
    h.flags = flags;
    const auto bytes = emitted(h);
    return TcpView::parse(bytes, bytes.size() + payload)->seq_len().count();
  };
  EXPECT_EQ(length(kTcpAck, 0), 0u);
  EXPECT_EQ(length(kTcpAck, 10), 10u);
  EXPECT_EQ(length(kTcpSyn, 0), 1u);
  EXPECT_EQ(length(kTcpSyn | kTcpFin, 10), 12u);
}

TEST(TcpOptions, walk_stops_at_an_impossible_length_and_keeps_what_was_read) {
  for (const uint8_t length : std::initializer_list<uint8_t>{0, 1, 5}) {
    const TcpOptions o = parse({2, 4, 1, 2, 8, length, 0, 0});
    EXPECT_TRUE(o.malformed);
    EXPECT_EQ(o.mss, 0x0102);
    EXPECT_FALSE(o.timestamps);
  }
  EXPECT_TRUE(parse({1, 1, 1, 8}).malformed);  // A kind without a length.
}

TEST(TcpOptions, wrong_length_of_a_known_kind_is_skipped_and_the_walk_goes_on) {
  const TcpOptions o = parse({2, 3, 1, 3, 4, 0, 0, 4, 2, 8, 3, 0});
  EXPECT_TRUE(o.malformed);
  EXPECT_FALSE(o.mss);
  EXPECT_FALSE(o.window_scale);
  EXPECT_TRUE(o.sack_permitted);
  EXPECT_FALSE(o.timestamps);
}

TEST(TcpOptions, unknown_kind_is_skipped_and_is_no_fault) {
  const TcpOptions o = parse({254, 4, 0xf9, 0x89, 3, 3, 14, 0});
  EXPECT_FALSE(o.malformed);
  EXPECT_EQ(o.window_scale, 14);
}

TEST(TcpOptions, nothing_is_read_behind_the_end) {
  const TcpOptions o = parse({0, 2, 4, 1, 2, 8, 1, 0});
  EXPECT_EQ(o, TcpOptions{});
}

TEST(TcpOptions, sack_needs_whole_blocks_and_at_least_one) {
  EXPECT_TRUE(parse({5, 2, 0, 0}).malformed);
  EXPECT_TRUE(parse({5, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}).malformed);
  const TcpOptions o = parse({5, 10, 0, 0, 0, 1, 0, 0, 0, 9, 1, 1});
  ASSERT_EQ(o.sack_count, 1);
  EXPECT_EQ(o.sack[0], (SackBlock{SeqNum(1), SeqNum(9)}));
}

TEST(TcpOptions, tolerates_fast_open_requests_and_cookies) {
  EXPECT_EQ(parse({34, 2, 0, 0}).fast_open->size, 0);
  EXPECT_EQ(parse({34, 6, 1, 2, 3, 4, 0, 0}).fast_open->size, 4);
  EXPECT_TRUE(parse({34, 5, 1, 2, 3, 0, 0, 0}).malformed);
  EXPECT_TRUE(parse({34, 7, 1, 2, 3, 4, 5, 0}).malformed);
}

TEST(TcpOptions, size_says_when_too_many_were_asked_for) {
  TcpOptions o = syn_options();
  EXPECT_EQ(o.size(), 20u);
  TcpOptions data;
  data.timestamps = TcpTimestamps{1, 2};
  for (uint32_t i = 0; i < sack_room(true); ++i) data.add_sack(block(i));
  EXPECT_EQ(data.size(), 40u);
  data.add_sack(block(9));
  EXPECT_GT(data.size(), TcpOptions::kMaxSize);
}

TEST(Tcp, reads_sole_timestamps_without_a_walk) {
  TcpHeader h = sample_segment();
  h.options.timestamps = TcpTimestamps{7, 8};
  const auto only = emitted(h);
  EXPECT_EQ(TcpView::parse(only)->sole_timestamps(), (TcpTimestamps{7, 8}));
  h.options.add_sack(block(1));
  const auto more = emitted(h);
  EXPECT_FALSE(TcpView::parse(more)->sole_timestamps());
  h.options = {};
  const auto none = emitted(h);
  EXPECT_FALSE(TcpView::parse(none)->sole_timestamps());
}

}  // namespace
}  // namespace wh::net
