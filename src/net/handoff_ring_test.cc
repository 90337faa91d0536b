#include "net/handoff_ring.h"

#include <gtest/gtest.h>

#include <thread>

#include "net/test_support.h"

namespace wh::net {
namespace {

// A packet of n bytes that follow from `seed`, so that a mixed-up one is found.
PacketPtr made(PacketPool& pool, uint32_t n, uint32_t seed) {
  std::vector<uint8_t> bytes(n);
  for (uint32_t i = 0; i < n; ++i) bytes[i] = static_cast<uint8_t>(seed * 31 + i);
  PacketPtr p = pool.allocate();
  p->assign(bytes);
  return p;
}

TEST(HandoffRing, carries_bytes_link_header_and_notes) {
  PacketPool pool;
  HandoffRing ring;
  const PacketPtr p = made(pool, 70'000, 1);
  p->pull(14);
  p->l2_size = 14;
  p->interface = 3, p->rx_interface = 4, p->gso_size = 1448, p->l4_offset = 20;
  p->adjacency = 77, p->ecn = 2;
  p->checksum = Checksum::Needed;
  ASSERT_TRUE(ring.push(*p, 9));
  uint8_t to = 0;
  const PacketPtr q = ring.pop(pool, to);
  ASSERT_NE(q, nullptr);
  EXPECT_EQ(to, 9);
  EXPECT_EQ(bytes_of(*q), bytes_of(*p));
  EXPECT_EQ(std::memcmp(q->data() - 14, p->data() - 14, 14), 0);
  EXPECT_EQ(q->interface, 3);
  EXPECT_EQ(q->rx_interface, 4);
  EXPECT_EQ(q->gso_size, 1448);
  EXPECT_EQ(q->l4_offset, 20);
  EXPECT_EQ(q->adjacency, 77u);
  EXPECT_EQ(q->ecn, 2);
  EXPECT_EQ(q->checksum, Checksum::Needed);
  EXPECT_TRUE(ring.is_empty());
}

TEST(HandoffRing, refuses_and_counts_what_it_has_no_room_for) {
  PacketPool pool;
  HandoffRing ring(1 << 18);
  const PacketPtr p = made(pool, 1000, 1);
  uint32_t taken = 0;
  while (ring.push(*p, 0)) ++taken;
  EXPECT_EQ(ring.full(), 1u);
  EXPECT_GT(taken, (1u << 18) / 1100);
  EXPECT_FALSE(ring.push(*made(pool, HandoffRing::kLargest + 1, 1), 0));
  uint8_t to;
  EXPECT_NE(ring.pop(pool, to), nullptr);
  EXPECT_TRUE(ring.push(*p, 0));
  PacketPool empty(0);
  EXPECT_EQ(ring.pop(empty, to), nullptr);  // It stays.
  while (ring.pop(pool, to)) --taken;
  EXPECT_EQ(taken, 0u);
}

// Sizes of every kind, so that records meet the end of the memory in every way.
TEST(HandoffRing, keeps_order_and_bytes_between_threads) {
  constexpr uint32_t kPackets = 20'000;
  auto size_of = [](uint32_t i) { return 14 + i * 7919 % 9000; };
  HandoffRing ring(1 << 18);
  std::thread writer([&] {
    PacketPool pool;
    for (uint32_t i = 0; i < kPackets; ++i) {
      const PacketPtr p = made(pool, size_of(i), i);
      while (!ring.push(*p, static_cast<uint8_t>(i))) std::this_thread::yield();
    }
  });
  PacketPool pool;
  uint32_t wrong = 0;
  for (uint32_t i = 0; i < kPackets;) {
    uint8_t to = 0;
    const PacketPtr p = ring.pop(pool, to);
    if (p == nullptr) {
      std::this_thread::yield();
      continue;
    }
    const uint32_t size = size_of(i);
    wrong += p->size() != size || to != static_cast<uint8_t>(i);
    wrong += p->data()[0] != static_cast<uint8_t>(i * 31);
    uint8_t last = 0;
    p->copy_out(p->size() - 1, {&last, 1});
    wrong += last != static_cast<uint8_t>(i * 31 + size - 1);
    ++i;
  }
  writer.join();
  EXPECT_EQ(wrong, 0u);
  EXPECT_TRUE(ring.is_empty());
}

}  // namespace
}  // namespace wh::net
