// What a sweep costs: its point is a minute of 40 Mbps. A thousand of them take `time / jobs` x
// 1000; the counter `speedup` is how much faster two at once are than one after another.
#include <benchmark/benchmark.h>

#include <chrono>

#include "lab/parallel.h"
#include "lab/sweep.h"

namespace wh::lab {
namespace {

const Sweep& sweep() {
  static const Sweep s = Sweep::parse(
                             "duration = '60s'\n[sweep]\nfcc = ['5Mbps', '10Mbps']\n"
                             "[[link]]\nfrom = 'a'\nto = 'b'\nrate = '40Mbps'\ndelay = '10ms'\n"
                             "buffer = '300ms'\n"
                             "[[flow]]\nfrom = 'a'\nto = 'b'\npreset = 'dgp,fcc=${fcc}'\n",
                             "bench")
                             .value();
  return s;
}

double seconds_for(unsigned jobs) {
  const std::atomic<bool> stop{false};
  const auto begin = std::chrono::steady_clock::now();
  run_parallel(
      2, jobs, [&](size_t i) { CHECK(sweep().run(i, stop).has_value()); }, [] {});
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

void BM_TwoPointsOfAMinute(benchmark::State& state) {
  double one = 0, two = 0;
  for (auto _ : state) {
    one += seconds_for(1);
    two += seconds_for(2);
  }
  const auto n = static_cast<double>(state.iterations());
  state.counters["s_per_point"] = one / n / 2;
  state.counters["speedup"] = one / two;
  state.counters["minutes_for_1000_on_2"] = two / n / 2 * 1000 / 60;
}
BENCHMARK(BM_TwoPointsOfAMinute)->Iterations(3)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace wh::lab
