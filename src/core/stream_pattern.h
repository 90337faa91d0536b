// A byte stream that can be made and checked from any point on: byte i is a function of a seed and
// i alone.
//
// Sender and receiver need only agree on the seed. A byte lost, doubled, swapped or changed shows
// at its offset, and a stream cut into other pieces than it was sent in is still the same stream.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

namespace wh {
inline namespace core {

class StreamPattern {
 public:
  explicit constexpr StreamPattern(uint64_t seed) : seed_(seed) {}

  // Writes the bytes of the stream from `offset` on.
  void fill(uint64_t offset, std::span<uint8_t> out) const {
    for_each_word(offset, out.size(), [&](size_t at, const uint8_t* bytes, size_t count) {
      std::memcpy(out.data() + at, bytes, count);
      return true;
    });
  }

  // Where in the stream the first byte stands that is not as it should be, if `bytes` begin at
  // `offset`.
  std::optional<uint64_t> first_difference(uint64_t offset, std::span<const uint8_t> bytes) const {
    std::optional<uint64_t> found;
    for_each_word(offset, bytes.size(), [&](size_t at, const uint8_t* right, size_t count) {
      if (std::memcmp(bytes.data() + at, right, count) == 0) return true;
      while (bytes[at] == *right) ++at, ++right;
      found = offset + at;
      return false;
    });
    return found;
  }

 private:
  // Calls fn(position, bytes, count) for each run within one 8-byte word of the stream until it
  // says false.
  template <class Fn>
  void for_each_word(uint64_t offset, size_t size, Fn fn) const {
    for (size_t at = 0; at < size;) {
      const uint64_t word = word_at((offset + at) / 8);
      const size_t skip = (offset + at) % 8;
      const size_t count = size - at < 8 - skip ? size - at : 8 - skip;
      uint8_t bytes[8];
      std::memcpy(bytes, &word, sizeof word);
      if (count == 8 ? !fn(at, bytes, size_t{8}) : !fn(at, bytes + skip, count)) return;
      at += count;
    }
  }
  // The finaliser of splitmix64.
  uint64_t word_at(uint64_t index) const {
    uint64_t z = seed_ + (index + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  uint64_t seed_;
};

}  // namespace core
}  // namespace wh
