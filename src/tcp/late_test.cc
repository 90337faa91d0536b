// A stack whose handling takes time: what real time does to paced connections, exactly repeatable.
#include <gtest/gtest.h>

#include <bit>
#include <numeric>

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

// Many connections between two hosts.
struct Many {
  Many(int count, Rate rate) {
    join(client, up, server, down, pool);
    source.is_source = !rate.is_infinite();
    Listener::Config config;
    config.local = {server.ip.v4(), TestWorld::kPort};
    config.backlog = static_cast<size_t>(count);
    config.on_ready = [&] {
      while (Connection* c = listener->accept()) c->set_observer(&sink);
    };
    listener = MUST(server.tcp.listen(std::move(config)));
    for (int i = 0; i < count; ++i) {
      TcpStack::ConnectOptions options;
      options.observer = &source;
      options.on_create = [rate](Connection& c) { c.set_pace_rate(rate); };
      connections.push_back(MUST(client.tcp.connect({server.ip.v4(), TestWorld::kPort}, options)));
      loop.run_for(40us);
    }
  }
  ~Many() {
    for (Connection* c : connections) c->abort();
  }

  pacing::LateLoop loop;
  Random random{1};
  net::PacketPool pool;
  TestWire up{loop, random.fork("up")}, down{loop, random.fork("down")};
  TestHost client{loop, pool, 1, random.fork("client")}, server{loop, pool, 2, random};
  BothEnds source, sink;  // Sources that have a rate always have data.
  Listener* listener = nullptr;
  std::vector<Connection*> connections;
};

// Connections come due one after the other while others are being served, some tens of
// microseconds apart, and every look at the clock takes three. The loop's own time stands still
// meanwhile: by it a delay that the wheel says has ended has not.
TEST(LateStack, sends_when_the_wheel_calls_and_returns_to_its_loop) {
  constexpr int kConnections = 300;
  constexpr Rate kRate = 2_Mbps;
  Many w(kConnections, kRate);
  w.loop.run_for(500ms);
  ASSERT_GT(w.client.wheel.queued(), 250u);
  w.loop.set_read_cost(3us, 5'000'000);
  const pacing::HptsCounters& counters = w.client.books.counters;
  const uint64_t bytes = w.up.bytes, packets = w.up.packets, calls = counters.calls;
  const Instant from = w.loop.now();
  w.loop.run_for(2s);
  const double took = to_seconds(w.loop.now() - from);
  const double asked = static_cast<double>(kRate.bytes_per_second()) * kConnections;
  EXPECT_NEAR(static_cast<double>(w.up.bytes - bytes) / took, asked, 0.01 * asked);
  // Every call of the wheel is a burst of two segments, but for a few that timers asked for.
  const uint64_t bursts = (w.up.packets - packets) / 2;
  EXPECT_LE(counters.calls - calls, bursts + bursts / 100);
}

// Calls that came 5.12 ms late or more, longer than the callout may sleep with cnt_thresh or more.
uint64_t overslept(const TestHost& host) {
  const auto& late = host.books.counters.late_calls;
  return std::accumulate(late.begin() + std::bit_width(512u), late.end(), uint64_t{0});
}

// In virtual time only packets and the callout drive a wheel: here packets too few to do it alone.
TEST(QuietStack, keeps_the_pace_of_many_connections) {
  for (const int count : {99, 100, 101, 150}) {
    SCOPED_TRACE(count);
    Many w(count, 1_Mbps);
    w.loop.run_for(5s);
    EXPECT_EQ(overslept(w.client), 0u);
    EXPECT_EQ(overslept(w.server), 0u);
    for (const Connection* c : w.connections) {
      EXPECT_NEAR(static_cast<double>(c->info().acknowledged.count()), 5 * 125'000 * 1448.0 / 1514,
                  2 * 2 * 1448);
    }
  }
}

TEST(QuietStack, delays_acknowledgments_and_probes_no_longer_with_many_connections) {
  Many w(150, Rate::infinite());
  w.up.config.loss = w.down.config.loss = 0.05;
  const std::vector<uint8_t> chunk(1000);
  for (int round = 0; round < 20; ++round) {
    for (Connection* c : w.connections) {
      (void)c->send(chunk);
      w.loop.run_for(2ms);
    }
  }
  EXPECT_GT(w.server.tcp.counters().delayed_acks, 1000u);
  EXPECT_GT(w.client.tcp.counters().tlp_probes, 50u);
  EXPECT_EQ(overslept(w.client), 0u);
  EXPECT_EQ(overslept(w.server), 0u);
}

}  // namespace
}  // namespace wh::tcp
