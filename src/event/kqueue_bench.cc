// Figures of kqueue: registering and firing must stay linear to 100,000 knotes, under 1 us an
// event.
#include <benchmark/benchmark.h>

#include <vector>

#include "core/virtual_loop.h"
#include "event/kqueue.h"

namespace wh::event {
namespace {

class Byte : public Selectable {
 public:
  ::knlist list{};
  int kqfilter(::knote& kn) override {
    kn.kn_fop = &kOps;
    kn.kn_hook = this;
    list_add(list, kn, ListLock::Take);
    return 0;
  }
  static constexpr ::filterops kOps = {
      1, nullptr,
      [](::knote* kn) { list_remove(static_cast<Byte*>(kn->kn_hook)->list, *kn, ListLock::Take); },
      [](::knote*, long) { return 1; }};
};

class Table : public Descriptors {
 public:
  explicit Table(size_t n) {
    for (size_t i = 0; i < n; ++i) things.push_back(std::make_shared<Byte>());
  }
  std::shared_ptr<Selectable> selectable(uintptr_t ident) override { return things.at(ident); }
  std::vector<std::shared_ptr<Byte>> things;
};

::kevent add(uintptr_t fd) {
  return {fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, nullptr};
}

void BM_KqueueRegister(benchmark::State& state) {
  VirtualLoop loop;
  LoopMonitor monitor(loop);
  Table table(static_cast<size_t>(state.range(0)));
  for (auto _ : state) {
    Kqueue queue(monitor, table);
    for (uintptr_t fd = 0; fd < table.things.size(); ++fd) {
      const ::kevent change = add(fd);
      benchmark::DoNotOptimize(queue.kevent({&change, 1}, {}, Duration::zero()));
    }
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_KqueueRegister)->Arg(1000)->Arg(10000)->Arg(100000)->Unit(benchmark::kMillisecond);

void BM_KqueueFire(benchmark::State& state) {
  VirtualLoop loop;
  LoopMonitor monitor(loop);
  Table table(static_cast<size_t>(state.range(0)));
  Kqueue queue(monitor, table);
  for (uintptr_t fd = 0; fd < table.things.size(); ++fd) {
    const ::kevent change = add(fd);
    benchmark::DoNotOptimize(queue.kevent({&change, 1}, {}, Duration::zero()));
  }
  std::vector<::kevent> events(256);
  for (auto _ : state) {
    for (const auto& thing : table.things) list_event(thing->list, 0, ListLock::Take);
    while (queue.kevent({}, events, Duration::zero()).value() != 0) {
    }
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_KqueueFire)->Arg(1000)->Arg(10000)->Arg(100000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace wh::event
