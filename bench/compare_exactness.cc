// How exact the emulated path is, beside arithmetic: the figures are the same on every machine.
//
//   1. a drop-tail link kept full delivers payload / frame bytes of its rate
//   2. a packet that meets an empty link arrives after serialisation and propagation, and one that
//      meets a queue after that of every packet before it too: to the nanosecond
#include <cmath>
#include <vector>

#include "core/virtual_loop.h"
#include "lab/experiment.h"
#include "measure.h"
#include "net/link/link.h"
#include "net/link/link_test_support.h"

namespace {

using namespace wh;

struct FullLink {
  const char* link;
  const char* flow;
  double rate_bps;
  int payload;  // Bytes of a frame of 1514.
};

// Goodput over what the rate carries, once the queue stands.
double share_of_ideal(const FullLink& full) {
  lab::LabSpec spec = MUST(
      lab::pace_lab({MUST(net::parse_link_config(full.link))}, {MUST(lab::parse_flow(full.flow))}));
  spec.warmup = 10s;
  spec.duration = 60s;
  auto experiment = MUST(lab::Experiment::make(spec, {}));
  experiment->run([](Duration) {});
  return static_cast<double>(experiment->report().flows[0].goodput.bps()) /
         (full.rate_bps * full.payload / 1514);
}

class Arrivals final : public net::FrameSink {
 public:
  explicit Arrivals(Loop& loop) : loop_(loop) {}
  void accept(net::Frame&& frame) override { at.insert(at.end(), frame.size(), loop_.now()); }
  std::vector<Instant> at;

 private:
  Loop& loop_;
};

// The largest distance from the hand-computed arrival of `count` frames sent at once, each of
// `size` bytes that take `serialisation` on a link of 10 ms.
int64_t worst_arrival_ns(const char* rate, uint32_t size, Duration serialisation, int count) {
  VirtualLoop loop;
  net::PacketPool pool;
  net::Link link(MUST(net::parse_link_config(std::string("rate=") + rate + ",delay=10ms")), {"a"},
                 {"b"}, loop, pool, Random(1));
  Arrivals arrivals(loop);
  link.b().attach(&arrivals);
  const Instant start = loop.now();
  for (int i = 0; i < count; ++i) {
    link.a().transmit(net::frame_of(net::raw_packet(pool, size)));
  }
  loop.run();
  CHECK(arrivals.at.size() == static_cast<size_t>(count));
  int64_t worst = 0;
  for (int i = 0; i < count; ++i) {
    const Instant expected = start + serialisation * (i + 1) + 10ms;
    worst = std::max(worst, std::abs((arrivals.at[static_cast<size_t>(i)] - expected).count()));
  }
  return worst;
}

}  // namespace

int main() {
  for (const FullLink& full : {FullLink{"rate=1Mbps,delay=10ms,buffer=500ms", "newreno", 1e6, 1448},
                               {"rate=12Mbps,delay=10ms,buffer=100ms", "cubic", 12e6, 1448},
                               {"rate=40Mbps,delay=10ms,buffer=100ms", "newreno", 40e6, 1448},
                               {"rate=40Mbps,delay=10ms,buffer=100ms", "newreno,ip=6", 40e6, 1428},
                               {"rate=400Mbps,delay=2ms,buffer=50ms", "cubic", 400e6, 1448}}) {
    const double share = share_of_ideal(full);
    bench::print_at_most(fmt::format("goodput, ppm off: {}, {}", full.link, full.flow).c_str(),
                         std::abs(1 - share) * 1e6, 1000);
  }
  // 1514 bytes at 40 Mbps: 302.8 us; 64 bytes at 8 Mbps: 64 us; 1500 bytes at 1 Gbps: 12 us.
  bench::print_at_most("ns off by hand, 1 frame of 1514 B at 40 Mbps",
                       static_cast<double>(worst_arrival_ns("40Mbps", 1514, 302'800ns, 1)), 0);
  bench::print_at_most("ns off by hand, 30 queued of 1514 B at 40 Mbps",
                       static_cast<double>(worst_arrival_ns("40Mbps", 1514, 302'800ns, 30)), 0);
  bench::print_at_most("ns off by hand, 50 queued of 64 B at 8 Mbps",
                       static_cast<double>(worst_arrival_ns("8Mbps", 64, 64us, 50)), 0);
  bench::print_at_most("ns off by hand, 50 queued of 1500 B at 1 Gbps",
                       static_cast<double>(worst_arrival_ns("1Gbps", 1500, 12us, 50)), 0);
}
