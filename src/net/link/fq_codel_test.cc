// FQ-CoDel: equal shares, no queue for the sparse, and its bound.
#include "net/link/fq_codel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>

#include "net/link/flow_packets.h"
#include "net/link/glance.h"

namespace wh::net {
namespace {

constexpr Instant kStart = VirtualLoop::kEpoch;

class FqCodelTest : public ::testing::Test {
 protected:
  std::unique_ptr<FqCodel> make(QueueLimit limit = {}, FqCodelConfig config = {}) {
    return std::make_unique<FqCodel>(config, limit, Random(9), counters);
  }
  void put(FqCodel& q, uint16_t port, uint32_t size, Instant when = kStart) {
    PacketPtr packet = udp_packet(pool, port, size);
    packet->enqueued = when;
    q.enqueue(std::move(packet));
  }
  // The port of the next packet to leave; 0 when none does.
  uint16_t next(FqCodel& q, Instant now = kStart) {
    const PacketPtr packet = q.dequeue(now);
    return packet == nullptr ? uint16_t{0} : glance_at(*packet)->flow.source_port;
  }
  PacketPool pool;
  LinkCounters counters;
};

TEST_F(FqCodelTest, flows_take_turns_of_a_quantum) {
  auto q = make();
  for (int i = 0; i < 4; ++i) put(*q, 1, 1514);
  for (int i = 0; i < 4; ++i) put(*q, 2, 1514);
  std::vector<uint16_t> order;
  while (const uint16_t port = next(*q)) order.push_back(port);
  EXPECT_EQ(order, (std::vector<uint16_t>{1, 2, 1, 2, 1, 2, 1, 2}));
  EXPECT_EQ(q->held(), Tally{});
}

TEST_F(FqCodelTest, shares_are_equal_in_bytes_not_packets) {
  auto q = make();
  for (int i = 0; i < 1000; ++i) put(*q, 1, 300);
  for (int i = 0; i < 1000; ++i) put(*q, 2, 1500);
  for (int i = 0; i < 1000; ++i) put(*q, 3, 700);
  std::map<uint16_t, uint64_t> bytes;
  for (int i = 0; i < 1200; ++i) {
    const PacketPtr packet = q->dequeue(kStart);
    bytes[glance_at(*packet)->flow.source_port] += packet->size();
  }
  const double mean = static_cast<double>(bytes[1] + bytes[2] + bytes[3]) / 3;
  for (const auto& [port, sent] : bytes) EXPECT_NEAR(static_cast<double>(sent), mean, 2 * 1514.0);
}

TEST_F(FqCodelTest, sparse_flow_finds_no_queue) {
  auto q = make();
  for (int i = 0; i < 50; ++i) put(*q, 1, 1514);
  EXPECT_EQ(next(*q), 1);
  for (int round = 0; round < 10; ++round) {
    put(*q, 7, 100);
    EXPECT_EQ(next(*q), 7) << "round " << round;
    EXPECT_EQ(next(*q), 1);
    EXPECT_EQ(next(*q), 1);
  }
}

TEST_F(FqCodelTest, flow_cannot_stay_new_by_running_empty) {
  auto q = make();
  for (int i = 0; i < 10; ++i) put(*q, 1, 1514);
  EXPECT_EQ(next(*q), 1);  // Flow 1 has used its quantum.
  put(*q, 7, 1514);
  EXPECT_EQ(next(*q), 7);  // New: served first.
  // Flow 7 has used its own; back at once, it is still in its round and waits behind flow 1.
  put(*q, 7, 1514);
  EXPECT_EQ(next(*q), 1);
  EXPECT_EQ(next(*q), 7);
}

TEST_F(FqCodelTest, drops_from_the_head_of_the_fattest_flow) {
  auto q = make({.packets = 100});
  put(*q, 7, 100);
  for (int i = 0; i < 99; ++i) put(*q, 1, 1514);
  EXPECT_EQ(counters.all_dropped().packets, 0u);
  put(*q, 2, 100);
  // Half of the fattest queue's bytes, and no more than 64 packets: 50 of 99.
  EXPECT_EQ(counters.dropped_for(DropReason::QueueFull).packets, 50u);
  EXPECT_EQ(q->held().packets, 51u);
  int of_seven = 0, of_two = 0;
  while (const uint16_t port = next(*q)) of_seven += port == 7, of_two += port == 2;
  EXPECT_EQ(of_seven, 1);
  EXPECT_EQ(of_two, 1);
}

// The same by another way: a search through all queues at each drop.
class SearchedQueues {
 public:
  SearchedQueues(uint32_t flows, uint64_t limit) : queues_(flows), limit_(limit) {}
  void put(uint32_t flow, uint32_t size) {
    while (held_ + size > limit_) {
      const auto fattest =
          std::max_element(queues_.begin(), queues_.end(),
                           [](const Queued& a, const Queued& b) { return a.bytes < b.bytes; });
      const uint64_t half = fattest->bytes / 2;
      uint64_t dropped = 0;
      for (uint32_t n = 0; n < FqCodel::kDropBatch && !fattest->sizes.empty(); ++n) {
        dropped += take(*fattest);
        if (dropped >= half) break;
      }
    }
    queues_[flow].sizes.push_back(size);
    queues_[flow].bytes += size;
    held_ += size;
  }
  uint32_t take(uint32_t flow) { return take(queues_[flow]); }
  uint64_t held() const { return held_; }

 private:
  struct Queued {
    std::deque<uint32_t> sizes;
    uint64_t bytes = 0;
  };
  uint32_t take(Queued& queue) {
    if (queue.sizes.empty()) return 0;
    const uint32_t size = queue.sizes.front();
    queue.sizes.pop_front();
    queue.bytes -= size;
    held_ -= size;
    return size;
  }
  std::vector<Queued> queues_;
  uint64_t limit_, held_ = 0;
};

TEST_F(FqCodelTest, drops_what_a_search_of_all_queues_would) {
  for (const uint32_t flows : {1u, 2u, 3u, 100u, 1024u}) {
    constexpr uint64_t kLimit = 60'000;
    auto q = make({.bytes = Bytes(kLimit)}, {.flows = flows});
    SearchedQueues model(flows, kLimit);
    Random random(flows);
    for (int i = 0; i < 5000; ++i) {
      if (random.below(3) != 0) {
        // Few sizes, so that many hold the same; few ports, so that some are fat.
        const auto port = static_cast<uint16_t>(1 + random.below(i % 1000 < 500 ? 300 : 5));
        const auto size = static_cast<uint32_t>(random.below(2) == 0 ? 100 : 1514);
        model.put(q->flow_of(*udp_packet(pool, port, size)), size);
        put(*q, port, size);
      } else if (const PacketPtr packet = q->dequeue(kStart)) {
        ASSERT_EQ(packet->size(), model.take(q->flow_of(*packet))) << flows << " flows, step " << i;
      }
      ASSERT_EQ(q->held().bytes, model.held()) << flows << " flows, step " << i;
    }
    EXPECT_GT(counters.dropped_for(DropReason::QueueFull).packets, 0u);
  }
}

TEST_F(FqCodelTest, never_holds_more_than_its_limit) {
  auto q = make({.bytes = Bytes(10'000)});
  for (int i = 0; i < 500; ++i) {
    put(*q, static_cast<uint16_t>(1 + i % 5), static_cast<uint32_t>(60 + (i * 97) % 1455));
    ASSERT_LE(q->held().bytes, 10'000u);
  }
  EXPECT_GT(counters.dropped_for(DropReason::QueueFull).packets, 0u);
  auto tiny = make({.bytes = Bytes(100)});
  put(*tiny, 1, 101);
  EXPECT_EQ(tiny->held(), Tally{});
}

TEST_F(FqCodelTest, each_flow_has_its_own_codel) {
  auto q = make();
  for (int i = 0; i < 3000; ++i) put(*q, 1, 1514);
  for (int64_t ms = 1; ms < 1000; ++ms) {
    const Instant now = kStart + std::chrono::milliseconds(ms);
    put(*q, 7, 100, now);
    // One of each, whoever's turn it is: nothing of the sparse flow is ever dropped or late.
    ASSERT_EQ(next(*q, now) + next(*q, now), 1 + 7) << ms << " ms";
  }
  EXPECT_GT(counters.dropped_for(DropReason::Codel).packets, 5u);
}

TEST_F(FqCodelTest, what_is_not_ip_is_one_flow) {
  auto q = make();
  const PacketPtr a = raw_packet(pool, 60, 1), b = raw_packet(pool, 90, 2);
  EXPECT_EQ(q->flow_of(*a), q->flow_of(*b));
}

TEST_F(FqCodelTest, hash_spreads_flows_evenly) {
  auto q = make();
  std::map<uint32_t, int> queues;
  for (uint16_t port = 1; port <= 4096; ++port) {
    const PacketPtr packet = udp_packet(pool, port, 100);
    ++queues[q->flow_of(*packet)];
  }
  // 4096 flows in 1024 queues: four each on average; none empty or with twenty but by chance below
  // 1e-3.
  EXPECT_GT(queues.size(), 980u);
  for (const auto& [queue, n] : queues) EXPECT_LT(n, 20);
}

}  // namespace
}  // namespace wh::net
