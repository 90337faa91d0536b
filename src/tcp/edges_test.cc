// The edges: applications that do not play along, buffers of a byte and of a gibibyte, and clocks
// and numbers that wrap in the middle of a transfer.
#include <gtest/gtest.h>

#include "tcp/test_world.h"

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

// Where 32-bit clocks wrap: microseconds, milliseconds, and the wheel's ticks of 10 us.
class Wrap : public ::testing::TestWithParam<Duration> {};

TEST_P(Wrap, of_a_clock_loses_nothing) {
  TestWorld world(7, Instant(GetParam()) - 300ms);
  world.up.config.loss = world.down.config.loss = 0.03;
  world.up.config.reorder = 0.05;
  world.up.config.rate = Rate::bits_per_second(20'000'000);
  world.listener = &world.listen();
  world.a = &world.connect();
  world.run(10s);
  world.b = world.listener->accept();
  ASSERT_NE(world.b, nullptr);
  EXPECT_EQ(transfer(world, *world.a, *world.b, 2'000'000, 120s), 2'000'000u);
}

INSTANTIATE_TEST_SUITE_P(Clocks, Wrap,
                         ::testing::Values(Duration((int64_t{1} << 32) * 1000),
                                           Duration((int64_t{1} << 31) * 1000),
                                           Duration((int64_t{1} << 32) * 10'000),
                                           Duration((int64_t{1} << 32) * 1'000'000),
                                           Duration((int64_t{1} << 31) * 1'000'000)));

}  // namespace
}  // namespace wh::tcp
