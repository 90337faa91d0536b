// A fuzzer's input as a tape of decisions: numbers are read off it, zeros when it is used up.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

namespace wh::tcp {

class Tape {
 public:
  Tape(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  bool is_empty() const { return at_ >= size_; }
  uint8_t byte() { return is_empty() ? uint8_t{0} : data_[at_++]; }
  uint16_t word() { return static_cast<uint16_t>(byte() << 8 | byte()); }
  // Small steps mostly, sometimes far.
  uint32_t distance() {
    const uint8_t kind = byte();
    const auto small = static_cast<uint32_t>(static_cast<int8_t>(byte()));
    switch (kind & 3) {
      case 0: return 0;
      case 1: return small;
      case 2: return small * 512;
      default: return uint32_t{word()} << (kind >> 3);
    }
  }
  std::span<const uint8_t> bytes(size_t most) {
    const size_t n = std::min(most, size_ - at_);
    at_ += n;
    return {data_ + at_ - n, n};
  }

 private:
  const uint8_t* data_;
  size_t size_, at_ = 0;
};

}  // namespace wh::tcp
