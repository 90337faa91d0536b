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
