// Processor time of TCP itself: both ends of bulk transfers in virtual time, wires that cost next
// to nothing.
//
// `per_data_segment` is nanoseconds per data segment that crossed, its share of acknowledgments,
// timers and wheel at both ends included. Budget: 700 ns.
#include <benchmark/benchmark.h>

#include "tcp/test_world.h"

namespace wh::tcp {
namespace {

// Sends one chunk by reference again and again; the receiver counts and throws away.
class Bulk final : public ConnectionObserver {
 public:
  Bulk() : chunk_(net::ChunkRef::copy_of(pattern(0, 65536))) {}
  void on_ready(Connection& c, uint8_t readiness) override {
    if ((readiness & kReadable) != 0) c.discard(SIZE_MAX);
    if ((readiness & (kWritable | kConnected)) != 0) write(c);
  }
  void write(Connection& c) {
    for (;;) {
      const auto taken = c.send(net::Slice{chunk_, 0, 65536});
      if (!taken || *taken < 65536) return;
    }
  }

 private:
  net::ChunkRef chunk_;
};

void transfer(benchmark::State& state, Rate link, Rate pace, int64_t flows) {
  TestWorld w;
  w.up.config = {.rate = link,
                 .delay = 10ms,
                 .queue = Bytes(static_cast<int64_t>(link.bytes_per_second() / 20))};
  w.down.config.delay = 10ms;
  w.client.tcp.tunables().sendbuf_max = w.server.tcp.tunables().recvbuf_max = 16 << 20;
  Bulk sender, receiver;
  Listener& listener = w.listen();
  for (int64_t i = 0; i < flows; ++i) {
    Connection& c = w.connect();
    c.set_observer(&sender);
    c.set_pace_rate(pace);
  }
  w.run(50ms);
  while (Connection* c = listener.accept()) c->set_observer(&receiver);
  w.run(2s);
  const uint64_t before = w.client.tcp.counters().data_segments_out;
  for (auto _ : state) w.run(100ms);
  const uint64_t segments = w.client.tcp.counters().data_segments_out - before;
  state.counters["per_data_segment"] =
      benchmark::Counter(static_cast<double>(segments) * 1e-9,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.counters["fast_share"] =
      static_cast<double>(w.client.tcp.counters().fto_send) /
      static_cast<double>(w.client.tcp.counters().fto_send + w.client.tcp.counters().nfto_send);
}

BENCHMARK_CAPTURE(transfer, unpaced_40Mbps, 40_Mbps, Rate::infinite(), 1);
BENCHMARK_CAPTURE(transfer, unpaced_1Gbps, 1_Gbps, Rate::infinite(), 1);
BENCHMARK_CAPTURE(transfer, paced_40Mbps, 1_Gbps, 40_Mbps, 1);
BENCHMARK_CAPTURE(transfer, paced_1Gbps, 2_Gbps, 1_Gbps, 1);
BENCHMARK_CAPTURE(transfer, unpaced_100_flows, 100_Mbps, Rate::infinite(), 100);

}  // namespace
}  // namespace wh::tcp
