// Summing bytes against only reading them: the sum's goal is to cost no more than the memory does.
//
// Read is a loop of 64-bit loads, as one writes it; VectorRead of the widest loads that this
// processor has. The column of_read is the sum's speed over Read's, of_vector_read over
// VectorRead's, each measured on the same buffer in turns within one run, so that a change of clock
// speed hits both.
#include <benchmark/benchmark.h>

#include <vector>

#include "net/checksum.h"

namespace wh::net {
namespace {

typedef uint64_t Vector __attribute__((vector_size(32)));

__attribute__((noinline)) uint64_t read_words(std::span<const uint8_t> bytes) {
  uint64_t seen = 0;
  for (size_t i = 0; i + 8 <= bytes.size(); i += 8) {
    uint64_t word;
    std::memcpy(&word, &bytes[i], 8);
    seen |= word;
  }
  return seen;
}

// Loads every vector of the buffer into a register and does nothing with it.
__attribute__((noinline, target("avx2"))) uint64_t read_vectors(std::span<const uint8_t> bytes) {
  const uint8_t* at = bytes.data();
  for (size_t left = bytes.size(); left >= 64; left -= 64, at += 64) {
    Vector a, b;
    std::memcpy(&a, at, sizeof a);
    std::memcpy(&b, at + 32, sizeof b);
    asm volatile("" : : "x"(a), "x"(b));
  }
  return 0;
}

using Reader = uint64_t (*)(std::span<const uint8_t>);

template <Reader reader>
void BM_Bytes(benchmark::State& state) {
  const std::vector<uint8_t> buffer(static_cast<size_t>(state.range(0)), 0x5a);
  for (auto _ : state) {
    benchmark::DoNotOptimize(reader(buffer));
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}

// Nanoseconds for `times` passes of a reader over the buffer.
template <Reader reader>
double time_passes(std::span<const uint8_t> buffer, size_t times) {
  const auto begin = std::chrono::steady_clock::now();
  for (size_t i = 0; i < times; ++i) {
    benchmark::DoNotOptimize(reader(buffer));
    benchmark::ClobberMemory();
  }
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - begin).count();
}

void BM_Ratio(benchmark::State& state) {
  const std::vector<uint8_t> buffer(static_cast<size_t>(state.range(0)), 0x5a);
  const size_t times = (1u << 20) / buffer.size();
  double sum = 0, words = 0, vectors = 0;
  for (auto _ : state) {
    sum += time_passes<sum_bytes>(buffer, times);
    words += time_passes<read_words>(buffer, times);
    if (__builtin_cpu_supports("avx2")) vectors += time_passes<read_vectors>(buffer, times);
  }
  state.counters["of_read"] = words / sum;
  state.counters["of_vector_read"] = vectors / sum;
}

#define SIZES Arg(64)->Arg(576)->Arg(1460)->Arg(9000)->Arg(65536)
BENCHMARK(BM_Bytes<read_words>)->Name("Read")->SIZES;
BENCHMARK(BM_Bytes<sum_bytes_plainly>)->Name("SumPlainly")->SIZES;
BENCHMARK(BM_Bytes<sum_bytes>)->Name("Sum")->SIZES;
BENCHMARK(BM_Ratio)->Name("Ratio")->SIZES;

}  // namespace
}  // namespace wh::net
