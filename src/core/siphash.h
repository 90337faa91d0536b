// SipHash (Aumasson and Bernstein, 2012) of whole 64-bit words: the keyed function behind what an
// outsider must not be able to guess (initial sequence numbers, timestamp offsets, SYN cookies),
// and behind hash tables whose keys strangers choose.
#pragma once

#include <cstdint>
#include <initializer_list>

#include "core/random.h"

namespace wh {
inline namespace core {

struct SipKey {
  uint64_t low = 0, high = 0;
  static SipKey draw(Random random) {
    const uint64_t low = random.next();
    return {low, random.next()};
  }
};

// SipHash-C-D: so many rounds for each word, and at the end.
template <int kWordRounds = 2, int kEndRounds = 4>
constexpr uint64_t siphash(const SipKey& key, std::initializer_list<uint64_t> words) {
  uint64_t v0 = key.low ^ 0x736f6d6570736575u, v1 = key.high ^ 0x646f72616e646f6du;
  uint64_t v2 = key.low ^ 0x6c7967656e657261u, v3 = key.high ^ 0x7465646279746573u;
  const auto rotate = [](uint64_t x, int by) { return x << by | x >> (64 - by); };
  const auto round = [&] {
    v0 += v1, v1 = rotate(v1, 13) ^ v0, v0 = rotate(v0, 32);
    v2 += v3, v3 = rotate(v3, 16) ^ v2;
    v0 += v3, v3 = rotate(v3, 21) ^ v0;
    v2 += v1, v1 = rotate(v1, 17) ^ v2, v2 = rotate(v2, 32);
  };
  const auto take = [&](uint64_t word) {
    v3 ^= word;
    for (int i = 0; i < kWordRounds; ++i) round();
    v0 ^= word;
  };
  for (const uint64_t word : words) take(word);
  take(uint64_t{words.size() * 8} << 56);  // The last block holds the length.
  v2 ^= 0xff;
  for (int i = 0; i < kEndRounds; ++i) round();
  return v0 ^ v1 ^ v2 ^ v3;
}

// Of a place in a hash table, which nobody is shown: fewer rounds do (as in Linux and Rust).
constexpr size_t table_hash(const SipKey& key, std::initializer_list<uint64_t> words) {
  return static_cast<size_t>(siphash<1, 3>(key, words));
}

}  // namespace core
}  // namespace wh
