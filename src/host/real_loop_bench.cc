// How late the loop wakes for a deadline, and what an event costs it.
#include <benchmark/benchmark.h>
#include <sys/socket.h>

#include "host/real_loop.h"
#include "host/system.h"

namespace wh::host {
namespace {

// A benchmark's process has descriptors left.
std::unique_ptr<RealLoop> make_loop(Duration spin = 0ns) {
  return MUST(RealLoop::make({.spin = spin}));
}

// Sleeps of `range(0)` microseconds, one after the other; `range(1)` microseconds of each are spun.
void sleep_lateness(benchmark::State& state) {
  auto loop = make_loop(std::chrono::microseconds(state.range(1)));
  const auto sleep = std::chrono::microseconds(state.range(0));
  for (auto _ : state) {
    Timer timer(*loop, [] {});
    timer.arm(loop->clock() + sleep);
    loop->run();
  }
  const Histogram& late = loop->wake_lateness();
  const auto us = [&](double q) { return static_cast<double>(late.quantile(q)) * 1e-3; };
  state.counters["late_p50_us"] = us(0.5);
  state.counters["late_p90_us"] = us(0.9);
  state.counters["late_p99_us"] = us(0.99);
}
BENCHMARK(sleep_lateness)
    ->ArgNames({"sleep_us", "spin_us"})
    ->ArgsProduct({{20, 100, 1000, 10000}, {0, 50, 200}})
    ->MinTime(1)
    ->MeasureProcessCPUTime()
    ->UseRealTime();

// A timer that is always due: the price of a round's bookkeeping and clock reading.
void due_timer(benchmark::State& state) {
  auto loop = make_loop();
  uint64_t left = 0;
  Timer timer(*loop, [&] {
    if (--left > 0) timer.arm(loop->now());
  });
  for (auto _ : state) {
    left = 1000;
    timer.arm(loop->now());
    loop->run();
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * 1000);
}
BENCHMARK(due_timer);

// A byte goes round a socket pair: a wait, a dispatch, a read and a write for each.
void descriptor_event(benchmark::State& state) {
  auto loop = make_loop();
  auto [near, far] = MUST(make_socket_pair(SOCK_STREAM | SOCK_NONBLOCK));  // As above.
  int64_t left = 0;
  std::array<uint8_t, 1> byte{};
  auto bounce = [&](const Fd& fd) {
    MUST(read_some(fd.raw(), byte));  // The loop said so.
    if (--left <= 0) return loop->stop(), Progress::Some;
    MUST(write_all(fd.raw(), "x"));  // One byte in flight fits.
    return Progress::Some;
  };
  FdWatch a(*loop, "near", [&] { return bounce(near); });
  FdWatch b(*loop, "far", [&] { return bounce(far); });
  MUST(a.watch(near.raw()));
  MUST(b.watch(far.raw()));
  for (auto _ : state) {
    left = 1000;
    MUST(write_all(near.raw(), "x"));
    loop->run();
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * 1000);
}
BENCHMARK(descriptor_event);

}  // namespace
}  // namespace wh::host
