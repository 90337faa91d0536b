// Clocks per packet of the forwarding path: ip4-input, ip4-lookup and ip4-rewrite together, and the
// same of IPv6, in vectors of 256.
//
// A generator writes the headers of 64-byte packets afresh, with random destinations; the nodes'
// clocks are what `show runtime` counts, dispatch included; interface-output is an adjacency's own
// way on and ends in a node that keeps the packets for the next round. The yardstick is a bare loop
// in the same run over the same packets, written by the same generator: it loads each header,
// lowers the TTL, mends the checksum and stores Ethernet and IP headers.
//   clocks          of the three nodes, per packet, best round of many
//   bare            of the bare loop
//   ratio           clocks / bare; the goal is 2, and 40 clocks
#include <benchmark/benchmark.h>

#include "core/virtual_loop.h"
#include "net/wire/ethernet.h"
#include "net/wire/ip4.h"
#include "net/wire/ip6.h"
#include "vnet/stack.h"
#include "vnet/vnet.h"

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace wh::vnet {
namespace {

using net::Frame;
using net::Packet;

uint64_t read_cycles() {
#if defined(__x86_64__)
  return __rdtsc();
#else
  return 0;
#endif
}

// Keeps what is sent to it.
class KeepingInterface final : public net::Interface {
 public:
  using Interface::Interface;
  Frame kept;

 private:
  void send(Frame&& frame) override { kept = std::move(frame); }
};

struct Bench {
  explicit Bench(uint32_t routes) {
    for (const char* setting :
         {"net.inet.ip.forwarding=1", "net.inet6.ip6.forwarding=1", "net.inet6.ip6.dad_count=0"}) {
      MUST(vnet.sysctl().assign(setting));
    }
    const uint16_t in = MUST(vnet.attach(rx)), out = MUST(vnet.attach(tx));
    auto prefix = [](std::string_view text) { return MUST(net::parse_prefix(text)); };
    MUST(vnet.add_address(in, prefix("192.168.1.1/24")));
    MUST(vnet.add_address(out, prefix("192.168.2.1/24")));
    MUST(vnet.add_address(out, prefix("2001:db8:ffff::1/64")));
    const auto hop4 = net::Ip4::of(192, 168, 2, 2);
    const auto hop6 = MUST(net::parse_ip("2001:db8:ffff::2"));
    MUST(vnet.add_neighbour(out, hop4, net::MacAddress::local(9)));
    MUST(vnet.add_neighbour(out, hop6, net::MacAddress::local(9)));
    for (uint32_t i = 0; i < routes; ++i) {
      MUST(vnet.add_route({net::Ip4{0x0a000000 + (i << 8)}, 24}, hop4));
      net::Ip6 a = MUST(net::parse_ip6("2001:db8::"));
      net::store16(a.bytes.data() + 4, static_cast<uint16_t>(i));
      MUST(vnet.add_route({a, 48}, hop6));
    }
    routes_ = routes;
    rx_index = in;
    for (uint32_t i = 0; i < Frame::kCapacity; ++i) tx.kept.push(pool.allocate());
    node4 = vnet.graph().find("ip4-input")->index();
    node6 = vnet.graph().find("ip6-input")->index();
  }

  // Writes 256 packets of 64 bytes, as they would stand behind their Ethernet header.
  Frame generate(bool v4) {
    Frame frame = std::move(tx.kept);
    for (Packet* p : frame.packets()) {
      p->head_begin = Packet::kHeadroom + 14;
      p->head_end = static_cast<uint16_t>(p->head_begin + 64);
      p->interface = p->rx_interface = rx_index;
      p->l3_offset = p->l2_size = 0;
      const auto at = static_cast<uint32_t>(random.next());
      uint8_t* ip = p->data();
      if (v4) {
        net::Ip4Header{.source = net::Ip4::of(192, 168, 1, 2),
                       .destination = {0x0a000000 + (at % routes_ << 8) + (at >> 24)},
                       .protocol = 17,
                       .total_length = 64}
            .emit({ip, 20});
      } else {
        net::Ip6Header h{
            .source = source6, .next_header = 17, .hop_limit = 64, .payload_length = 24};
        h.destination.bytes = {0x20, 0x01, 0x0d, 0xb8};
        net::store16(h.destination.bytes.data() + 4, static_cast<uint16_t>(at % routes_));
        net::store32(h.destination.bytes.data() + 12, at);
        h.emit({ip, 40});
      }
    }
    return frame;
  }

  net::PacketPool pool;
  VirtualLoop loop;
  KeepingInterface rx{{.name = "rx", .mac = net::MacAddress::local(1)}, loop};
  KeepingInterface tx{{.name = "tx", .mac = net::MacAddress::local(2), .mtu = 9000}, loop};
  Vnet vnet{{.name = "r", .cycles = read_cycles}, loop, pool, Random(1)};
  Random random{3};
  const net::Ip6 source6{{0x20, 0x01, 0x0d, 0xb9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}};
  uint32_t routes_ = 1;
  uint16_t rx_index = 0;
  graph::NodeIndex node4 = 0, node6 = 0;
};

// The bare loop over a frame of IPv4 packets.
void bare(Frame& frame, const uint8_t* rewrite) {
  for (Packet* p : frame.packets()) {
    uint8_t* ip = p->data();
    uint8_t header[20];
    std::memcpy(header, ip, 20);
    uint16_t word;
    std::memcpy(&word, header + 10, 2);
    uint32_t sum = uint32_t{word} + net::swap16(0x0100);
    sum += sum >= 0xffff;
    word = static_cast<uint16_t>(sum);
    std::memcpy(header + 10, &word, 2);
    --header[8];
    std::memcpy(ip, header, 20);
    std::memcpy(p->push(14), rewrite, 14);
  }
}

uint64_t node_clocks(const Vnet& vnet, std::initializer_list<std::string_view> names) {
  uint64_t sum = 0;
  for (const auto& node : vnet.graph().nodes()) {
    for (const std::string_view name : names) {
      if (node.node->name() == name) sum += node.clocks;
    }
  }
  return sum;
}

void forward(benchmark::State& state, bool v4) {
  Bench b(static_cast<uint32_t>(state.range(0)));
  const std::array<const char*, 3> names =
      v4 ? std::array{"ip4-input", "ip4-lookup", "ip4-rewrite"}
         : std::array{"ip6-input", "ip6-lookup", "ip6-rewrite"};
  uint64_t best = ~uint64_t{0}, best_bare = ~uint64_t{0}, each[3] = {~0ull, ~0ull, ~0ull};
  constexpr uint8_t kRewrite[14] = {2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 2, 8, 0};
  for (auto _ : state) {
    b.vnet.graph().clear_runtime();
    b.vnet.graph().enqueue(v4 ? b.node4 : b.node6, b.generate(v4));
    b.vnet.graph().run();
    CHECK_EQ(b.tx.kept.size(), Frame::kCapacity);
    best = std::min(best, node_clocks(b.vnet, {names[0], names[1], names[2]}));
    for (size_t i = 0; i < 3; ++i) each[i] = std::min(each[i], node_clocks(b.vnet, {names[i]}));
    if (v4) {
      Frame frame = b.generate(true);
      const uint64_t before = read_cycles();
      bare(frame, kRewrite);
      best_bare = std::min(best_bare, read_cycles() - before);
      b.tx.kept = std::move(frame);
    }
  }
  const double n = Frame::kCapacity;
  state.counters["clocks"] = double(best) / n;
  state.counters["input"] = double(each[0]) / n;
  state.counters["lookup"] = double(each[1]) / n;
  state.counters["rewrite"] = double(each[2]) / n;
  if (v4) {
    state.counters["bare"] = double(best_bare) / n;
    state.counters["ratio"] = double(best) / double(best_bare);
  }
}
BENCHMARK_CAPTURE(forward, ipv4, true)->Arg(1)->Arg(1000)->Iterations(20'000);
BENCHMARK_CAPTURE(forward, ipv6, false)->Arg(1)->Arg(1000)->Iterations(20'000);

}  // namespace
}  // namespace wh::vnet
