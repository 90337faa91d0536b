#include "core/stream_pattern.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/random.h"

namespace wh {
namespace {

TEST(StreamPattern, pieces_make_the_same_stream_as_the_whole) {
  const StreamPattern pattern(5);
  std::vector<uint8_t> whole(1000);
  pattern.fill(0, whole);
  const uint64_t seed = 3;
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random random(seed);
  for (int i = 0; i < 1000; ++i) {
    const size_t from = random.below(whole.size());
    const size_t count = random.below(whole.size() - from + 1);
    std::vector<uint8_t> piece(count);
    pattern.fill(from, piece);
    EXPECT_TRUE(std::equal(piece.begin(), piece.end(), whole.begin() + static_cast<long>(from)));
    EXPECT_FALSE(pattern.first_difference(from, piece));
  }
}

TEST(StreamPattern, any_changed_byte_is_found_where_it_stands) {
  const StreamPattern pattern(6);
  std::vector<uint8_t> bytes(100);
  for (const uint64_t offset : {uint64_t{0}, uint64_t{3}, uint64_t{1} << 40}) {
    for (size_t i = 0; i < bytes.size(); ++i) {
      pattern.fill(offset, bytes);
      bytes[i] ^= 1;
      EXPECT_EQ(pattern.first_difference(offset, bytes), offset + i);
    }
  }
}

TEST(StreamPattern, other_seed_or_place_is_another_stream) {
  std::vector<uint8_t> bytes(64);
  StreamPattern(1).fill(0, bytes);
  EXPECT_TRUE(StreamPattern(2).first_difference(0, bytes));
  EXPECT_TRUE(StreamPattern(1).first_difference(1, bytes));
  EXPECT_TRUE(StreamPattern(1).first_difference(8, bytes));
}

}  // namespace
}  // namespace wh
