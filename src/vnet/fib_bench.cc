// What a full table costs: loading it, looking up in it, changing it, and its memory.
//
// The table is drawn as the Internet's is: six tenths /24, the rest /16 to /23 and a few others,
// prefixes nesting in a tenth of the address space's blocks, next hops few. Destinations are drawn
// from the routes. `cycles` is of the processor's own counter, per lookup in vectors of 256, the
// yardstick `cycles/plain` a loop that loads one word for each destination from a table of the same
// size as the trie, at random.
#include <benchmark/benchmark.h>

#include <chrono>

#include "core/random.h"
#include "vnet/fib.h"

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace wh::vnet {
namespace {

using net::Family;
using net::Ip4;
using net::Prefix;

uint64_t read_cycles() {
#if defined(__x86_64__)
  return __rdtsc();
#else
  return 0;
#endif
}

uint8_t draw_length4(Random& random) {
  const uint64_t n = random.below(100);
  if (n < 60) return 24;
  if (n < 98) return static_cast<uint8_t>(16 + random.below(8));
  return static_cast<uint8_t>(n == 98 ? 8 + random.below(8) : 25 + random.below(8));
}

std::vector<Prefix> draw_table4(size_t size, uint64_t seed) {
  Random random(seed);
  std::vector<Prefix> prefixes;
  // Addresses cluster: half of all are in blocks that are already in use.
  while (prefixes.size() < size) {
    uint32_t a = static_cast<uint32_t>(random.next());
    if (!prefixes.empty() && random.chance(0.5)) {
      const Ip4 near = prefixes[random.below(prefixes.size())].address.v4();
      a = (near.value & 0xffff0000) | (a & 0xffff);
    }
    if (a >> 24 == 0 || a >> 24 == 127 || a >> 28 >= 14) continue;
    prefixes.push_back(Prefix{Ip4{a}, draw_length4(random)}.network());
  }
  return prefixes;
}

std::vector<Prefix> draw_table6(size_t size, uint64_t seed) {
  Random random(seed);
  std::vector<Prefix> prefixes;
  while (prefixes.size() < size) {
    net::Ip6 a;
    for (uint8_t& b : a.bytes) b = static_cast<uint8_t>(random.next());
    a.bytes[0] = static_cast<uint8_t>(0x20 | random.below(16));
    if (!prefixes.empty() && random.chance(0.7)) {
      const net::Ip6 near = prefixes[random.below(prefixes.size())].address.v6();
      std::copy_n(near.bytes.begin(), 4, a.bytes.begin());
    }
    const auto length = static_cast<uint8_t>(random.chance(0.5) ? 48 : 29 + random.below(20));
    prefixes.push_back(Prefix{a, length}.network());
  }
  return prefixes;
}

void fill(Fib& fib, const std::vector<Prefix>& prefixes) {
  uint32_t n = 0;
  for (const Prefix& p : prefixes) fib.set(p, RouteSource::Static, 5 + n++ % 16);
}

template <class Key>
std::vector<Key> draw_destinations(const std::vector<Prefix>& table, size_t count) {
  Random random(7);
  std::vector<Key> keys;
  for (size_t i = 0; i < count; ++i) {
    const Prefix& p = table[random.below(table.size())];
    net::Ip6 bits = p.address.bits;
    const size_t size = Key::kBits / 8;
    // The host part at random.
    for (size_t b = p.length / 8u + 1; b < size; ++b) {
      bits.bytes[b] = static_cast<uint8_t>(random.next());
    }
    keys.push_back(Key::load(bits.bytes.data()));
  }
  return keys;
}

template <class Key>
void lookup(benchmark::State& state, Family family, const std::vector<Prefix>& table) {
  Fib fib(family);
  fill(fib, table);
  const auto keys = draw_destinations<Key>(table, 100'000 / 256 * 256);
  AdjacencyIndex found[256];
  uint64_t cycles = 0, best = ~uint64_t{0};
  for (auto _ : state) {
    const uint64_t before = read_cycles();
    for (size_t at = 0; at < keys.size(); at += 256) {
      fib.lookup(std::span<const Key>(keys.data() + at, 256), found);
      benchmark::DoNotOptimize(found[0]);
    }
    const uint64_t took = read_cycles() - before;
    cycles += took;
    best = std::min(best, took);
  }
  const auto lookups = static_cast<double>(keys.size());
  state.counters["cycles"] = double(cycles) / (double(state.iterations()) * lookups);
  state.counters["cycles/best"] = double(best) / lookups;
  state.counters["MiB"] = double(fib.memory()) / (1 << 20);

  // The yardstick.
  std::vector<uint32_t> words(fib.memory() / 4);
  std::vector<uint32_t> places;
  Random random(9);
  for (size_t i = 0; i < keys.size(); ++i) {
    places.push_back(static_cast<uint32_t>(random.below(words.size())));
  }
  uint64_t plain = ~uint64_t{0};
  uint32_t sum = 0;
  for (int round = 0; round < 10; ++round) {
    const uint64_t before = read_cycles();
    for (const uint32_t place : places) sum += words[place];
    plain = std::min(plain, read_cycles() - before);
  }
  benchmark::DoNotOptimize(sum);
  state.counters["cycles/plain"] = double(plain) / lookups;
}

void fib4_lookup(benchmark::State& state) {
  lookup<Key4>(state, Family::V4, draw_table4(static_cast<size_t>(state.range(0)), 1));
}
void fib6_lookup(benchmark::State& state) {
  lookup<Key6>(state, Family::V6, draw_table6(static_cast<size_t>(state.range(0)), 1));
}
BENCHMARK(fib4_lookup)->Arg(1)->Arg(1000)->Arg(500'000)->Arg(1'000'000);
BENCHMARK(fib6_lookup)->Arg(1)->Arg(1000)->Arg(200'000);

// A million routes in, and what one change costs among them: the mean, and the longest of all.
void fib_change(benchmark::State& state, Family family) {
  const bool v4 = family == Family::V4;
  const auto table = v4 ? draw_table4(1'000'000, 1) : draw_table6(200'000, 1);
  double longest = 0, load = 0;
  size_t size = 0;
  for (auto _ : state) {
    Fib fib(family);
    using Clock = std::chrono::steady_clock;
    const auto start = Clock::now();
    fill(fib, table);
    load = std::chrono::duration<double>(Clock::now() - start).count();
    size = fib.size();
    const Prefix all{table[0].address, 0};
    for (int i = 0; i < 1000; ++i) {
      const Prefix& p = i % 100 == 0 ? all : table[static_cast<size_t>(i) * 97];
      const auto before = Clock::now();
      fib.set(p, RouteSource::Special, 7);
      fib.remove(p, RouteSource::Special);
      const double took = std::chrono::duration<double, std::micro>(Clock::now() - before).count();
      longest = std::max(longest, took / 2);
    }
    state.counters["MiB"] = double(fib.memory()) / (1 << 20);
  }
  state.counters["load_s"] = load;
  state.counters["routes"] = double(size);
  state.counters["longest_change_us"] = longest;
}
BENCHMARK_CAPTURE(fib_change, ipv4_1M, Family::V4)->Iterations(1)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(fib_change, ipv6_200k, Family::V6)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace wh::vnet
