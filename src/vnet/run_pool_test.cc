#include "vnet/run_pool.h"

#include <gtest/gtest.h>

#include <vector>

namespace wh::vnet {
namespace {

struct alignas(32) Record {
  uint64_t number = 0;
};

TEST(RunPool, records_keep_what_they_hold_and_lie_where_they_may) {
  RunPool<Record> pool;
  std::vector<uint32_t> all;
  for (uint64_t i = 0; i < 100'000; ++i) {
    all.push_back(pool.allocate(1));
    *pool.at(all.back()) = {i};
    ASSERT_EQ(reinterpret_cast<uintptr_t>(pool.at(all.back())) % alignof(Record), 0u) << i;
  }
  for (uint64_t i = 0; i < all.size(); ++i) ASSERT_EQ(pool.at(all[i])->number, i);
}

}  // namespace
}  // namespace wh::vnet
