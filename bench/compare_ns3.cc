// Simulator speed beside ns-3: processor time for each packet that crosses the bottleneck.
//
// Both run the same experiment: bulk flows of CUBIC over one drop-tail link (ns3_run.h). Data
// packets and acknowledgments count; ours include the two programs, which check every byte. The
// table ends with the cost of a bare event of both schedulers.
//
// usage: compare_ns3 [SIMULATED_SECONDS]
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <vector>

#include "core/virtual_loop.h"
#include "lab/experiment.h"
#include "measure.h"
#include "ns3_run.h"

namespace {

using namespace wh;
using namespace wh::bench;

RunCost run_ours(const Dumbbell& d) {
  net::LinkConfig link = MUST(
      net::parse_link_config(fmt::format("rate={}bps,delay=10ms,buffer=100ms", d.bits_per_second)));
  lab::FlowSpec flow = MUST(lab::parse_flow(fmt::format("cubic,count={}", d.flows)));
  lab::LabSpec spec = MUST(lab::pace_lab({std::move(link)}, {std::move(flow)}));
  spec.duration = Duration(static_cast<int64_t>(d.seconds * 1e9));
  auto experiment = MUST(lab::Experiment::make(spec, {}));
  const double before = cpu_seconds();
  experiment->run([](Duration) {});
  RunCost cost{.cpu_seconds = cpu_seconds() - before};
  const auto sent = [&](const net::LinkDirection& way) {
    return way.counters().transmitted.packets;
  };
  cost.packets = sent(experiment->link(0).forward()) + sent(experiment->link(0).reverse());
  uint64_t delivered = 0;
  for (const auto& f : experiment->flows()) delivered += f->delivered();
  cost.goodput_bps = static_cast<double>(delivered) * 8 / d.seconds;
  return cost;
}

// Each run has a process of its own, as a user's has: neither finds what the other left in the heap
// and in the caches.
template <class Run>
RunCost in_child(Run run) {
  int ends[2];
  CHECK_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  CHECK_GE(child, 0);
  if (child == 0) {
    const RunCost cost = run();
    ::_exit(::write(ends[1], &cost, sizeof cost) == sizeof cost ? 0 : 1);
  }
  ::close(ends[1]);
  RunCost cost;
  CHECK_EQ(::read(ends[0], &cost, sizeof cost), static_cast<ssize_t>(sizeof cost));
  ::close(ends[0]);
  CHECK_EQ(::waitpid(child, nullptr, 0), child);
  return cost;
}

// As many runs of ours as take as long as one of theirs: the machine's bad moments meet both alike.
// Two seconds of them are enough.
RunCost run_ours_for(double cpu_seconds, const Dumbbell& d) {
  RunCost all = run_ours(d);
  while (all.cpu_seconds < std::min(cpu_seconds, 2.0)) {
    const RunCost one = run_ours(d);
    all.cpu_seconds += one.cpu_seconds;
    all.packets += one.packets;
  }
  return all;
}

// What a run costs without the machine's bad moments.
RunCost least(const std::vector<RunCost>& costs) {
  return *std::min_element(costs.begin(), costs.end(), [](const RunCost& a, const RunCost& b) {
    return a.ns_per_packet() < b.ns_per_packet();
  });
}

struct Case {
  const char* name;
  Dumbbell d;
  bool is_compared;  // With ns-3, for which the goal is 1/30.
  std::vector<RunCost> theirs{}, ours{};

  void run_once() {
    if (is_compared || theirs.empty()) theirs.push_back(in_child([&] { return run_ns3(d); }));
    const double budget = theirs.back().cpu_seconds;
    ours.push_back(in_child([&] { return run_ours_for(budget, d); }));
  }
  double ratio() const { return least(theirs).ns_per_packet() / least(ours).ns_per_packet(); }
};

double our_event_ns(uint32_t pending, uint64_t events) {
  VirtualLoop loop;
  uint64_t left = events;
  std::vector<std::unique_ptr<Timer>> timers;
  for (uint32_t i = 0; i < pending; ++i) {
    timers.push_back(std::make_unique<Timer>(loop, [&loop, &left, &timers, i] {
      if (left == 0) return;
      --left;
      timers[i]->arm(loop.now() + 1ms);
    }));
    timers.back()->arm(loop.now() + Duration(i * 997 % 1'000'000));
  }
  const double before = cpu_seconds();
  loop.run();
  return (cpu_seconds() - before) * 1e9 / static_cast<double>(events);
}

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 20;
  // 1 Gbps makes 25 times the packets; a shorter run tells as much.
  Case cases[] = {{"1 flow, 40 Mbps", {1, 40'000'000, seconds}, true},
                  {"10 flows, 100 Mbps", {10, 100'000'000, seconds}, true},
                  {"100 flows, 40 Mbps", {100, 40'000'000, seconds}, true},
                  {"1 flow, 1 Gbps", {1, 1'000'000'000, seconds / 4}, false}};
  for (int round = 0; round < 5; ++round) {
    for (Case& c : cases) c.run_once();
  }
  std::printf("%-20s %14s %14s %12s %12s\n", "", "ns-3 ns/packet", "ours ns/packet", "ns-3 Mbps",
              "ours Mbps");
  for (const Case& c : cases) {
    const RunCost theirs = least(c.theirs), ours = least(c.ours);
    std::printf("%-20s %14.0f %14.0f %12.2f %12.2f\n", c.name, theirs.ns_per_packet(),
                ours.ns_per_packet(), theirs.goodput_bps * 1e-6, ours.goodput_bps * 1e-6);
  }
  for (const Case& c : cases) {
    if (!c.is_compared) continue;
    print_at_least(fmt::format("{}: ns-3's cost over ours", c.name).c_str(), c.ratio(), 30);
  }
  const auto times_one_flow = [&](const Case& c) {
    return least(c.ours).ns_per_packet() / least(cases[0].ours).ns_per_packet();
  };
  print_at_most("100 flows over 1 flow, our cost per packet", times_one_flow(cases[2]), 1.5);
  print_at_most("1 Gbps over 40 Mbps, our cost per packet", times_one_flow(cases[3]), 1.5);
  for (const uint32_t pending : {1u, 1000u, 100'000u}) {
    const double theirs = ns3_event_ns(pending, 2'000'000), mine = our_event_ns(pending, 2'000'000);
    std::printf("event, %6u pending: ns-3 %.0f ns, ours %.1f ns: %.1f times as many a second\n",
                pending, theirs, mine, theirs / mine);
  }
  return 0;
}
