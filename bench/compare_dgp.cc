// Dynamic Goodput Pacing beside loss-based congestion control, in virtual time: every figure is the
// same on every machine.
//
//   1. one flow alone, DGP against CUBIC: goodput as a share of CUBIC's, p95 of the round trip;
//      on a cable modem (40 Mbps, 20 ms, 300 ms of drop-tail), on made-up cellular links, and on
//      recorded ones given as arguments (mahimahi format)
//   2. beside one CUBIC flow: what DGP keeps of its FCC, and what it leaves the neighbour
//   3. the ways to probe the round trip
//   4. the long-run error of the pace: a fixed rate, and DGP against the rates it asked for
//
// usage: compare_dgp [TRACE.down...]
#include <fmt/core.h>

#include <cmath>
#include <cstdio>
#include <vector>

#include "host/system.h"
#include "lab/experiment.h"
#include "measure.h"
#include "tcp/test_world.h"

namespace {

using namespace wh;
using bench::all_reached, bench::verdict;

struct Figures {
  double mbps = 0, p95_ms = 0, mean_ms = 0;
};

// The flows' figures of a run of `time`; what was before `warmup` does not count.
std::vector<Figures> run(const net::LinkConfig& link, const std::vector<std::string>& flows,
                         Duration time, Duration warmup = 0s,
                         const std::vector<std::string>& sysctls = {}) {
  std::vector<lab::FlowSpec> specs;
  for (const std::string& flow : flows) specs.push_back(MUST(lab::parse_flow(flow)));
  lab::LabSpec spec = MUST(lab::pace_lab({link}, std::move(specs)));
  spec.duration = time;
  spec.warmup = warmup;
  spec.sysctls = sysctls;
  auto experiment = MUST(lab::Experiment::make(spec, {}));
  experiment->run([](Duration) {});
  std::vector<Figures> results;
  for (const lab::FlowReport& f : experiment->report().flows) {
    results.push_back({static_cast<double>(f.goodput.bps()) * 1e-6,
                       static_cast<double>(f.rtt.quantile(0.95)) * 1e-6, f.rtt.mean() * 1e-6});
  }
  return results;
}

void compare_alone(const std::string& name, const net::LinkConfig& link, double goal) {
  const Figures cubic = run(link, {"cubic"}, 60s)[0];
  for (const char* flow :
       {"dgp", "dgp,fcc=5Mbps", "dgp,fcc=auto", "dgp,cc=cubic,fcc=auto", "bbr", "vegas"}) {
    const Figures r = run(link, {flow}, 60s)[0];
    const double share = r.mbps / cubic.mbps, gain = cubic.p95_ms - r.p95_ms;
    const bool is_goal = std::string_view(flow) == "dgp,fcc=auto";
    fmt::print("{:<28} {:<22} {:>7.2f} {:>6.1f} % {:>8.1f} {:>8.1f} {}\n", name, flow, r.mbps,
               100 * share, r.p95_ms, gain, is_goal ? verdict(share >= goal && gain >= 100) : "");
  }
  fmt::print("{:<28} {:<22} {:>7.2f} {:>6.1f} % {:>8.1f}\n", name, "cubic", cubic.mbps, 100.0,
             cubic.p95_ms);
}

net::LinkConfig path(const std::string& text) {
  net::LinkConfig link = MUST(net::parse_link_config(text));
  return link;
}

// `trace`: a file, or what is made up (lab/synthetic.h).
std::string over_trace(const std::string& trace) {
  return "trace=" + trace + ",delay=20ms,buffer=300ms,rev.rate=20Mbps";
}

void compare_beside() {
  const net::LinkConfig link = path("rate=40Mbps,delay=10ms,buffer=300ms");
  fmt::print("\n{:<22} {:>10} {:>10} {:>12} {:>10}\n", "beside one cubic", "dgp Mbps", "of FCC",
             "cubic Mbps", "its p95 ms");
  for (const auto& [flow, fcc] : {std::pair("dgp,fcc=5Mbps", 5.0),
                                  {"dgp,fcc=10Mbps", 10.0},
                                  {"dgp", 30.0},
                                  {"dgp,fcc=auto", 10.0}}) {
    const auto r = run(link, {flow, "cubic"}, 90s, 30s);
    const bool is_goal = fcc == 5.0;
    fmt::print("{:<22} {:>10.2f} {:>9.0f} % {:>12.2f} {:>10.1f} {}\n", flow, r[0].mbps,
               100 * r[0].mbps / fcc, r[1].mbps, r[1].p95_ms,
               is_goal ? verdict(r[0].mbps >= 0.9 * fcc) : "");
  }
}

void compare_probes() {
  const net::LinkConfig link = path("rate=40Mbps,delay=10ms,buffer=300ms");
  fmt::print("\n{:<22} {:>9} {:>8} | {:>9} {:>9} {:>8}\n", "probeRTT", "Mbps", "p95 ms", "two Mbps",
             "and", "p95 ms");
  for (const auto& [name, mode] :
       {std::pair("gain", 0), {"cwnd4", 1}, {"off", 2}, {"gain or cwnd4", 3}}) {
    const std::vector<std::string> sysctl = {
        fmt::format("net.inet.tcp.rack.probertt.mode={}", mode)};
    const Figures one = run(link, {"dgp,fcc=5Mbps"}, 60s, 0s, sysctl)[0];
    const auto two = run(link, {"dgp,fcc=5Mbps", "dgp,fcc=5Mbps,start=15s"}, 60s, 30s, sysctl);
    fmt::print("{:<22} {:>9.2f} {:>8.1f} | {:>9.2f} {:>9.2f} {:>8.1f}\n", name, one.mbps,
               one.p95_ms, two[0].mbps, two[1].mbps, two[1].p95_ms);
  }
}

// A sender without end.
class Source final : public tcp::ConnectionObserver {
 public:
  void on_ready(tcp::Connection& c, uint8_t readiness) override {
    if ((readiness & tcp::kReadable) != 0) c.discard(SIZE_MAX);
    if ((readiness & (tcp::kConnected | tcp::kWritable)) == 0) return;
    for (;;) {
      const auto taken = c.send(net::Slice{chunk_, 0, 65536});
      if (!taken || *taken == 0) return;
    }
  }

 private:
  net::ChunkRef chunk_ = net::ChunkRef::make(65536);
};

// The share by which the time that whole bursts were asked to take differs from the time they took,
// and the share of the time in which the pace was what held the sender back.
struct PaceError {
  double error = 0, paced = 0;
};
PaceError pace_error(const std::function<void(tcp::Connection&)>& set, Rate link) {
  tcp::TestWorld world;
  for (tcp::TestHost* host : {&world.client, &world.server}) {
    for (const char* leaf : {"sendspace", "recvspace", "sendbuf_max", "recvbuf_max"}) {
      MUST(host->ip.sysctl().set(std::string("net.inet.tcp.") + leaf, "8000000"));
    }
  }
  world.up.config = {.rate = link, .delay = 10ms, .queue = link.bytes_in(300ms)};
  world.down.config.delay = 10ms;
  Source source, sink;
  world.listener = &world.listen();
  tcp::Connection& c = *MUST(
      world.client.tcp.connect(world.server_endpoint(), {.observer = &source, .on_create = set}));
  world.run(3s);
  world.b = world.listener->accept();
  world.b->set_observer(&sink);
  sink.on_ready(*world.b, tcp::kReadable);
  world.run(3s);
  const Duration asked = c.pacer().asked(), kept = c.pacer().kept();
  world.run(60s);
  const double wanted = to_seconds(c.pacer().asked() - asked);
  const double took = to_seconds(c.pacer().kept() - kept);
  c.abort();
  world.b->abort();
  return {std::abs(1 - wanted / took), took / 60};
}

void compare_paces() {
  fmt::print("\n{:<34} {:>10} {:>12}\n", "pace in the long run", "error", "of the time");
  for (const Rate rate : {1_Mbps, 12_Mbps, 100_Mbps, 1_Gbps}) {
    const auto [e, paced] = pace_error([&](tcp::Connection& c) { c.set_pace_rate(rate); }, 10_Gbps);
    fmt::print("{:<34} {:>8.4f} % {:>10.1f} % {}\n", "fixed " + to_string(rate), 100 * e,
               100 * paced, verdict(e <= 0.001));
  }
  for (const Rate link : {4_Mbps, 40_Mbps, 200_Mbps}) {
    const auto [e, paced] = pace_error(
        [](tcp::Connection& c) {
          c.set_fcc_share(25);
          MUST(c.set_profile(1));
        },
        link);
    fmt::print("{:<34} {:>8.4f} % {:>10.1f} % {}\n", "dgp alone on " + to_string(link), 100 * e,
               100 * paced, verdict(e <= 0.01));
  }
}

}  // namespace

int main(int argc, char** argv) {
  fmt::print("{:<28} {:<22} {:>7} {:>8} {:>8} {:>8}\n", "alone for 60 s", "flow", "Mbps",
             "of cubic", "p95 ms", "lower by");
  compare_alone("cable 40Mbps 20ms 300ms", path("rate=40Mbps,delay=10ms,buffer=300ms"), 0.97);
  for (const char* rate : {"6Mbps", "12Mbps", "25Mbps"}) {
    for (const int seed : {1, 2, 3}) {
      const std::string trace = fmt::format("cellular:{}:{}", rate, seed);
      compare_alone(trace, path(over_trace(trace)), 0.9);
    }
  }
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    net::LinkConfig link = path(over_trace(name));
    const auto loaded =
        net::load_traces(link, [](const std::string& file) { return host::read_file(file); });
    if (!loaded) {
      fmt::print(stderr, "compare_dgp: {}\n", loaded.error().text);
      return 2;
    }
    compare_alone(name.substr(name.rfind('/') + 1), link, 0.9);
  }
  compare_beside();
  compare_probes();
  compare_paces();
  return all_reached ? 0 : 1;
}
