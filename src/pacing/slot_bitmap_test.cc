#include "pacing/slot_bitmap.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>

#include "core/random.h"

namespace wh::pacing {
namespace {

TEST(SlotBitmap, finds_nothing_in_an_empty_set) {
  const auto map = std::make_unique<SlotBitmap>();
  EXPECT_TRUE(map->empty());
  EXPECT_EQ(map->distance_to_next(0), std::nullopt);
  EXPECT_EQ(map->distance_to_next(SlotBitmap::kSize - 1), std::nullopt);
}

TEST(SlotBitmap, finds_a_member_from_everywhere) {
  for (const uint32_t slot : {0u, 1u, 63u, 64u, 4095u, 4096u, 65'535u, 102'335u, 102'399u}) {
    const auto map = std::make_unique<SlotBitmap>();
    map->set(slot);
    for (const uint32_t from : {0u, 1u, 62u, 63u, 64u, 65u, 4094u, 4096u, 50'000u, 102'399u}) {
      EXPECT_EQ(map->distance_to_next(from), (slot + SlotBitmap::kSize - from) % SlotBitmap::kSize);
    }
    map->clear_if(slot, false);
    EXPECT_TRUE(map->test(slot));
    map->clear(slot);
    EXPECT_TRUE(map->empty());
  }
}

TEST(SlotBitmap, agrees_with_a_sorted_set) {
  constexpr uint64_t kSeed = 20240901;
  SCOPED_TRACE("replay: ./x test pacing -k SlotBitmap, seed " + std::to_string(kSeed));
  Random random(kSeed);
  const auto map = std::make_unique<SlotBitmap>();
  std::set<uint32_t> model;
  for (int i = 0; i < 300'000; ++i) {
    // Runs of few and of many members, near and far from one another.
    const uint32_t reach = i / 50'000 % 2 == 0 ? SlotBitmap::kSize : 300;
    const auto slot = static_cast<uint32_t>(random.below(reach));
    const bool grow = i / 1000 % 3 != 0;
    if (random.chance(grow ? 0.7 : 0.1)) {
      map->set(slot);
      model.insert(slot);
    } else {
      map->clear(slot);
      model.erase(slot);
    }
    if (i % 500 == 499 && random.one_in(2)) {
      for (const uint32_t s : model) map->clear(s);
      model.clear();
    }
    const auto from = static_cast<uint32_t>(random.below(SlotBitmap::kSize));
    auto next = model.lower_bound(from);
    if (next == model.end()) next = model.begin();
    if (model.empty()) {
      ASSERT_EQ(map->distance_to_next(from), std::nullopt);
    } else {
      ASSERT_EQ(map->distance_to_next(from),
                (*next + SlotBitmap::kSize - from) % SlotBitmap::kSize);
    }
  }
}

}  // namespace
}  // namespace wh::pacing
