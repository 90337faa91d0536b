#include "tcp/connection_table.h"

#include <gtest/gtest.h>

#include "tcp/test_world.h"

namespace wh::tcp {
namespace {

// A removal moves up what had been placed behind it; check() looks for every connection there is.
TEST(ConnectionTable, finds_whoever_stays_while_others_come_and_go) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    TestWorld world(seed);
    Listener& listener = world.listen(net::Family::V4, 2'000);
    Random random(seed);
    std::vector<Connection*> open;
    for (int step = 0; step < 1'000; ++step) {
      if (open.size() < 50 || random.below(100) < 55) {
        open.push_back(&world.connect());
      } else {
        std::swap(open[random.below(open.size())], open.back());
        open.back()->abort();
        open.pop_back();
      }
      if (step % 20 == 0) world.run(5ms);
      while (listener.accept() != nullptr) {
      }
      EXPECT_EQ(world.client.tcp.connections(), open.size());
      world.check();
    }
  }
}

TEST(ConnectionTable, finds_nobody_by_a_tuple_that_was_removed) {
  TestWorld world;
  world.establish();
  const Endpoint from = world.a->local();
  world.a->abort();
  world.run(5ms);
  EXPECT_EQ(world.client.tcp.connections(), 0u);
  EXPECT_EQ(world.server.tcp.connections(), 0u);
  Connection* again = MUST(world.client.tcp.connect(world.server_endpoint(), {.local = from}));
  EXPECT_EQ(again->local(), from);  // Nobody has it.
}

// The same addresses and ports in another table of routes are another connection's.
TEST(ConnectionTable, tells_tables_of_routes_apart) {
  TestWorld world;
  world.establish();
  const Endpoint from = world.a->local();
  Endpoint to = world.server_endpoint();
  EXPECT_FALSE(world.client.tcp.connect(to, {.local = from}));
  to.table = 3;
  Connection* other = MUST(world.client.tcp.connect(to, {.local = from}));
  EXPECT_NE(other, world.a);
  EXPECT_EQ(other->local().table, 3);
  EXPECT_NE(other->local(), from);
  world.check();
}

// A program may write into a connection that has ended, and be told so; that one is not found
// again.
TEST(ConnectionTable, finds_nobody_who_has_ended_and_is_written_to) {
  TestWorld world;
  world.establish();
  const Endpoint from = world.a->local();
  world.b->abort();
  world.run(5ms);
  ASSERT_EQ(world.a->state(), State::Closed);
  EXPECT_FALSE(world.a->send(pattern(0, 10)));
  Connection* again = MUST(world.client.tcp.connect(world.server_endpoint(), {.local = from}));
  world.a->close();
  world.run(1s);
  EXPECT_EQ(again->state(), State::Established);
  world.check();
}

}  // namespace
}  // namespace wh::tcp
