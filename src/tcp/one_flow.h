// For tests: one flow without end over a bottleneck, and options as a program sets and gets them.
#pragma once

#include <algorithm>
#include <functional>
#include <string>

#include "tcp/test_world.h"

namespace wh::tcp {

template <class T>
Result<void> setsockopt(Connection& c, int option, const T& value) {
  return c.set_option(option, {reinterpret_cast<const uint8_t*>(&value), sizeof value});
}

inline uint64_t getsockopt(const Connection& c, int option) {
  uint64_t value = 0;
  MUST(c.get_option(option, {reinterpret_cast<uint8_t*>(&value), sizeof value}));
  return value;
}

// Sends without end.
class Bulk final : public ConnectionObserver {
 public:
  void on_ready(Connection& c, uint8_t readiness) override {
    if ((readiness & (kConnected | kWritable)) == 0) return;
    for (;;) {
      const auto taken = c.send(net::Slice{chunk_, 0, kSize});
      if (!taken || *taken == 0) return;
    }
  }
  void on_rtt(Connection&, Duration rtt) override { highest = std::max(highest, rtt); }
  Duration highest{0};

 private:
  static constexpr uint32_t kSize = 65536;
  net::ChunkRef chunk_ = net::ChunkRef::make(kSize);
};

class Sink final : public ConnectionObserver {
 public:
  void on_ready(Connection& c, uint8_t) override { received += c.discard(SIZE_MAX); }
  uint64_t received = 0;
};

// One flow over a bottleneck of `rate`, 20 ms round trip, `queue` of buffer.
struct OneFlow {
  OneFlow(Rate rate, Duration queue, const std::string& cc,
          const std::function<void(Connection&)>& set) {
    for (TestHost* host : {&world.client, &world.server}) {
      for (const char* leaf : {"sendspace", "recvspace", "sendbuf_max", "recvbuf_max"}) {
        MUST(host->ip.sysctl().set(std::string("net.inet.tcp.") + leaf, "8000000"));
      }
    }
    world.up.config = {.rate = rate, .delay = 10ms, .queue = rate.bytes_in(queue)};
    world.down.config.delay = 10ms;
    world.listener = &world.listen();
    sender = MUST(world.client.tcp.connect(
        world.server_endpoint(), {.observer = &source, .congestion = cc, .on_create = set}));
    world.run(50ms);
    world.b = world.listener->accept();
    world.b->set_observer(&sink);
    sink.on_ready(*world.b, kReadable);
  }
  ~OneFlow() {
    sender->abort();
    world.b->abort();
  }
  // Payload a second over the next `time`.
  double mbps(Duration time) {
    const uint64_t before = sink.received;
    source.highest = Duration(0);
    world.run(time);
    world.check();
    return static_cast<double>(sink.received - before) * 8 / 1e6 / to_seconds(time);
  }
  TestWorld world;
  Bulk source;
  Sink sink;
  Connection* sender = nullptr;
};

}  // namespace wh::tcp
