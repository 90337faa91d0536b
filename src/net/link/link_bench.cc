// What a packet costs on its way over a link: the event loop and the links alone, no stack and no
// TCP.
//
// Flows of constant rate, each a timer that sends one full frame, cross a chain of links; every hop
// is an interface's transmit, a queue, a transmitter, propagation, and the next interface's
// receive. `ns_per_hop` is processor time over packets times hops, the sources' share included.
// Budget: 150 ns.
#include <benchmark/benchmark.h>

#include <array>
#include <deque>

#include "core/virtual_loop.h"
#include "net/link/cable.h"
#include "net/link/fq_codel.h"
#include "net/link/link.h"
#include "net/wire/ethernet.h"
#include "net/wire/ip4.h"
#include "net/wire/udp.h"

namespace wh::net {
namespace {

// Passes on what it receives, as a router would.
struct Forwarder final : FrameSink {
  void accept(Frame&& frame) override { to->transmit(std::move(frame)); }
  Interface* to = nullptr;
};

struct Counter final : FrameSink {
  void accept(Frame&& frame) override { packets += frame.size(); }
  uint64_t packets = 0;
};

class Source {
 public:
  Source(Loop& loop, PacketPool& pool, Interface& out, Duration gap, Duration first)
      : loop_(loop), pool_(pool), out_(out), gap_(gap), due_(loop, [this] { send(); }) {
    due_.arm(loop.now() + first);
  }

 private:
  void send() {
    PacketPtr packet = pool_.allocate();
    packet->append(42);  // Ethernet, IPv4 and UDP headers, unread on the way.
    packet->append(Slice{payload_, 0, 1472});
    Frame frame;
    frame.push(std::move(packet));
    out_.transmit(std::move(frame));
    due_.arm(loop_.now() + gap_);
  }
  Loop& loop_;
  PacketPool& pool_;
  Interface& out_;
  Duration gap_;
  ChunkRef payload_ = ChunkRef::make(1472);
  Timer due_;
};

// `flows` sources share 80 % of each of `hops` links of the given configuration at 1 Gbps.
void run_chain(benchmark::State& state, std::string_view config) {
  const auto flows = state.range(0), hops = state.range(1);
  VirtualLoop loop;
  PacketPool pool;
  std::deque<Link> links;
  std::deque<Forwarder> routers(static_cast<size_t>(hops));
  Counter end;
  const LinkConfig parsed = MUST(parse_link_config(config));
  for (int64_t i = 0; i < hops; ++i) {
    links.emplace_back(parsed, Interface::Config{"a"}, Interface::Config{"b"}, loop, pool,
                       Random(static_cast<uint64_t>(i)));
    if (i > 0) {
      routers[static_cast<size_t>(i)].to = &links.back().a();
      links[static_cast<size_t>(i) - 1].b().attach(&routers[static_cast<size_t>(i)]);
    }
  }
  links.back().b().attach(&end);
  const Duration gap = 15'140ns * flows;  // 1514 bytes at 800 Mbps.
  std::deque<Source> sources;
  for (int64_t i = 0; i < flows; ++i) {
    sources.emplace_back(loop, pool, links.front().a(), gap, gap * i / flows);
  }
  loop.run_for(100ms);
  const uint64_t before = end.packets;
  for (auto _ : state) loop.run_for(10ms);
  const auto packet_hops = static_cast<double>(end.packets - before) * static_cast<double>(hops);
  state.counters["ns_per_hop"] = benchmark::Counter(
      packet_hops * 1e-9, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void BM_LinkChain(benchmark::State& state) {
  run_chain(state, "rate=1Gbps,delay=1ms,buffer=10ms");
}
BENCHMARK(BM_LinkChain)
    ->ArgNames({"flows", "hops"})
    ->Args({1, 1})
    ->Args({10, 1})
    ->Args({10, 4})
    ->Args({100, 4})
    ->Args({1000, 8});

void BM_LinkChainAllStages(benchmark::State& state) {
  run_chain(state,
            "rate=1Gbps,delay=1ms,jitter=100us,buffer=10ms,loss=0.1%,ge=0.1%:50%,dup=0.1%,"
            "corrupt=0.1%,reorder=0.1%");
}
BENCHMARK(BM_LinkChainAllStages)->ArgNames({"flows", "hops"})->Args({10, 4});

void BM_LinkChainFqCodel(benchmark::State& state) {
  run_chain(state, "rate=1Gbps,delay=1ms,queue=fq_codel");
}
BENCHMARK(BM_LinkChainFqCodel)->ArgNames({"flows", "hops"})->Args({10, 4});

// 100 bytes, of a flow for each port.
PacketPtr datagram(PacketPool& pool, uint16_t port) {
  std::array<uint8_t, 100> bytes{};
  EthernetHeader{.type = EtherType::Ip4}.emit(bytes);
  Ip4Header{.protocol = 17, .total_length = 86}.emit(std::span(bytes).subspan(14));
  UdpHeader{port, 80, 66, 0}.emit(std::span(bytes).subspan(34));
  PacketPtr packet = pool.allocate();
  packet->assign(bytes);
  return packet;
}

// A packet into a queue that is full: one of another flow must go first.
void BM_FqCodelFull(benchmark::State& state) {
  const auto flows = static_cast<uint32_t>(state.range(0));
  PacketPool pool;
  LinkCounters counters;
  FqCodel queue({.flows = flows}, {.packets = flows}, Random(1), counters);
  uint16_t port = 0;
  for (uint32_t i = 0; i < flows; ++i) queue.enqueue(datagram(pool, ++port));
  for (auto _ : state) queue.enqueue(datagram(pool, ++port));
}
BENCHMARK(BM_FqCodelFull)->ArgName("flows")->Arg(1024)->Arg(65536);

void BM_Cable(benchmark::State& state) {
  VirtualLoop loop;
  PacketPool pool;
  Cable cable({"a"}, {"b"}, loop);
  Counter end;
  cable.b().attach(&end);
  Source source(loop, pool, cable.a(), 12us, 0ns);
  const uint64_t before = end.packets;
  for (auto _ : state) loop.run_for(10ms);
  state.counters["ns_per_hop"] =
      benchmark::Counter(static_cast<double>(end.packets - before) * 1e-9,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(BM_Cable);

}  // namespace
}  // namespace wh::net
