#include "tcp/scarce_ports.h"

#include <gtest/gtest.h>

#include <set>

#include "tcp/test_world.h"

namespace wh::tcp {
namespace {

TEST(ScarcePorts, chooses_what_a_search_from_port_to_port_would) {
  constexpr uint64_t kSeed = 20241128;
  SCOPED_TRACE("replay: ./x test tcp -k ScarcePorts, seed " + std::to_string(kSeed));
  Random random(kSeed);
  const auto ports = std::make_unique<ScarcePorts::Ports>();
  std::set<uint16_t> taken;
  const auto toggle = [&](uint16_t port) {
    const bool is_new = taken.insert(port).second;
    if (!is_new) taken.erase(port);
    ports->set(port, is_new);
  };
  for (uint32_t port = 0; port <= 65'535; ++port) {
    if (random.below(1'000) != 0) toggle(static_cast<uint16_t>(port));
  }
  for (int step = 0; step < 3'000; ++step) {
    const auto first = static_cast<uint16_t>(random.below(65'536));
    const auto last =
        static_cast<uint16_t>(std::min<uint64_t>(first + random.below(3'000), 65'535));
    const uint32_t count = uint32_t{last} - first + 1;
    const auto start = static_cast<uint16_t>(first + random.below(count));
    std::optional<uint16_t> expected;
    for (uint32_t i = 0; i < count && !expected; ++i) {
      const auto port = static_cast<uint16_t>(first + (uint32_t{start} - first + i) % count);
      if (!taken.contains(port)) expected = port;
    }
    ASSERT_EQ(ports->next(start, first, last), expected) << first << ' ' << start << ' ' << last;
    ASSERT_EQ(ports->taken(), taken.size());
    toggle(static_cast<uint16_t>(random.below(65'536)));
  }
}

// Whatever is free is found, and nothing else, while connections of this peer and of another come
// and go.
TEST(ScarcePorts, are_true_as_connections_come_and_go) {
  TestWorld world;
  TcpStack& tcp = world.client.tcp;
  tcp.tunables().port_first = 20'000;
  tcp.tunables().port_last = 20'599;
  std::vector<Connection*> open;
  for (int i = 0; i < 600; ++i) open.push_back(&world.connect());
  EXPECT_FALSE(tcp.connect(world.server_endpoint(), {}));
  EXPECT_EQ(tcp.peers_short_of_ports(), 1u);
  Endpoint other = world.server_endpoint();
  other.port = 81;
  EXPECT_TRUE(tcp.connect(other, {}));
  for (const size_t gone : {7u, 310u, 599u}) {
    const uint16_t port = open[gone]->local().port;
    open[gone]->abort();
    open[gone] = &world.connect();
    EXPECT_EQ(open[gone]->local().port, port);
    EXPECT_FALSE(tcp.connect(world.server_endpoint(), {}));
    world.check();
  }
  // Of the other ports too: a wider range finds them at once.
  tcp.tunables().port_last = 20'600;
  EXPECT_EQ(world.connect().local().port, 20'600);
  world.check();
  while (open.size() > ScarcePorts::kFew - 2) {
    open.back()->abort();
    open.pop_back();
  }
  EXPECT_EQ(tcp.peers_short_of_ports(), 0u);
  EXPECT_TRUE(tcp.connect(world.server_endpoint(), {}));
  world.check();
}

}  // namespace
}  // namespace wh::tcp
