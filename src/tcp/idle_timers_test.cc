// Who waits for hours waits in the stack and not on the wheel.
#include "tcp/idle_timers.h"

#include <gtest/gtest.h>

#include "tcp/test_world.h"

namespace wh::tcp {
namespace {

TEST(IdleTimers, keep_an_idle_connection_off_the_wheel) {
  TestWorld world;
  world.establish();
  const std::array<uint8_t, 100> data{};
  ASSERT_EQ(world.a->send(data).value(), data.size());
  world.run(2s);
  EXPECT_EQ(world.client.wheel.queued() + world.server.wheel.queued(), 0u);
  EXPECT_EQ(world.client.tcp.idle_timers().size(), 1u);
  const uint64_t moves = world.client.books.counters.moves;
  world.run(3600s);
  EXPECT_EQ(world.client.books.counters.moves, moves);
  EXPECT_EQ(world.client.tcp.counters().keepalive_probes, 0u);
  world.run(3700s);  // keepidle is two hours; who asks first has asked for both.
  EXPECT_EQ(
      world.client.tcp.counters().keepalive_probes + world.server.tcp.counters().keepalive_probes,
      1u);
  EXPECT_EQ(world.a->state(), State::Established);
  EXPECT_EQ(world.client.tcp.idle_timers().size(), 1u);
  world.check();
}

TEST(IdleTimers, end_time_wait_and_forget_who_is_gone) {
  TestWorld world;
  world.establish();
  world.a->close();
  world.run(100ms);
  world.b->close();
  world.run(1s);
  EXPECT_EQ(world.client.tcp.connections(), 1u);  // In TIME-WAIT.
  EXPECT_EQ(world.client.tcp.idle_timers().size(), 1u);
  EXPECT_EQ(world.server.tcp.idle_timers().size(), 0u);
  world.run(60s);
  EXPECT_EQ(world.client.tcp.connections(), 0u);
  EXPECT_EQ(world.client.tcp.idle_timers().size(), 0u);
}

// Some have answered, some have a later time by now: those are placed again.
TEST(IdleTimers, come_in_order_of_time_and_of_their_making) {
  TestWorld world;
  world.client.tcp.tunables().keepidle_ms = 10'000;
  world.establish();
  Connection& second = world.connect();
  world.run(50ms);
  std::vector<std::pair<Instant, uint16_t>> probes;
  world.up.tap = [&](Instant when, const net::Packet&, const net::TcpView& segment) {
    probes.emplace_back(when, segment.source_port());
  };
  world.run(8s);
  const std::array<uint8_t, 1> data{};
  (void)world.a->send(data);  // It is heard of later than the second one.
  world.run(1s);
  probes.clear();
  world.run(10s);
  ASSERT_EQ(probes.size(), 2u);
  EXPECT_EQ(probes[0].second, second.local().port);
  EXPECT_EQ(probes[1].second, world.a->local().port);
  EXPECT_GE(probes[1].first - probes[0].first, Duration(7s));
}

}  // namespace
}  // namespace wh::tcp
