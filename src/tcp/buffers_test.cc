#include <gtest/gtest.h>

#include "core/random.h"
#include "tcp/conversation.h"
#include "tcp/one_flow.h"

namespace wh::tcp {
namespace {

const net::TcpOptions kOfferingSack = {.mss = 1460, .sack_permitted = true};

std::vector<uint8_t> bytes_of(const net::Packet& p, uint32_t from) {
  std::vector<uint8_t> out(p.size() - from);
  p.copy_out(from, out);
  return out;
}

TEST(SendBuffer, takes_what_fits_and_no_more) {
  SendBuffer b{Bytes(10)};
  EXPECT_EQ(b.append(pattern(0, 8)), 8u);
  EXPECT_EQ(b.append(pattern(8, 8)), 2u);
  EXPECT_EQ(b.space(), 0u);
  b.drop_front(3);
  EXPECT_EQ(b.space(), 3u);
}

TEST(SendBuffer, refers_to_its_chunks_and_copies_nothing) {
  net::PacketPool pool;
  SendBuffer b{Bytes(100'000)};
  b.append(pattern(0, 5000));
  SendBuffer::Position at = b.front();
  auto first = pool.allocate(), again = pool.allocate();
  b.attach(*first, at, 1448);
  SendBuffer::Position start = b.front();
  b.attach(*again, start, 1448);
  EXPECT_EQ(first->slices[0].data(), again->slices[0].data());
  EXPECT_EQ(bytes_of(*first, 0), pattern(0, 1448));
  EXPECT_EQ(b.gathers(), 0u);
}

TEST(SendBuffer, positions_stay_good_through_writes_and_acknowledgments) {
  constexpr uint64_t kSeed = 3;
  SCOPED_TRACE("replay: ./x test tcp -k SendBuffer, seed " + std::to_string(kSeed));
  Random r(kSeed);
  net::PacketPool pool;
  SendBuffer b{Bytes(50'000)};
  uint64_t written = 0, acked = 0, sent = 0;
  SendBuffer::Position cursor = b.front();
  const net::ChunkRef shared = net::ChunkRef::copy_of(pattern(0, 65536));
  for (int step = 0; step < 20'000; ++step) {
    const uint64_t n = r.between(1, r.one_in(4) ? 9000 : 40);
    if (r.one_in(3)) {
      written += b.append(pattern(written, n));
    } else if (r.one_in(3) && written % 65536 + n <= 65536 && written < 65536) {
      written += b.append({shared, static_cast<uint32_t>(written), static_cast<uint32_t>(n)});
    } else if (r.one_in(2) && sent < written) {
      const uint64_t size = std::min(n, written - sent);
      auto packet = pool.allocate();
      const SendBuffer::Position from = b.advance(b.front(), sent - acked);
      SendBuffer::Position copy = from;
      b.attach(*packet, copy, size);
      ASSERT_EQ(bytes_of(*packet, 0), pattern(sent, size));
      auto second = pool.allocate();
      b.attach(*second, cursor, size);
      ASSERT_EQ(bytes_of(*second, 0), pattern(sent, size));
      sent += size;
    } else if (acked < sent) {
      const uint64_t size = std::min(n, sent - acked);
      b.drop_front(size);
      acked += size;
    }
    ASSERT_EQ(b.size(), written - acked);
  }
  EXPECT_GT(b.gathers(), 0u);
}

class ReceiveBufferTest : public ::testing::Test {
 protected:
  ReceiveBuffer::Insertion insert(uint64_t at, uint32_t n, size_t islands = 100) {
    return insert_bytes(at, pattern(at, n), islands);
  }
  ReceiveBuffer::Insertion insert_bytes(uint64_t at, const std::vector<uint8_t>& bytes,
                                        size_t islands = 100) {
    auto packet = pool.allocate();
    packet->assign(bytes);
    const auto got = b.insert(next(), iss + SeqLen(static_cast<uint32_t>(at)), *packet, 0,
                              static_cast<uint32_t>(bytes.size()), islands);
    advanced += got.advance;
    b.check_invariants(next());
    return got;
  }
  SeqNum next() const { return iss + SeqLen(static_cast<uint32_t>(advanced)); }
  void expect_ready(size_t n) {
    std::vector<uint8_t> out(n + 1);
    ASSERT_EQ(b.read(out), n);
    out.resize(n);
    EXPECT_EQ(out, pattern(read, n));
    read += n;
  }
  const SeqNum iss{0xfffffe00u};
  net::PacketPool pool;
  ReceiveBuffer b;
  uint64_t advanced = 0, read = 0;
};

TEST_F(ReceiveBufferTest, holds_an_island_until_its_hole_fills) {
  EXPECT_EQ(insert(1000, 500).advance, 0u);
  EXPECT_EQ(b.readable(), 0u);
  EXPECT_EQ(insert(0, 1000).advance, 1500u);
  EXPECT_FALSE(b.has_islands());
  expect_ready(1500);
}

TEST_F(ReceiveBufferTest, reports_the_island_that_changed_last_first) {
  insert(1000, 100);
  insert(2000, 100);
  insert(3000, 100);
  insert(2100, 100);
  std::array<SeqRange, 4> blocks;
  ASSERT_EQ(b.sack_blocks(blocks), 3u);
  EXPECT_EQ(blocks[0], (SeqRange{iss + SeqLen(2000), iss + SeqLen(2200)}));
  EXPECT_EQ(blocks[1], (SeqRange{iss + SeqLen(3000), iss + SeqLen(3100)}));
  EXPECT_EQ(blocks[2], (SeqRange{iss + SeqLen(1000), iss + SeqLen(1100)}));
}

TEST_F(ReceiveBufferTest, joins_islands_that_a_segment_bridges_and_keeps_what_came_first) {
  insert(1000, 100);
  insert(1200, 100);
  const auto got = insert(900, 600);
  EXPECT_EQ(got.duplicate, 200u);
  EXPECT_EQ(b.islands(), 1u);
  insert(0, 900);
  expect_ready(1500);
}

TEST_F(ReceiveBufferTest, refuses_one_island_too_many) {
  EXPECT_FALSE(insert(100, 10, 2).is_refused);
  EXPECT_FALSE(insert(200, 10, 2).is_refused);
  EXPECT_TRUE(insert(300, 10, 2).is_refused);
  EXPECT_FALSE(insert(110, 10, 2).is_refused);
}

TEST_F(ReceiveBufferTest, agrees_with_a_plain_model_through_random_segments) {
  constexpr uint64_t kSeed = 9;
  SCOPED_TRACE("replay: ./x test tcp -k ReceiveBufferTest, seed " + std::to_string(kSeed));
  Random r(kSeed);
  std::vector<bool> has(200'000, false);
  for (int step = 0; step < 3000; ++step) {
    const uint64_t at = advanced + (r.one_in(3) ? 0 : r.below(5000));
    const auto n = static_cast<uint32_t>(r.between(1, r.one_in(2) ? 60 : 1500));
    if (at + n > has.size()) break;
    insert(at, n, 1'000'000);
    for (uint64_t i = at; i < at + n; ++i) has[i] = true;
    uint64_t expected = advanced;
    while (expected < has.size() && has[expected]) ++expected;
    ASSERT_EQ(advanced, expected);
    expect_ready(advanced - read);
  }
}

// The contents of a liar's copies differ: what was SACKed is what the application gets.
// However it was cut, what came pins no more memory than several times its size.
TEST_F(ReceiveBufferTest, pins_no_chunk_for_a_byte_in_whatever_order_bytes_come) {
  constexpr uint32_t kBytes = 8192;
  const auto pinned = [&] {
    size_t bytes = 0;
    net::ChunkRef last;
    for (net::Slice s = b.read_slice(SIZE_MAX); s.size > 0; s = b.read_slice(SIZE_MAX)) {
      EXPECT_EQ(std::vector<uint8_t>(s.bytes().begin(), s.bytes().end()), pattern(read, s.size));
      read += s.size;
      if (s.chunk != last) bytes += s.chunk->capacity();
      last = s.chunk;
    }
    return bytes;
  };
  for (uint32_t at = kBytes; at-- > 0;) insert(at, 1);
  EXPECT_LE(pinned(), 2 * kBytes + 2048);
  ASSERT_EQ(read, kBytes);
  for (uint32_t i = 0; i < kBytes; ++i) {  // Of each segment all but the last byte came before.
    auto packet = pool.allocate();
    packet->append(net::Slice{net::ChunkRef::copy_of(pattern(advanced - 1399, 1400)), 0, 1400});
    advanced += b.insert(next(), next(), *packet, 1399, 1, 100).advance;
  }
  EXPECT_LE(pinned(), 2 * kBytes + 2048);
  EXPECT_EQ(read, 2 * kBytes);
}

TEST_F(ReceiveBufferTest, keeps_the_first_copy_of_every_byte) {
  Random r(11);
  std::vector<int> first(100'000, -1);
  for (int step = 0; step < 2000; ++step) {
    const uint64_t at = advanced + (r.one_in(3) ? 0 : r.below(5000));
    const size_t n = r.between(1, 1500);
    if (at + n > first.size()) break;
    const auto letter = static_cast<uint8_t>(step);
    insert_bytes(at, std::vector<uint8_t>(n, letter), 1'000'000);
    for (uint64_t i = at; i < at + n; ++i) {
      if (first[i] < 0) first[i] = letter;
    }
    std::vector<uint8_t> out(b.readable());
    ASSERT_EQ(b.read(out), out.size());
    for (const uint8_t byte : out) ASSERT_EQ(byte, first[read++]);
  }
  EXPECT_GT(read, 90'000u);
}

// Whatever the clock of its timestamps begins with: half of all connections begin beyond 2^31.
TEST(ReceiveBuffer, grows_with_the_rate_on_every_connection) {
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    TestWorld world(seed);
    world.establish();
    const Bytes before = world.b->receive_buffer();
    TestApp source, sink;
    source.attach(*world.a, 4'000'000, false);
    sink.attach(*world.b, 0, false);
    world.run(2s);
    EXPECT_EQ(sink.received, 4'000'000u);
    EXPECT_GT(world.b->receive_buffer(), before * 2) << "seed " << seed;
  }
}

// Windows offers no timestamps.
TEST(ReceiveBuffer, grows_without_timestamps_too) {
  Conversation t;
  t.open({.mss = 1460, .window_scale = 7});
  const Bytes before = t.c->receive_buffer();
  uint32_t seq = 1;
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 40; ++i, seq += 1460) t.in({.seq = seq, .length = 1460});
    t.c->discard(SIZE_MAX);
    t.run(t.rtt);
  }
  EXPECT_GE(t.c->receive_buffer(), before * 2);
}

// What is SACKed stays in the buffer; the writer is asked for more all the same, else a recovery
// would run dry and end in a burst.
TEST(SendBufferGrowth, holds_what_is_outstanding_and_a_window_more) {
  Bulk source;
  Conversation t;
  t.tunables().sendspace = 10 * 1460;
  t.open(kOfferingSack);
  t.c->set_observer(&source);
  source.on_ready(*t.c, kWritable);
  ASSERT_EQ(t.sent.size(), 10u);
  EXPECT_EQ(t.c->info().unsent, Bytes(0));
  t.run(100ms);
  for (uint32_t i = 2; i <= 10; ++i) t.in({.options = t.sack({{1461, 1 + 1460 * i}})});
  EXPECT_GT(t.sent.back().seq, 14600u);
  EXPECT_GE(t.c->info().unsent, Bytes(5 * 1460));  // Half of the window, which was cut to half.
  t.c->set_observer(nullptr);
}

TEST(SendBufferGrowth, ends_at_its_most_and_where_the_application_has_set_it) {
  for (const bool is_set : {false, true}) {
    Bulk source;
    Conversation t;
    t.tunables().sendspace = 5 * 1460;
    t.tunables().sendbuf_max = 20 * 1460;
    t.open(kOfferingSack);
    if (is_set) t.c->set_send_buffer(Bytes(7 * 1460));
    t.c->set_observer(&source);
    source.on_ready(*t.c, kWritable);
    for (uint32_t acked = 1; acked < 60; ++acked) t.in({.ack = 1 + 1460 * acked});
    EXPECT_EQ(t.c->send_buffer(), Bytes((is_set ? 7 : 20) * 1460));
    t.c->set_observer(nullptr);
  }
}

TEST(SendBufferGrowth, tells_the_writer_of_a_buffer_that_holds_less_than_a_segment) {
  for (const int64_t limit : {1, 500, 1447}) {
    SCOPED_TRACE(limit);
    TestWorld w;
    w.establish();
    w.a->set_send_buffer(Bytes(limit));
    TestApp writer, reader;
    writer.attach(*w.a, 4 * static_cast<uint64_t>(limit), true);
    reader.attach(*w.b, 0, false);
    w.run(5s);
    EXPECT_EQ(reader.received, 4 * static_cast<uint64_t>(limit));
    EXPECT_TRUE(reader.saw_end);
  }
}

TEST(Reassembly, is_bounded) {
  Conversation t;
  t.open(kOfferingSack);
  t.tunables().reass_maxqueuelen = 3;
  for (uint32_t i = 0; i < 5; ++i) t.in({.seq = 100 + 20 * i, .length = 10});
  EXPECT_EQ(t.counters().reassembly_full, 2u);
}

// Slow start's last round sends twice what the path takes: it loses every second segment.
TEST(Reassembly, slow_start_s_overshoot_is_repaired_without_a_timeout) {
  OneFlow flow(100_Mbps, 100ms, "newreno", [](Connection&) {});
  flow.world.run(1500ms);
  EXPECT_GT(flow.world.server.tcp.counters().out_of_order, 500u);
  EXPECT_EQ(flow.world.server.tcp.counters().reassembly_full, 0u);
  EXPECT_GE(flow.world.client.tcp.counters().recoveries, 1u);
  EXPECT_EQ(flow.world.client.tcp.counters().timeouts, 0u);
}

TEST(Reassembly, keeps_a_window_that_lost_every_second_segment_but_not_a_peer_s_crumbs) {
  Conversation t;
  t.open(kOfferingSack);
  for (uint32_t at = 1460; at + 1460 <= 65535; at += 2 * 1460) {
    t.in({.seq = 1 + at, .length = 1460});
  }
  EXPECT_EQ(t.counters().reassembly_full, 0u);
  Conversation crumbs;
  crumbs.open(kOfferingSack);
  for (uint32_t i = 0; i < 66; ++i) crumbs.in({.seq = 100 + 20 * i, .length = 1});
  EXPECT_EQ(crumbs.counters().reassembly_full, 1u);  // 65,700 bytes of buffer: 64 + 1.
}

TEST(Ring, inserts_and_erases_anywhere) {
  constexpr uint64_t kSeed = 2;
  SCOPED_TRACE("replay: ./x test tcp -k Ring, seed " + std::to_string(kSeed));
  Random r(kSeed);
  Ring<int> ring;
  std::vector<int> model;
  for (int step = 0; step < 5000; ++step) {
    const size_t i = r.below(model.size() + 1);
    if (r.below(5) < 3) {
      ring.insert(i, step);
      model.insert(model.begin() + static_cast<std::ptrdiff_t>(i), step);
    } else if (!model.empty() && r.one_in(2)) {
      ring.pop_front();
      model.erase(model.begin());
    } else if (i < model.size()) {
      ring.erase(i);
      model.erase(model.begin() + static_cast<std::ptrdiff_t>(i));
    }
    ASSERT_EQ(ring.size(), model.size());
    for (size_t k = 0; k < model.size(); ++k) ASSERT_EQ(ring[k], model[k]);
  }
}

}  // namespace
}  // namespace wh::tcp
