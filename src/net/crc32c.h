// The Castagnoli checksum, which SCTP uses (RFC 9260 appendix A).
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace wh::net {

class Crc32c {
 public:
  // Appends bytes to what was summed so far.
  void add(std::span<const uint8_t> bytes) {
    for (const uint8_t byte : bytes) rest_ = kTable[(rest_ ^ byte) & 0xff] ^ rest_ >> 8;
  }
  // SCTP sends its least significant byte first.
  uint32_t value() const { return ~rest_; }

 private:
  static constexpr std::array<uint32_t, 256> make_table() {
    constexpr uint32_t kPolynomial = 0x82f63b78;  // Least significant bit first.
    std::array<uint32_t, 256> table{};
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t rest = i;
      for (int bit = 0; bit < 8; ++bit) rest = rest >> 1 ^ ((rest & 1) != 0 ? kPolynomial : 0);
      table[i] = rest;
    }
    return table;
  }
  static const std::array<uint32_t, 256> kTable;
  uint32_t rest_ = 0xffffffff;
};
inline constexpr std::array<uint32_t, 256> Crc32c::kTable = Crc32c::make_table();

}  // namespace wh::net
