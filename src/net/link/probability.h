// A chance in a thousand million, with text that parses and prints alike: `1%`, `0.05%`, `100%`.
//
// Kept as an integer so that a printed configuration means exactly what the parsed one did, and so
// that a draw compares integers. The finest step is 0.0000001 %.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/random.h"
#include "core/result.h"

namespace wh::net {

class Probability {
 public:
  static constexpr uint32_t kOne = 1'000'000'000;

  constexpr Probability() = default;
  // REQUIRES: ppb <= kOne.
  static constexpr Probability parts_per_billion(uint32_t ppb) {
    CHECK(ppb <= kOne);
    return Probability(ppb);
  }
  static constexpr Probability percent(uint32_t whole) {
    return parts_per_billion(whole * (kOne / 100));
  }

  constexpr uint32_t ppb() const { return ppb_; }
  constexpr bool is_zero() const { return ppb_ == 0; }
  constexpr double value() const { return ppb_ * 1e-9; }
  constexpr auto operator<=>(const Probability&) const = default;

  // Draws once. Nothing is drawn when the answer is certain.
  bool happens(Random& random) const {
    if (ppb_ == 0) return false;
    return ppb_ == kOne || random.below(kOne) < ppb_;
  }

 private:
  constexpr explicit Probability(uint32_t ppb) : ppb_(ppb) {}
  uint32_t ppb_ = 0;
};

// A decimal number from 0 to 100 with at most seven decimals, and `%`. Errors name the text and
// what is accepted.
Result<Probability> parse_probability(std::string_view text);
std::string to_string(Probability p);

}  // namespace wh::net
