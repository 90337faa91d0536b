// SipHash-2-4 (Aumasson and Bernstein, 2012) of whole 64-bit words: the keyed function behind
// initial sequence numbers, timestamp offsets and SYN cookies, which an outsider must not be able
// to guess.
#pragma once

#include <cstdint>
#include <initializer_list>

namespace wh::tcp {

struct SipKey {
  uint64_t low = 0, high = 0;
};

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
    round();
    round();
    v0 ^= word;
  };
  for (const uint64_t word : words) take(word);
  take(uint64_t{words.size() * 8} << 56);  // The last block holds the length.
  v2 ^= 0xff;
  for (int i = 0; i < 4; ++i) round();
  return v0 ^ v1 ^ v2 ^ v3;
}

}  // namespace wh::tcp
