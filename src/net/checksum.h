// The Internet checksum (RFC 1071).
//
// A sum is kept as a 64-bit one's complement accumulator over 16-bit words, in memory order: the
// sum of the swapped words is the swapped sum (RFC 1071 section 2B), so no byte is swapped until
// the end.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>

namespace wh::net {

// A sum folded to 16 bits, in memory order.
constexpr uint16_t fold(uint64_t sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

// The checksum of a short header, in memory order; 0 when the header holds a right one.
// REQUIRES: a multiple of four bytes.
inline uint16_t header_checksum(std::span<const uint8_t> header) {
  uint64_t sum = 0;
  for (size_t i = 0; i + 4 <= header.size(); i += 4) {
    uint32_t word;
    std::memcpy(&word, header.data() + i, 4);
    sum += word;
  }
  return static_cast<uint16_t>(~fold(sum));
}

}  // namespace wh::net
