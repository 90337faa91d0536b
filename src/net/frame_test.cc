#include "net/frame.h"

#include <gtest/gtest.h>

namespace wh::net {
namespace {

Frame filled(PacketPool& pool, uint32_t count) {
  Frame frame;
  for (uint32_t i = 0; i < count; ++i) {
    PacketPtr p = pool.allocate();
    p->flow_hash = i;
    frame.push(std::move(p));
  }
  return frame;
}

TEST(Frame, keeps_the_order_of_its_packets) {
  PacketPool pool;
  Frame frame = filled(pool, 3);
  EXPECT_EQ(frame.size(), 3u);
  for (uint32_t i = 0; i < 3; ++i) EXPECT_EQ(frame[i].flow_hash, i);
  EXPECT_EQ(frame.packets().size(), 3u);
}

TEST(Frame, holds_256_and_not_one_more) {
  PacketPool pool;
  Frame frame = filled(pool, Frame::kCapacity);
  EXPECT_TRUE(frame.full());
  PacketPtr extra = pool.allocate();
  EXPECT_DEATH(frame.push(std::move(extra)), "kCapacity");
}

TEST(Frame, gives_back_what_was_not_taken) {
  PacketPool pool;
  PacketPtr taken;
  {
    Frame frame = filled(pool, 3);
    taken = frame.take(1);
    EXPECT_EQ(taken->flow_hash, 1u);
    EXPECT_DEATH((void)frame.take(1), "nullptr");
    EXPECT_DEATH((void)frame.take(3), "size_");
  }
  EXPECT_EQ(pool.in_use(), 1u);
}

TEST(Frame, moves_its_packets_and_is_empty_then) {
  PacketPool pool;
  Frame a = filled(pool, 2);
  Frame b = std::move(a);
  EXPECT_TRUE(a.empty());  // NOLINT: moved from, and defined to be empty.
  EXPECT_EQ(b.size(), 2u);
  Frame c = filled(pool, 5);
  c = std::move(b);  // The five go back to the pool.
  EXPECT_EQ(pool.in_use(), 2u);
  EXPECT_EQ(c[1].flow_hash, 1u);
  c.clear();
  EXPECT_EQ(pool.in_use(), 0u);
}

}  // namespace
}  // namespace wh::net
