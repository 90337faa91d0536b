// The edges: applications that do not play along, buffers of a byte and of a gibibyte, and clocks
// and numbers that wrap in the middle of a transfer.
#include <gtest/gtest.h>

#include "tcp/conversation.h"

namespace wh::tcp {
namespace {

// Writes `bytes` at one end and reads them at the other, a piece at a time, with nothing lost.
uint64_t transfer(TestWorld& world, Connection& from, Connection& to, uint64_t bytes,
                  Duration limit) {
  uint64_t written = 0, read = 0;
  const Instant end = world.loop.now() + limit;
  while (read < bytes && world.loop.now() < end) {
    if (written < bytes) {
      const auto piece = pattern(written, std::min<uint64_t>(bytes - written, 65536));
      written += MUST(from.send(piece));  // Neither end has closed.
    }
    std::vector<uint8_t> got(65536);
    got.resize(to.recv(got));
    EXPECT_EQ(got, pattern(read, got.size()));
    read += got.size();
    world.run(1ms);
  }
  world.check();
  return read;
}

TEST(Application, that_never_reads_is_held_to_its_buffer) {
  TestWorld world;
  world.server.tcp.tunables().recvbuf_auto = 0;
  world.establish();
  uint64_t written = 0;
  for (int i = 0; i < 200; ++i) {
    written += MUST(world.a->send(pattern(written, 65536)));  // It stays open.
    world.run(100ms);
  }
  world.check();
  // Rounding to what the window's scale can say adds a little.
  EXPECT_LE(world.b->readable(), static_cast<size_t>(world.b->receive_buffer().count()) + 1460);
  EXPECT_GT(world.client.tcp.counters().window_probes, 3u);
  EXPECT_EQ(world.a->state(), State::Established);
  world.b->abort();
  world.run(1s);
  EXPECT_EQ(world.a->end(), End::Reset);
  world.a->close();
}

TEST(Application, that_never_writes_keeps_no_timer_but_keepalive) {
  TestWorld world;
  world.establish();
  world.run(60s);
  const uint64_t events = world.loop.events_handled();
  world.run(600s);
  // An idle wheel turns over every half second at most, and nothing else happens.
  EXPECT_LT(world.loop.events_handled() - events, 2 * 2 * 600u + 10);
  EXPECT_EQ(world.up.packets, 2u);
}

TEST(Application, that_closes_at_once_leaves_nothing) {
  TestWorld world;
  world.listen();
  Connection& c = world.connect();
  c.close();  // Before the SYN is answered.
  world.run(100s);
  EXPECT_EQ(world.client.tcp.connections(), 0u);
  world.check();
  TestWorld other;
  other.establish();
  other.b->close();
  other.a->close();
  other.run(100s);
  EXPECT_EQ(other.client.tcp.connections() + other.server.tcp.connections(), 0u);
}

TEST(Buffers, of_one_byte_deliver_everything) {
  TestWorld world;
  world.server.tcp.tunables().recvspace = 1;
  world.server.tcp.tunables().recvbuf_auto = 0;
  world.establish();
  world.b->set_receive_buffer(Bytes(1));
  world.a->set_send_buffer(Bytes(1));
  EXPECT_EQ(transfer(world, *world.a, *world.b, 50, 300s), 50u);
}

TEST(Buffers, of_a_gibibyte_scale_the_window_and_hold_nothing_in_advance) {
  TestWorld world;
  for (TestHost* host : {&world.client, &world.server}) {
    Tunables& t = host->tcp.tunables();
    t.maxsockbuf = t.sendspace = t.recvspace = t.sendbuf_max = t.recvbuf_max = int64_t{1} << 30;
  }
  world.establish();
  EXPECT_EQ(world.a->info().send_scale, 14);
  EXPECT_GE(world.b->receive_buffer(), Bytes(int64_t{1} << 30));
  EXPECT_EQ(transfer(world, *world.a, *world.b, 3'000'000, 100s), 3'000'000u);
}

// So many bytes and a FIN over a path with faults, from a start near which something wraps.
void expect_intact(Instant start, uint64_t bytes) {
  TestWorld world(7, start);
  world.up.config.loss = world.down.config.loss = 0.03;
  world.up.config.reorder = 0.05;
  world.up.config.rate = Rate::bits_per_second(20'000'000);
  world.listener = &world.listen();
  world.a = &world.connect();
  world.run(10s);
  world.b = world.listener->accept();
  ASSERT_NE(world.b, nullptr);
  EXPECT_EQ(transfer(world, *world.a, *world.b, bytes, 120s), bytes);
  world.a->shutdown_send();
  world.run(20s);
  EXPECT_TRUE(world.b->at_end());
}

// Where 32-bit clocks wrap (microseconds, the wheel's ticks of 10 us, milliseconds), where they
// change sign, and the end of the wheel.
const Duration kWraps[] = {Duration((int64_t{1} << 32) * 1000),
                           Duration((int64_t{1} << 31) * 1000),
                           Duration((int64_t{1} << 32) * 10'000),
                           Duration((int64_t{1} << 31) * 10'000),
                           Duration((int64_t{1} << 32) * 1'000'000),
                           Duration((int64_t{1} << 31) * 1'000'000),
                           5 * (pacing::kHptsSlot * pacing::kHptsWheelSlots)};

class Wrap : public ::testing::TestWithParam<Duration> {};
INSTANTIATE_TEST_SUITE_P(Clocks, Wrap, ::testing::ValuesIn(kWraps));

TEST_P(Wrap, of_a_clock_loses_nothing) {
  expect_intact(Instant(GetParam()) - 300ms, 2'000'000);
}

// Due a microsecond before, at, and a microsecond after the wrap.
TEST_P(Wrap, of_a_clock_moves_no_timer) {
  constexpr Duration kSlots = 20us;
  for (const Duration off : {-1us, 0us, 1us}) {
    const Instant due = Instant(GetParam()) + off;
    const auto expect_one = [&](Conversation& t) {
      t.run(due - 1us - t.loop.now());
      EXPECT_TRUE(t.sent.empty()) << off.count();
      t.run(1us + kSlots);
      ASSERT_EQ(t.sent.size(), 1u) << off.count();
      EXPECT_GE(t.sent.front().when, due);
    };
    Conversation handshake(due - 1s);  // The SYN-ACK goes again.
    handshake.listen();
    handshake.in({.flags = net::kTcpSyn, .seq = 0});
    handshake.take();
    expect_one(handshake);
    Conversation receiver(due - 140ms);  // The handshake takes 100 ms, the delayed ACK 40.
    receiver.open();
    receiver.in({.length = 10});
    expect_one(receiver);
    Conversation sender(due - 100ms - 151'400us);  // A frame of 1514 bytes at 10 kB a second.
    sender.open();
    sender.c->set_pace_rate(Rate::bytes_per_second(10'000));
    sender.c->burst_limits().user_max = 1;
    sender.write(2 * 1460);
    sender.take();
    expect_one(sender);
  }
}

// The first sequence number of ours at a given start, and the timestamp of that SYN.
std::pair<uint32_t, uint32_t> first_numbers(Instant start) {
  TestWorld world(7, start);
  std::pair<uint32_t, uint32_t> numbers{};
  world.up.tap = [&](Instant, const net::Packet&, const net::TcpView& v) {
    if (v.has(net::kTcpSyn)) numbers = {v.seq().value(), v.options().timestamps->value};
  };
  world.connect();
  return numbers;
}

// The last of the numbers below, the first above; of what the SYN has, and of what comes later.
const uint32_t kEdges[] = {0xffffffff, 0xfffffffe, 0x7fffffff, 0x7ffffffe,
                           0,          0xffff0000, 0x7fff0000};

TEST(WrapOfNumbers, of_sequence_numbers_loses_nothing) {
  const Instant start = VirtualLoop::kEpoch;
  for (const uint32_t edge : kEdges) {
    const Instant then = start + 4us * int64_t{edge - first_numbers(start).first};  // RFC 6528
    ASSERT_EQ(first_numbers(then).first, edge);
    expect_intact(then, 200'000);
  }
}

TEST(WrapOfNumbers, of_timestamps_loses_nothing) {
  const Instant start = VirtualLoop::kEpoch;
  for (const uint32_t edge : kEdges) {
    for (const uint32_t before : {0u, 50u}) {  // In the middle of the transfer, too.
      const uint32_t wanted = edge - before;
      const Instant then = start + 1ms * int64_t{wanted - first_numbers(start).second};
      ASSERT_EQ(first_numbers(then).second, wanted);
      expect_intact(then, 200'000);
    }
  }
}

// --- a peer that attacks ---

TEST(Attack, by_sacks_of_single_bytes_is_held_to_a_few_entries_a_segment) {
  Conversation t;
  t.open({.mss = 1460, .sack_permitted = true});
  t.write(14'600);
  ASSERT_EQ(t.sent.size(), 10u);
  for (uint32_t at = 2; at + 6 < 14'600; at += 8) {
    t.in({.options = t.sack({{at, at + 1}, {at + 2, at + 3}, {at + 4, at + 5}, {at + 6, at + 7}})});
  }
  EXPECT_LE(t.c->sendmap().size(), 2 * 10 + 128 + 2u);
  // Nothing is lost by it.
  for (int i = 0; i < 100 && t.c->unacknowledged() > 0; ++i) {
    uint32_t end = 1;
    while (!t.sent.empty()) {
      const auto out = t.take();
      end = std::max(end, out.seq + out.length);
    }
    t.in({.ack = end});
    t.run(300ms);
  }
  EXPECT_EQ(t.c->unacknowledged(), 0u);
}

TEST(Attack, by_a_segment_that_comes_from_ourselves_meets_nobody) {
  TestWorld world;
  world.listen();
  auto packet = world.pool.allocate();
  const Endpoint us = world.server_endpoint();
  HeaderTemplate::Fields f;
  f.flags = net::kTcpSyn;
  HeaderTemplate(us, us).write(*packet, f);
  packet->arrival = world.loop.now();
  net::Frame frame;
  frame.push(std::move(packet));
  world.server.ip.input(std::move(frame));
  EXPECT_EQ(world.server.tcp.connections(), 0u);
  EXPECT_EQ(world.server.tcp.counters().bad_address, 1u);
  EXPECT_EQ(world.down.packets, 0u);
}

TEST(Buffers, and_segments_asked_for_too_small_still_carry_something) {
  TestWorld world;
  world.establish();
  world.a->set_max_segment(1);
  EXPECT_EQ(world.a->info().mss, Bytes(8));
  EXPECT_EQ(transfer(world, *world.a, *world.b, 5000, 100s), 5000u);
}

}  // namespace
}  // namespace wh::tcp
