#include "net/packet.h"

#include <gtest/gtest.h>

#include <numeric>

#include "core/random.h"
#include "net/test_support.h"

namespace wh::net {
namespace {

std::vector<uint8_t> counting(size_t size) {
  std::vector<uint8_t> bytes(size);
  std::iota(bytes.begin(), bytes.end(), uint8_t{1});
  return bytes;
}

Slice slice_of(const std::vector<uint8_t>& bytes) {
  return {ChunkRef::copy_of(bytes), 0, static_cast<uint32_t>(bytes.size())};
}

// A packet of 10 head bytes and slices of 20 and 30, whose bytes count from 1.
PacketPtr three_runs(PacketPool& pool) {
  const auto bytes = counting(60);
  PacketPtr p = pool.allocate();
  std::memcpy(p->append(10), bytes.data(), 10);
  const Slice whole = slice_of(bytes);
  EXPECT_TRUE(p->append(whole.sub(10, 20)));
  EXPECT_TRUE(p->append(whole.sub(30, 30)));
  return p;
}

TEST(Packet, push_and_pull_move_the_front) {
  PacketPool pool;
  PacketPtr p = pool.allocate();
  std::memcpy(p->append(3), "abc", 3);
  std::memcpy(p->push(2), "xy", 2);
  EXPECT_EQ(bytes_of(*p), (std::vector<uint8_t>{'x', 'y', 'a', 'b', 'c'}));
  EXPECT_EQ(p->headroom(), Packet::kHeadroom - 2);
  p->pull(4);
  EXPECT_EQ(bytes_of(*p), (std::vector<uint8_t>{'c'}));
}

TEST(Packet, head_ends_where_headroom_and_tailroom_do) {
  PacketPool pool;
  PacketPtr p = pool.allocate();
  p->push(p->headroom());
  p->append(p->tailroom());
  EXPECT_EQ(p->head_size(), Packet::kHeadCapacity);
  EXPECT_DEATH(p->push(1), "head_begin");
  EXPECT_DEATH(p->append(1), "tailroom");
  p->pull(Packet::kHeadCapacity);
  EXPECT_DEATH(p->pull(1), "head_size");
}

TEST(Packet, takes_two_slices_and_refuses_a_third) {
  PacketPool pool;
  PacketPtr p = three_runs(pool);
  EXPECT_EQ(p->size(), 60u);
  EXPECT_EQ(p->payload_size(), 50u);
  EXPECT_EQ(bytes_of(*p), counting(60));
  EXPECT_FALSE(p->append(slice_of({1})));
  EXPECT_TRUE(p->append(Slice{}));  // Nothing is no slice.
  EXPECT_EQ(p->size(), 60u);
}

TEST(Packet, pullup_moves_payload_into_the_head_and_keeps_the_bytes) {
  PacketPool pool;
  for (uint32_t n = 0; n <= 60; ++n) {
    PacketPtr p = three_runs(pool);
    ASSERT_TRUE(p->pullup(n));
    ASSERT_EQ(p->head_size(), std::max(n, 10u));
    ASSERT_EQ(bytes_of(*p), counting(60));
  }
  PacketPtr p = three_runs(pool);
  EXPECT_FALSE(p->pullup(61));
  EXPECT_EQ(bytes_of(*p), counting(60));
}

TEST(Packet, pullup_makes_place_for_another_slice) {
  PacketPool pool;
  PacketPtr p = three_runs(pool);
  ASSERT_TRUE(p->pullup(30));
  EXPECT_TRUE(p->append(slice_of({99})));
  auto expected = counting(60);
  expected.push_back(99);
  EXPECT_EQ(bytes_of(*p), expected);
}

TEST(Packet, pullup_fails_where_the_head_is_full) {
  PacketPool pool;
  PacketPtr p = pool.allocate();
  p->append(p->tailroom());
  const uint32_t head = p->head_size();
  p->append(slice_of({1, 2}));
  EXPECT_FALSE(p->pullup(head + 1));
  EXPECT_EQ(p->size(), head + 2);
}

TEST(Packet, truncate_cuts_at_every_place) {
  PacketPool pool;
  for (uint32_t n = 0; n <= 60; ++n) {
    PacketPtr p = three_runs(pool);
    p->truncate(n);
    ASSERT_EQ(bytes_of(*p), counting(n));
  }
  EXPECT_DEATH(three_runs(pool)->truncate(61), "size");
}

TEST(Packet, copy_out_and_runs_begin_at_every_offset) {
  PacketPool pool;
  PacketPtr p = three_runs(pool);
  const auto all = counting(60);
  for (uint32_t from = 0; from <= 60; ++from) {
    const std::vector<uint8_t> expected(all.begin() + from, all.end());
    std::vector<uint8_t> copied(60 - from), ran;
    p->copy_out(from, copied);
    p->for_each_run(from, [&](auto run) { ran.insert(ran.end(), run.begin(), run.end()); });
    ASSERT_EQ(copied, expected);
    ASSERT_EQ(ran, expected);
  }
}

TEST(Packet, clone_shares_payload_and_copies_the_head) {
  PacketPool pool;
  PacketPtr p = three_runs(pool);
  p->flow_hash = 7;
  PacketPtr copy = pool.clone(*p);
  EXPECT_EQ(copy->slices[0].chunk, p->slices[0].chunk);
  EXPECT_EQ(copy->flow_hash, 7u);
  p->data()[0] = 0xee;
  EXPECT_EQ(bytes_of(*copy), counting(60));
  p.reset();
  EXPECT_EQ(bytes_of(*copy), counting(60));  // The chunk lives as long as one refers to it.
  EXPECT_EQ(copy->slices[0].chunk->references(), 2u);
}

TEST(Packet, unshared_payload_may_be_changed_without_the_other_seeing_it) {
  PacketPool pool;
  PacketPtr p = three_runs(pool);
  PacketPtr copy = pool.clone(*p);
  const std::span<uint8_t> mine = copy->unshare_payload();
  ASSERT_EQ(mine.size(), 50u);
  mine[0] ^= 0xff;
  EXPECT_EQ(bytes_of(*p), counting(60));
  auto changed = counting(60);
  changed[10] ^= 0xff;
  EXPECT_EQ(bytes_of(*copy), changed);
  EXPECT_TRUE(pool.allocate()->unshare_payload().empty());
}

TEST(Packet, assign_reads_any_size) {
  PacketPool pool;
  const uint32_t in_head = Packet::kHeadCapacity - Packet::kHeadroom;
  for (const uint32_t size : {0u, 1u, in_head - 1, in_head, in_head + 1, 1514u, 65536u}) {
    PacketPtr p = three_runs(pool);
    p->flow_hash = 7;
    const auto bytes = counting(size);
    p->assign(bytes);
    EXPECT_EQ(bytes_of(*p), bytes);
    EXPECT_EQ(p->headroom(), Packet::kHeadroom);
    EXPECT_EQ(p->head_size(), std::min(size, in_head));
    EXPECT_EQ(p->flow_hash, 0u);
  }
}

TEST(Packet, comes_from_the_pool_without_what_it_bore_before) {
  PacketPool pool;
  PacketPtr p = three_runs(pool);
  p->checksum = Checksum::Verified;
  p->gso_size = p->l4_offset = 9;
  p->arrival = Instant(5s);
  const Packet* place = p.get();
  p.reset();
  p = pool.allocate();
  ASSERT_EQ(p.get(), place);
  EXPECT_EQ(p->size(), 0u);
  EXPECT_EQ(p->checksum, Checksum::Unknown);
  EXPECT_EQ(p->gso_size, 0);
  EXPECT_EQ(p->l4_offset, 0);
  EXPECT_EQ(p->arrival, Instant{});
}

TEST(Packet, keeps_its_bytes_through_any_sequence_of_operations) {
  constexpr uint64_t kSeed = 0xacce55;
  SCOPED_TRACE(fmt::format("replay: net_test --gtest_filter=Packet.* with seed {:#x}", kSeed));
  Random random(kSeed);
  PacketPool pool;
  for (int round = 0; round < 300; ++round) {
    PacketPtr p = pool.allocate();
    std::vector<uint8_t> model;
    for (int step = 0; step < 30; ++step) {
      const auto bytes = counting(random.below(40));
      const auto n = static_cast<uint32_t>(bytes.size());
      switch (random.below(7)) {
        case 0:
          if (n == 0 || n > p->headroom()) break;
          std::memcpy(p->push(n), bytes.data(), n);
          model.insert(model.begin(), bytes.begin(), bytes.end());
          break;
        case 1:
          if (n == 0 || n > p->tailroom() || p->payload_size() != 0) break;
          std::memcpy(p->append(n), bytes.data(), n);
          model.insert(model.end(), bytes.begin(), bytes.end());
          break;
        case 2:
          if (p->append(slice_of(bytes))) model.insert(model.end(), bytes.begin(), bytes.end());
          break;
        case 3:
          if (n > p->head_size()) break;
          p->pull(n);
          model.erase(model.begin(), model.begin() + n);
          break;
        case 4: (void)p->pullup(n + 20); break;
        case 5:
          if (n > p->size()) break;
          p->truncate(p->size() - n);
          model.erase(model.end() - n, model.end());
          break;
        default: p = pool.clone(*p); break;
      }
      ASSERT_EQ(bytes_of(*p), model) << "round " << round << " step " << step;
    }
  }
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST(PacketPool, stops_at_its_limit_and_counts_it) {
  for (const size_t limit : {1u, 10u, 64u, 65u}) {
    PacketPool pool(limit);
    std::vector<PacketPtr> held;
    for (size_t i = 0; i < limit; ++i) held.push_back(pool.allocate());
    ASSERT_NE(held.back(), nullptr);
    EXPECT_EQ(pool.in_use(), limit);
    EXPECT_EQ(pool.allocate(), nullptr);
    EXPECT_EQ(pool.clone(*held[0]), nullptr);
    EXPECT_EQ(pool.exhausted(), 2u);
    held.pop_back();
    EXPECT_NE(pool.allocate(), nullptr);
  }
}

TEST(ChunkRef, counts_references) {
  ChunkRef a = ChunkRef::make(10);
  EXPECT_EQ(a->references(), 1u);
  {
    ChunkRef b = a;
    EXPECT_EQ(a->references(), 2u);
    ChunkRef c = std::move(b);
    EXPECT_EQ(a->references(), 2u);
    EXPECT_FALSE(b);  // NOLINT: moved from, and defined to be empty.
    a = c;
    EXPECT_EQ(a->references(), 2u);
  }
  EXPECT_EQ(a->references(), 1u);
}

TEST(Slice, part_must_be_within_it) {
  const Slice s = slice_of(counting(10));
  EXPECT_EQ(s.sub(10, 0).size, 0u);
  EXPECT_EQ(s.sub(9, 1).bytes()[0], 10);
  EXPECT_DEATH((void)s.sub(9, 2), "count");
  EXPECT_DEATH((void)s.sub(0xffffffff, 2), "from");
}

}  // namespace
}  // namespace wh::net
