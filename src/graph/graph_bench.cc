// What the engine itself costs: packets through a chain of nodes that only send them on.
//
// ns/packet/node and cycles/packet/node are per packet and node. One node looks at nothing (the
// engine's floor), one reads a field of each packet, as every real node does.
#include <benchmark/benchmark.h>

#include "core/virtual_loop.h"
#include "graph/graph.h"

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace wh::graph {
namespace {

uint64_t read_cycles() {
#if defined(__x86_64__)
  return __rdtsc();
#else
  return 0;
#endif
}

class PassNode final : public Node {
 public:
  PassNode(int i, int last) : Node({.name = name_of(i), .next = {next_of(i, last)}}) {}
  void process(Batch& batch) override { batch.send_all(1); }

 private:
  static std::string name_of(int i) { return "pass-" + std::to_string(i); }
  static std::string next_of(int i, int last) { return i == last ? "sink" : name_of(i + 1); }
};

// Sends on by a field of the packet: all to one next, but each is asked.
class LookNode final : public Node {
 public:
  LookNode(int i, int last) : Node({.name = name_of(i), .next = {next_of(i, last)}}) {}
  void process(Batch& batch) override {
    for (uint32_t i = 0; i < batch.size(); ++i) {
      batch.send(i, batch[i].interface == 0 ? Arc{1} : kDropArc);
    }
  }

 private:
  static std::string name_of(int i) { return "pass-" + std::to_string(i); }
  static std::string next_of(int i, int last) { return i == last ? "sink" : name_of(i + 1); }
};

// Keeps the packets for the next round.
class SinkNode final : public Node {
 public:
  SinkNode() : Node({.name = "sink"}) {}
  void process(Batch& batch) override {
    for (uint32_t i = 0; i < batch.size(); ++i) kept.push(batch.take(i));
  }
  net::Frame kept;
};

template <class ChainNode>
void chain(benchmark::State& state) {
  constexpr int kNodes = 10;
  const auto vector = static_cast<uint32_t>(state.range(0));
  net::PacketPool pool;
  VirtualLoop loop;
  Graph graph(loop);
  auto sink_node = std::make_unique<SinkNode>();
  SinkNode& sink = *sink_node;
  graph.add(std::move(sink_node));
  for (int i = 0; i < kNodes; ++i) graph.add(std::make_unique<ChainNode>(i, kNodes - 1));
  CHECK(graph.link().has_value());
  const NodeIndex first = graph.find("pass-0")->index();
  for (uint32_t i = 0; i < vector; ++i) sink.kept.push(pool.allocate());
  const uint64_t before = read_cycles();
  for (auto _ : state) {
    graph.enqueue(first, std::move(sink.kept));
    graph.run();
  }
  const double visits = double(state.iterations()) * vector * kNodes;
  state.counters["ns/packet/node"] =
      benchmark::Counter(visits / 1e9, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.counters["cycles/packet/node"] = double(read_cycles() - before) / visits;
}

BENCHMARK(chain<PassNode>)->Arg(1)->Arg(16)->Arg(256);
BENCHMARK(chain<LookNode>)->Arg(1)->Arg(16)->Arg(256);

}  // namespace
}  // namespace wh::graph
