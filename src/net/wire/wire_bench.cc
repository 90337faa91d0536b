// What it costs to read and write a data segment's headers, Ethernet to timestamps, on a warm
// packet.
#include <benchmark/benchmark.h>

#include "net/wire/ethernet.h"
#include "net/wire/ip4.h"
#include "net/wire/tcp.h"

namespace wh::net {
namespace {

constexpr uint32_t kHeaders = 14 + 20 + 32, kPayload = 1448;

uint32_t write_headers(std::span<uint8_t> out, SeqNum seq) {
  EthernetHeader{MacAddress::local(1), MacAddress::local(2), EtherType::Ip4, 0, {}}.emit(out);
  Ip4Header ip;
  ip.source = Ip4::of(10, 0, 0, 1);
  ip.destination = Ip4::of(10, 0, 0, 2);
  ip.protocol = 6;
  ip.total_length = kHeaders - 14 + kPayload;
  ip.emit(out.subspan(14));
  TcpHeader tcp;
  tcp.seq = seq;
  tcp.flags = kTcpAck;
  tcp.options.timestamps = TcpTimestamps{1, 2};
  tcp.emit(out.subspan(34));
  return kHeaders;
}

// The sum of what a receiver looks at; 0 when something is wrong.
uint32_t read_headers(std::span<const uint8_t> head) {
  const auto ethernet = EthernetView::parse(head);
  if (!ethernet || ethernet->type() != EtherType::Ip4) return 0;
  const auto network = head.subspan(ethernet->header_size());
  const auto ip = Ip4View::parse(network, kHeaders - 14 + kPayload);
  if (!ip) return 0;
  const auto tcp = TcpView::parse(network.subspan(ip->header_size()), ip->payload_size());
  if (!tcp) return 0;
  const auto timestamps = tcp->sole_timestamps();
  return ip->source().value + tcp->seq().value() + tcp->ack().value() + tcp->payload_size() +
         (timestamps ? timestamps->value : 0);
}

void BM_ReadHeaders(benchmark::State& state) {
  std::array<uint8_t, kHeaders> bytes;
  write_headers(bytes, SeqNum(7));
  for (auto _ : state) {
    benchmark::DoNotOptimize(bytes.data());
    benchmark::ClobberMemory();
    const uint32_t seen = read_headers(bytes);
    CHECK(seen != 0);
    benchmark::DoNotOptimize(seen);
  }
}

void BM_WriteHeaders(benchmark::State& state) {
  std::array<uint8_t, kHeaders> bytes;
  SeqNum seq(7);
  for (auto _ : state) {
    benchmark::DoNotOptimize(write_headers(bytes, seq));
    benchmark::ClobberMemory();
    seq += SeqLen(kPayload);
  }
}

void BM_ParseSynOptions(benchmark::State& state) {
  TcpOptions o;
  o.mss = 1460;
  o.sack_permitted = true;
  o.timestamps = TcpTimestamps{1, 2};
  o.window_scale = 7;
  std::array<uint8_t, 20> bytes;
  o.emit(bytes);
  for (auto _ : state) {
    benchmark::DoNotOptimize(bytes.data());
    benchmark::ClobberMemory();
    benchmark::DoNotOptimize(TcpOptions::parse(bytes));
  }
}

BENCHMARK(BM_ReadHeaders)->Name("ReadHeaders");
BENCHMARK(BM_WriteHeaders)->Name("WriteHeaders");
BENCHMARK(BM_ParseSynOptions)->Name("ParseSynOptions");

}  // namespace
}  // namespace wh::net
