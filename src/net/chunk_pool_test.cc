#include "net/chunk_pool.h"

#include <gtest/gtest.h>

#include <vector>

namespace wh::net {
namespace {

TEST(ChunkPool, hands_out_what_came_back_last) {
  ChunkPool pool(100, 8);
  ChunkRef first = pool.allocate(), second = pool.allocate();
  const Chunk *one = &*first, *two = &*second;
  EXPECT_EQ(first->capacity(), 100u);
  EXPECT_NE(one, two);
  EXPECT_EQ(pool.in_use(), 2u);
  second = {};
  first = {};
  EXPECT_EQ(pool.in_use(), 0u);
  EXPECT_EQ(pool.unused(), 2u);
  first = pool.allocate();
  EXPECT_EQ(&*first, one);
  EXPECT_EQ(first->references(), 1u);
  EXPECT_EQ(&*pool.allocate(), two);
}

TEST(ChunkPool, chunk_comes_back_with_its_last_reference) {
  ChunkPool pool(100, 8);
  ChunkRef held = pool.allocate();
  ChunkRef also = held;
  held = {};
  EXPECT_EQ(pool.in_use(), 1u);
  EXPECT_EQ(pool.unused(), 0u);
  also = {};
  EXPECT_EQ(pool.unused(), 1u);
}

TEST(ChunkPool, keeps_no_more_than_it_is_told) {
  ChunkPool pool(100, 3);
  std::vector<ChunkRef> held;
  for (int i = 0; i < 5; ++i) held.push_back(pool.allocate());
  held.clear();
  EXPECT_EQ(pool.unused(), 3u);
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST(ChunkPool, chunks_outlive_their_pool) {
  ChunkRef held;
  {
    ChunkPool pool(100, 8);
    held = pool.allocate();
    pool.allocate()->bytes()[0] = 1;
    held->bytes()[99] = 42;
  }
  ChunkRef also = held;
  EXPECT_EQ(also->bytes()[99], 42);
}

}  // namespace
}  // namespace wh::net
