// Seeded random numbers: every chance in the house is drawn from one of these, handed down from one
// seed.
//
// The generator is xoshiro256** (Blackman and Vigna, 2018), seeded through splitmix64. fork("name")
// makes an independent stream for a named part, so adding a draw in one part does not move the
// others. std::uniform_* are not used: their results differ between standard libraries.
#pragma once

#include <cmath>
#include <cstdint>
#include <string_view>

#include "core/check.h"
#include "core/units.h"

namespace wh {
inline namespace core {

class Random {
 public:
  explicit Random(uint64_t seed) : seed_(seed) {
    for (uint64_t& word : state_) word = splitmix(seed);
  }

  // An independent stream: the same parent seed and name give the same stream, whatever was drawn
  // before.
  Random fork(std::string_view name) const {
    uint64_t h = 0xcbf29ce484222325u ^ seed_;
    for (const char c : name) h = (h ^ static_cast<uint8_t>(c)) * 0x100000001b3u;
    return Random(h);
  }

  uint64_t next() {
    const uint64_t result = rotl(state_[1] * 5, 7) * 9;
    const uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = rotl(state_[3], 45);
    return result;
  }

  // Uniform in [0, bound). REQUIRES: bound > 0. The bias is below bound / 2^64.
  uint64_t below(uint64_t bound) {
    CHECK(bound > 0);
    return static_cast<uint64_t>((Uint128(next()) * bound) >> 64);
  }
  uint64_t between(uint64_t low, uint64_t high) { return low + below(high - low + 1); }
  double uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }  // [0, 1)
  bool chance(double p) { return p > 0 && uniform() < p; }
  bool one_in(uint64_t n) { return below(n) == 0; }
  double exponential(double mean) { return -mean * std::log1p(-uniform()); }
  // Normal with mean 0 and deviation 1, by the polar method; each call draws afresh.
  double normal() {
    for (;;) {
      const double x = 2 * uniform() - 1, y = 2 * uniform() - 1, s = x * x + y * y;
      if (s > 0 && s < 1) return x * std::sqrt(-2 * std::log(s) / s);
    }
  }

 private:
  static uint64_t rotl(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }
  static uint64_t splitmix(uint64_t& x) {
    uint64_t z = (x += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  uint64_t seed_;
  uint64_t state_[4];
};

}  // namespace core
}  // namespace wh
