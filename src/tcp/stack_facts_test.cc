// What the sysctl tree says of the stack, in FreeBSD's words.
#include <gtest/gtest.h>

#include "tcp/test_world.h"

namespace wh::tcp {
namespace {

TEST(StackFacts, lists_congestion_controls_as_freebsd_does) {
  TestWorld world;
  SysctlTree& tree = world.client.ip.sysctl();
  MUST(tree.set("net.inet.tcp.cc.algorithm", "cubic"));
  world.establish();
  EXPECT_EQ(MUST(tree.get("net.inet.tcp.cc.available")),
            "\nCCmod           D PCB count\n"
            "bbr               0\n"
            "cubic           * 1\n"
            "newreno           0\n"
            "vegas             0\n");
  EXPECT_FALSE(tree.set("net.inet.tcp.cc.available", "cubic"));
}

TEST(StackFacts, lists_the_one_stack_as_freebsd_does) {
  TestWorld world;
  SysctlTree& tree = world.client.ip.sysctl();
  world.establish();
  EXPECT_EQ(MUST(tree.get("net.inet.tcp.functions_available")),
            "\nStack                           D Alias                            PCB count\n"
            "rack                            * -                                1\n");
  EXPECT_EQ(MUST(tree.get("net.inet.tcp.functions_default")), "rack");
  EXPECT_TRUE(tree.set("net.inet.tcp.functions_default", "rack"));
  const auto refused = tree.set("net.inet.tcp.functions_default", "freebsd");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, std::errc::no_such_file_or_directory);
}

TEST(StackFacts, has_no_host_cache) {
  TestWorld world;
  SysctlTree& tree = world.client.ip.sysctl();
  EXPECT_EQ(MUST(tree.get("net.inet.tcp.hostcache.enable")), "0");
  EXPECT_TRUE(tree.set("net.inet.tcp.hostcache.enable", "0"));
  EXPECT_FALSE(tree.set("net.inet.tcp.hostcache.enable", "1"));
  EXPECT_TRUE(tree.set("net.inet.tcp.hostcache.purge", "1"));
}

// A host that talks to itself need not wait for what is still in the network.
TEST(LocalTimeWait, can_be_left_out) {
  for (const int64_t left_out : {0, 1}) {
    TestWorld world;
    world.up.sink = [&](net::Frame f) { world.client.ip.input(std::move(f)); };
    world.client.tcp.tunables().nolocaltimewait = left_out;
    Listener::Config config;
    config.local.port = TestWorld::kPort;
    Listener* listener = MUST(world.client.tcp.listen(std::move(config)));
    const Endpoint to{world.client.ip.v4(), TestWorld::kPort};
    Connection* a = MUST(world.client.tcp.connect(to, {}));
    world.run(50ms);
    Connection* b = listener->accept();
    ASSERT_NE(b, nullptr);
    a->close();
    world.run(50ms);
    EXPECT_TRUE(b->at_end());
    b->close();
    world.run(50ms);
    EXPECT_EQ(world.client.tcp.connections(), left_out == 1 ? 0u : 1u);
    world.check();
  }
}

}  // namespace
}  // namespace wh::tcp
