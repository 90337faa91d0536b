#include <gtest/gtest.h>

#include "core/random.h"
#include "tcp/sendmap.h"

namespace wh::tcp {
namespace {

constexpr Instant kMapStart = Instant(1000s);

// A sendmap over a buffer, with a sequence space that wraps in the middle.
class SendMapTest : public ::testing::Test {
 protected:
  SendMapTest() { buffer.append(std::vector<uint8_t>(100'000, 7)); }
  ~SendMapTest() override { map.check_invariants(una, max); }
  void send(uint32_t n, Instant when, uint16_t flags = 0) {
    const uint32_t fin = (flags & SendEntry::kFin) != 0 ? 1 : 0;
    ASSERT_TRUE(map.append(max, n + fin, buffer.advance(buffer.front(), offset), flags, when, 0));
    max += SeqLen(n + fin);
    offset += n;
    map.check_invariants(una, max);
  }
  SeqNum at(uint32_t n) const { return iss + SeqLen(n); }

  const SeqNum iss{0xffffff00u};
  SeqNum una = iss, max = iss;
  uint32_t offset = 0;
  SendEntryPool pool;
  SendBuffer buffer{Bytes(200'000)};
  SendMap map{pool, buffer};
};

TEST_F(SendMapTest, joins_what_leaves_at_one_instant_and_nothing_else) {
  send(1000, kMapStart);
  send(1000, kMapStart);
  EXPECT_EQ(map.size(), 1u);
  send(1000, kMapStart + 1ns);
  EXPECT_EQ(map.size(), 2u);
  map.mark_retransmitted(map[1], kMapStart + 2ns, 0, false);
  send(1000, kMapStart + 1ns);
  EXPECT_EQ(map.size(), 3u);
}

// E-81: FIN and PUSH go right, times are the same.
TEST_F(SendMapTest, split_leaves_fin_and_push_on_the_right_E81) {
  send(1000, kMapStart);
  send(2999, kMapStart + 1ms, SendEntry::kFin | SendEntry::kPush);
  ASSERT_NE(map.split(1, at(2448)), nullptr);
  ASSERT_EQ(map.size(), 3u);
  EXPECT_TRUE(map[1].start == at(1000) && map[1].end == at(2448));
  EXPECT_TRUE(map[2].start == at(2448) && map[2].end == at(4000));
  EXPECT_FALSE(map[1].has(SendEntry::kFin | SendEntry::kPush));
  EXPECT_TRUE(map[2].has(SendEntry::kFin) && map[2].has(SendEntry::kPush));
  EXPECT_EQ(map[1].last_sent(), map[2].last_sent());
  EXPECT_EQ(map[2].data_length(), 1551u);
  EXPECT_EQ(map.next_in_time(map[1]), &map[2]);
}

// E-82: what was sent before the SACKed one is passed, what was sent later is not.
TEST_F(SendMapTest, sack_marks_passed_what_was_sent_before_E82) {
  for (int i = 0; i < 5; ++i) send(1000, kMapStart + i * 1ms);
  map.mark_sacked(map[2], kMapStart + 20ms);
  EXPECT_TRUE(map[0].has(SendEntry::kSackPassed) && map[1].has(SendEntry::kSackPassed));
  EXPECT_FALSE(map[3].has(SendEntry::kSackPassed) || map[4].has(SendEntry::kSackPassed));
}

// E-83: a SACK of half an entry.
TEST_F(SendMapTest, sack_of_half_an_entry_splits_it_E83) {
  send(2000, kMapStart);
  SendEntry* right = map.split(0, at(1000));
  map.mark_sacked(*right, kMapStart + 10ms);
  EXPECT_EQ(map.sacked(), 1000u);
  EXPECT_EQ(map.pipe(), 1000u);
  EXPECT_EQ(map.oldest(), &map[0]);
  EXPECT_EQ(map.next_in_time(map[0]), nullptr);
}

// E-84: a retransmission goes to the end of the time order and counts as one.
TEST_F(SendMapTest, retransmission_is_the_latest_E84) {
  for (int i = 0; i < 3; ++i) send(1000, kMapStart + i * 1ms);
  const uint32_t pipe = map.pipe();
  map.mark_retransmitted(map[0], kMapStart + 50ms, 0, false);
  EXPECT_EQ(map[0].transmissions, 2);
  EXPECT_EQ(map.newest(), &map[0]);
  EXPECT_EQ(map.retransmitted(), 1000u);
  EXPECT_EQ(map.pipe(), pipe);
}

TEST_F(SendMapTest, loss_leaves_the_pipe_and_a_retransmission_enters_it) {
  for (int i = 0; i < 3; ++i) send(1000, kMapStart + i * 1ms);
  map.mark_lost(map[1]);
  EXPECT_EQ(map.pipe(), 2000u);
  EXPECT_EQ(map.first_lost(), &map[1]);
  map.mark_retransmitted(map[1], kMapStart + 9ms, 0, false);
  EXPECT_EQ(map.pipe(), 3000u);
  EXPECT_EQ(map.first_lost(), nullptr);
}

TEST_F(SendMapTest, timeout_withdraws_sacks_and_loses_everything_in_order) {
  for (int i = 0; i < 4; ++i) send(1000, kMapStart + i * 1ms);
  map.mark_sacked(map[2], kMapStart + 9ms);
  map.time_out();
  EXPECT_EQ(map.sacked(), 0u);
  EXPECT_EQ(map.lost(), 4000u);
  EXPECT_EQ(map.pipe(), 0u);
  EXPECT_TRUE(map[2].has(SendEntry::kWasSacked));
  EXPECT_EQ(map.first_lost(), &map[0]);
  map.unmark_all_lost();
  EXPECT_EQ(map.pipe(), 4000u);
  EXPECT_EQ(map.oldest(), &map[0]);
}

TEST_F(SendMapTest, acknowledges_whole_entries_and_parts) {
  send(1000, kMapStart);
  send(1000, kMapStart + 1ms);
  uint32_t bytes = 0, calls = 0;
  map.acknowledge(at(1500), [&](const SendEntry&, uint32_t n) { bytes += n, ++calls; });
  una = at(1500);
  EXPECT_EQ(bytes, 1500u);
  EXPECT_EQ(calls, 2u);
  EXPECT_EQ(map.outstanding(), 500u);
}

TEST_F(SendMapTest, refuses_when_the_pool_is_empty) {
  pool.set_limit(0);
  EXPECT_FALSE(map.append(max, 10, buffer.front(), 0, kMapStart, 0));
  EXPECT_EQ(pool.exhausted(), 1u);
}

TEST_F(SendMapTest, keeps_its_books_through_random_operations) {
  constexpr uint64_t kSeed = 5;
  SCOPED_TRACE("replay: ./x test tcp -k SendMapTest, seed " + std::to_string(kSeed));
  Random r(kSeed);
  Instant now = kMapStart;
  for (int step = 0; step < 20'000; ++step) {
    now += Duration(r.below(3) * 1000);
    const size_t i = map.empty() ? 0 : r.below(map.size());
    switch (r.below(8)) {
      case 0:
      case 1:
        if (buffer.space() > 3000) buffer.append(std::vector<uint8_t>(3000));
        if (offset + 3000 < buffer.size() && map.size() < 60)
          send(static_cast<uint32_t>(r.between(1, 3000)), now);
        break;
      case 2:
        if (map.empty() || map[i].length() < 2) break;
        map.split(i,
                  map[i].start + SeqLen(static_cast<uint32_t>(r.between(1, map[i].length() - 1))));
        break;
      case 3:
        if (!map.empty()) map.mark_sacked(map[i], now);
        break;
      case 4:
        if (!map.empty()) map.mark_lost(map[i]);
        break;
      case 5:
        if (map.lost() > 0) map.mark_retransmitted(*map.first_lost(), now, 0, r.one_in(5));
        break;
      case 6: {
        if (map.empty() || !r.one_in(4)) break;
        una = una + SeqLen(static_cast<uint32_t>(r.between(1, map.outstanding())));
        uint32_t n = 0;
        map.acknowledge(una, [&](const SendEntry&, uint32_t bytes) { n += bytes; });
        buffer.drop_front(n);
        offset -= n;
        break;
      }
      default:
        if (r.one_in(50)) map.time_out();
        if (r.one_in(50)) map.renege();
        if (r.one_in(50)) map.unmark_all_lost();
    }
    map.check_invariants(una, max);
  }
}

}  // namespace
}  // namespace wh::tcp
