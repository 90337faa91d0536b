#include "vnet/reassembly.h"

#include <gtest/gtest.h>

#include <numeric>

#include "core/random.h"
#include "core/virtual_loop.h"

namespace wh::vnet {
namespace {

using net::PacketPtr;

class ReassemblerTest : public testing::Test {
 protected:
  static constexpr uint32_t kHeader = 20;

  // A fragment whose payload bytes are their own positions in the whole.
  FragmentOutcome add(uint32_t id, uint32_t begin, uint32_t end, bool last, uint8_t ecn = 0,
                      uint32_t before = kHeader) {
    PacketPtr p = pool.allocate();
    std::memset(p->append(kHeader), 0xee, kHeader);
    net::ChunkRef chunk = net::ChunkRef::make(end - begin);
    for (uint32_t i = begin; i < end; ++i) chunk->bytes()[i - begin] = static_cast<uint8_t>(i);
    p->append(net::Slice{chunk, 0, end - begin});
    whole = {};
    return reassembler.add({.key = {.id = id},
                            .begin = begin,
                            .end = end,
                            .payload_at = kHeader,
                            .before = before,
                            .is_last = last,
                            .ecn = ecn},
                           p, whole);
  }
  void expect_whole(uint32_t size) {
    ASSERT_EQ(whole.size, size);
    for (uint32_t i = 0; i < size; ++i)
      ASSERT_EQ(whole.payload->bytes()[i], static_cast<uint8_t>(i));
  }

  net::PacketPool pool;
  VirtualLoop loop;
  Reassembler::Limits limits{.contexts = 4,
                             .fragments_per_context = 16,
                             .fragments = 32,
                             .bytes = 100'000,
                             .lifetime = 30s};
  uint64_t spoiled = 0, evicted = 0, expired = 0, told = 0;
  Reassembled whole;
  Reassembler reassembler{loop,
                          Random(7),
                          {.limits = [this] { return limits; },
                           .spoiled = [this](PacketPtr) { ++spoiled; },
                           .evicted = [this](PacketPtr) { ++evicted; },
                           .expired = [this](PacketPtr, bool first) { ++expired, told += first; },
                           .settle = [] {}}};
};

TEST_F(ReassemblerTest, puts_fragments_together_in_every_order) {
  std::vector<uint32_t> order(5);
  std::iota(order.begin(), order.end(), 0u);
  uint32_t id = 0;
  do {
    ++id;
    for (size_t i = 0; i < order.size(); ++i) {
      const uint32_t n = order[i];
      const auto outcome = add(id, n * 80, n == 4 ? 333 : n * 80 + 80, n == 4);
      ASSERT_EQ(outcome, i == 4 ? FragmentOutcome::Complete : FragmentOutcome::Waiting);
    }
    expect_whole(333);
  } while (std::next_permutation(order.begin(), order.end()));
  whole = {};
  EXPECT_EQ(id, 120u);
  EXPECT_EQ(reassembler.contexts(), 0u);
  EXPECT_EQ(reassembler.fragments(), 0u);
  EXPECT_EQ(reassembler.bytes(), 0u);
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST_F(ReassemblerTest, ignores_an_exact_repetition) {
  EXPECT_EQ(add(1, 0, 80, false), FragmentOutcome::Waiting);
  EXPECT_EQ(add(1, 0, 80, false), FragmentOutcome::Duplicate);
  EXPECT_EQ(add(1, 80, 100, true), FragmentOutcome::Complete);
  expect_whole(100);
}

// Every way in which one range can overlap another, however small: all of the packet is dropped,
// and what still comes of it (RFC 5722).
TEST_F(ReassemblerTest, spoils_a_packet_whose_fragments_overlap) {
  const std::pair<uint32_t, uint32_t> attacks[] = {{0, 88},  {72, 160}, {152, 240},
                                                   {80, 88}, {88, 152}, {152, 160},
                                                   {0, 240}, {80, 168}, {72, 168}};
  uint32_t id = 10;
  for (const auto& [begin, end] : attacks) {
    SCOPED_TRACE(testing::Message() << begin << ".." << end);
    spoiled = 0;
    ASSERT_EQ(add(++id, 80, 160, false), FragmentOutcome::Waiting);
    EXPECT_EQ(add(id, begin, end, false), FragmentOutcome::Overlap);
    EXPECT_EQ(spoiled, 1u);
    EXPECT_EQ(add(id, 0, 80, false), FragmentOutcome::Spoiled);
    EXPECT_EQ(add(id, 160, 200, true), FragmentOutcome::Spoiled);
  }
  EXPECT_EQ(reassembler.fragments(), 0u);
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST_F(ReassemblerTest, accepts_fragments_that_only_touch) {
  EXPECT_EQ(add(1, 80, 160, false), FragmentOutcome::Waiting);
  EXPECT_EQ(add(1, 0, 80, false), FragmentOutcome::Waiting);
  EXPECT_EQ(add(1, 160, 161, true), FragmentOutcome::Complete);
}

TEST_F(ReassemblerTest, spoils_a_packet_with_two_ends) {
  EXPECT_EQ(add(1, 80, 100, true), FragmentOutcome::Waiting);
  EXPECT_EQ(add(1, 160, 200, true), FragmentOutcome::Inconsistent);
  EXPECT_EQ(add(2, 80, 100, true), FragmentOutcome::Waiting);
  EXPECT_EQ(add(2, 104, 112, false), FragmentOutcome::Inconsistent);
  EXPECT_EQ(add(3, 160, 240, false), FragmentOutcome::Waiting);
  EXPECT_EQ(add(3, 80, 100, true), FragmentOutcome::Inconsistent);
}

// The first fragment's options are the whole's, and what would not fit the length field is no
// packet, whichever of the two comes last. Options of the others do not count.
TEST_F(ReassemblerTest, bounds_the_whole_by_the_headers_of_its_first_fragment) {
  constexpr uint32_t kLong = 60, kFits = 0xffff - kLong;
  EXPECT_EQ(add(1, 800, kFits, true), FragmentOutcome::Waiting);
  EXPECT_EQ(add(1, 0, 800, false, 0, kLong), FragmentOutcome::Complete);
  expect_whole(kFits);
  EXPECT_EQ(add(2, 800, kFits + 1, true), FragmentOutcome::Waiting);
  EXPECT_EQ(add(2, 0, 800, false, 0, kLong), FragmentOutcome::TooLong);
  EXPECT_EQ(add(3, 0, 800, false, 0, kLong), FragmentOutcome::Waiting);
  EXPECT_EQ(add(3, 800, kFits + 1, true), FragmentOutcome::TooLong);
  EXPECT_EQ(add(4, 800, 0xffff - kHeader, true, 0, kLong), FragmentOutcome::Waiting);
  EXPECT_EQ(add(4, 0, 800, false), FragmentOutcome::Complete);
  EXPECT_EQ(spoiled, 2u);
}

TEST_F(ReassemblerTest, pushes_the_oldest_out_when_contexts_run_out) {
  for (uint32_t id = 1; id <= 4; ++id) add(id, 0, 80, false);
  EXPECT_EQ(evicted, 0u);
  add(5, 0, 80, false);
  EXPECT_EQ(evicted, 1u);
  EXPECT_EQ(reassembler.contexts(), 4u);
  EXPECT_EQ(add(2, 80, 90, true), FragmentOutcome::Complete);  // The second oldest is still there.
  EXPECT_EQ(add(1, 80, 90, true), FragmentOutcome::Waiting);   // The oldest is not.
}

TEST_F(ReassemblerTest, bounds_the_fragments_of_one_packet) {
  for (uint32_t i = 0; i < 16; ++i) {
    ASSERT_EQ(add(1, i * 16, i * 16 + 8, false), FragmentOutcome::Waiting);
  }
  EXPECT_EQ(add(1, 16 * 16, 16 * 16 + 8, false), FragmentOutcome::TooMany);
  EXPECT_EQ(spoiled, 16u);
}

TEST_F(ReassemblerTest, bounds_fragments_in_all) {
  for (uint32_t id = 1; id <= 3; ++id) {
    for (uint32_t i = 0; i < 10; ++i) add(id, i * 16, i * 16 + 8, false);
  }
  EXPECT_EQ(reassembler.fragments(), 30u);
  for (uint32_t i = 0; i < 3; ++i) add(4, i * 16, i * 16 + 8, false);
  EXPECT_EQ(evicted, 10u);
  EXPECT_EQ(reassembler.fragments(), 23u);
}

TEST_F(ReassemblerTest, bounds_bytes_in_all) {
  limits.bytes = 60'000;
  add(1, 0, 30'000, false);
  add(2, 0, 30'000, false);
  EXPECT_EQ(reassembler.bytes(), 60'000u);
  EXPECT_EQ(evicted, 0u);
  add(3, 0, 8, false);
  EXPECT_EQ(evicted, 1u);
  EXPECT_EQ(reassembler.bytes(), 30'008u);
  EXPECT_EQ(add(4, 0, 60'001, false), FragmentOutcome::NoRoom);
  // One packet alone may not hold more either: it is not its own to push out.
  EXPECT_EQ(add(2, 30'000, 59'992, false), FragmentOutcome::Waiting);
  EXPECT_EQ(add(2, 59'992, 60'008, false), FragmentOutcome::NoRoom);
}

TEST_F(ReassemblerTest, gives_up_at_the_end_of_its_lifetime) {
  add(1, 0, 80, false);
  add(1, 80, 160, false);
  loop.run_for(10s);
  add(2, 80, 160, false);
  loop.run_for(20s - 1ns);
  EXPECT_EQ(expired, 0u);
  loop.run_for(1ns);
  EXPECT_EQ(expired, 2u);
  EXPECT_EQ(told, 1u);  // The first fragment was there.
  loop.run_for(10s);
  EXPECT_EQ(expired, 3u);
  EXPECT_EQ(told, 1u);
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST_F(ReassemblerTest, keeps_a_congestion_mark) {
  add(1, 0, 80, false, 2);
  EXPECT_EQ(add(1, 80, 90, true, 3), FragmentOutcome::Complete);
  EXPECT_EQ(whole.ecn, 3);
  add(2, 0, 80, false, 1);
  EXPECT_EQ(add(2, 80, 90, true, 1), FragmentOutcome::Complete);
  EXPECT_EQ(whole.ecn, 1);
  add(3, 0, 80, false, 0);
  EXPECT_EQ(add(3, 80, 90, true, 3), FragmentOutcome::Waiting);  // Contradiction: all dropped.
  EXPECT_EQ(spoiled, 2u);
}

TEST_F(ReassemblerTest, conserves_packets_over_random_fragments) {
  for (const uint64_t seed : {1u, 2u, 3u, 4u}) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Random random(seed);
    for (int i = 0; i < 5000; ++i) {
      const auto begin = static_cast<uint32_t>(random.below(8) * 8);
      const auto size = static_cast<uint32_t>(8 + random.below(3) * 8);
      const auto id = static_cast<uint32_t>(random.below(6));
      add(id, begin, begin + size, random.one_in(4));
      whole = {};
      ASSERT_EQ(pool.in_use(), reassembler.fragments());
      ASSERT_LE(reassembler.fragments(), 32u);
      if (random.one_in(50)) loop.run_for(Duration(static_cast<int64_t>(random.below(40)) * 1s));
    }
  }
}

}  // namespace
}  // namespace wh::vnet
