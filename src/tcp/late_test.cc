// A stack whose handling takes time: what real time does to paced connections, exactly repeatable.
#include <gtest/gtest.h>

#include "pacing/late_loop.h"
#include "tcp/test_world.h"

namespace wh::tcp {
namespace {

class BothEnds final : public ConnectionObserver {
 public:
  void on_ready(Connection& c, uint8_t readiness) override {
    if ((readiness & kReadable) != 0) c.discard(SIZE_MAX);
    if ((readiness & (kConnected | kWritable)) == 0 || !is_source) return;
    while (c.send(net::Slice{chunk_, 0, kSize}).value_or(0) == kSize) {
    }
  }
  bool is_source = false;

 private:
  static constexpr uint32_t kSize = 65536;
  net::ChunkRef chunk_ = net::ChunkRef::make(kSize);
};

// Connections come due one after the other while others are being served, some tens of
// microseconds apart, and every look at the clock takes three. The loop's own time stands still
// meanwhile: by it a delay that the wheel says has ended has not.
TEST(LateStack, sends_when_the_wheel_calls_and_returns_to_its_loop) {
  constexpr int kConnections = 300;
  constexpr Rate kRate = 2_Mbps;
  pacing::LateLoop loop;
  Random random(1);
  net::PacketPool pool;
  TestWire up(loop, random.fork("up")), down(loop, random.fork("down"));
  TestHost client(loop, pool, 1, random.fork("client")), server(loop, pool, 2, random);
  client.ip.out = &up;
  server.ip.out = &down;
  up.set_pool(pool);
  down.set_pool(pool);
  up.sink = [&](net::Frame f) { server.ip.input(std::move(f)); };
  down.sink = [&](net::Frame f) { client.ip.input(std::move(f)); };
  BothEnds source, sink;
  source.is_source = true;
  Listener* listener = nullptr;
  Listener::Config config;
  config.local = {server.ip.v4(), TestWorld::kPort};
  config.backlog = kConnections;
  config.on_ready = [&] {
    while (Connection* c = listener->accept()) c->set_observer(&sink);
  };
  listener = MUST(server.tcp.listen(std::move(config)));
  std::vector<Connection*> connections;
  for (int i = 0; i < kConnections; ++i) {
    TcpStack::ConnectOptions options;
    options.observer = &source;
    options.on_create = [](Connection& c) { c.set_pace_rate(kRate); };
    connections.push_back(MUST(client.tcp.connect({server.ip.v4(), TestWorld::kPort}, options)));
    loop.run_for(40us);
  }
  loop.run_for(500ms);
  ASSERT_GT(client.wheel.queued(), 250u);
  loop.set_read_cost(3us, 5'000'000);
  const uint64_t bytes = up.bytes, packets = up.packets, calls = client.books.counters.calls;
  const Instant from = loop.now();
  loop.run_for(2s);
  const double took = to_seconds(loop.now() - from);
  const double asked = static_cast<double>(kRate.bytes_per_second()) * kConnections;
  EXPECT_NEAR(static_cast<double>(up.bytes - bytes) / took, asked, 0.01 * asked);
  // Every call of the wheel is a burst of two segments, but for a few that timers asked for.
  const uint64_t bursts = (up.packets - packets) / 2;
  EXPECT_LE(client.books.counters.calls - calls, bursts + bursts / 100);
  for (Connection* c : connections) c->abort();
}

}  // namespace
}  // namespace wh::tcp
