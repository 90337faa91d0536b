// Beside a loss-based neighbour, FCC as a share of the measured capacity takes no more from it than
// the fixed default does.
//
// A neighbour's fair share of a path for two is half of what the path carries. In each world it
// runs beside DGP twice, with the default of 30 Mbps and with `fcc=auto`; how far it falls below
// its fair share with the second may exceed the first by chance, not by rule.
//
// Who loses the first packets decides much of a minute, and a few milliseconds decide that: in one
// world the neighbour may get half or all of its fair share beside the same flow. So both are means
// of several runs, whose flows begin up to 100 ms later by chance.
#include <cmath>

#include "core/random.h"
#include "lab/experiment.h"
#include "sim.h"

namespace wh::sim {
namespace {

struct World {
  std::string link, neighbour;
  double fair_mbps = 0;
};

World random_world(uint64_t seed) {
  Random random(seed);
  // From 5 to 120 Mbps, each factor as likely as any other.
  const double mbps = 5 * std::pow(24, random.uniform());
  const uint64_t delay = random.between(5, 40), buffer = random.between(40, 300);
  World w;
  w.link = fmt::format("rate={:.1f}Mbps,delay={}ms,buffer={}ms", mbps, delay, buffer);
  w.neighbour = random.one_in(2) ? "cubic" : "newreno";
  w.fair_mbps = mbps * 1448 / 1514 / 2;
  return w;
}

// What the neighbour gets beside `flow` in one run, in Mbps.
Result<double> neighbours_mbps(const World& w, const std::string& flow, uint64_t seed,
                               Outcome& outcome) {
  lab::LabSpec spec =
      TRY(lab::pace_lab({TRY(net::parse_link_config(w.link))},
                        {TRY(lab::parse_flow(flow)), TRY(lab::parse_flow(w.neighbour))}));
  spec.seed = seed;
  spec.duration = 60s;
  spec.warmup = 15s;
  spec.start_jitter = 100ms;
  auto experiment = TRY(lab::Experiment::make(spec, {}));
  experiment->run([](Duration) {});
  outcome.events += experiment->loop().events_handled();
  for (const auto& f : experiment->flows()) outcome.bytes += f->delivered();
  return static_cast<double>(experiment->report().flows[1].goodput.bps()) * 1e-6;
}

Result<double> mean_mbps(const World& w, const std::string& flow, uint64_t seed, Outcome& outcome) {
  constexpr uint64_t kStarts = 4;
  double sum = 0;
  for (uint64_t start = 0; start < kStarts; ++start) {
    sum += TRY(neighbours_mbps(w, flow, seed + start, outcome));
  }
  return sum / kStarts;
}

}  // namespace

Result<Outcome> pcm_neighbour(uint64_t seed) {
  constexpr double kChance = 0.1;  // Of the fair share.
  const World w = random_world(seed);
  Outcome outcome;
  const double beside_fixed = TRY(mean_mbps(w, "dgp", seed, outcome));
  const double beside_auto = TRY(mean_mbps(w, "dgp,fcc=auto", seed, outcome));
  const auto missing = [&](double mbps) { return std::max(1 - mbps / w.fair_mbps, 0.0); };
  outcome.world = fmt::format("{} beside dgp on {}: {:.2f} of a fair {:.2f} Mbps, {:.2f} with auto",
                              w.neighbour, w.link, beside_fixed, w.fair_mbps, beside_auto);
  if (missing(beside_auto) > missing(beside_fixed) + kChance) return fail("{}", outcome.world);
  return outcome;
}

}  // namespace wh::sim
