#include "core/units.h"

#include <array>
#include <span>

namespace wh {
inline namespace core {
namespace {

struct Unit {
  std::string_view name;
  uint64_t scale;  // In the quantity's smallest unit.
};

constexpr std::array kTimeUnits = {Unit{"ns", 1},
                                   Unit{"us", 1'000},
                                   Unit{"ms", 1'000'000},
                                   Unit{"s", 1'000'000'000},
                                   Unit{"min", 60'000'000'000},
                                   Unit{"h", 3'600'000'000'000}};
constexpr std::array kByteUnits = {Unit{"B", 1},
                                   Unit{"kB", 1'000},
                                   Unit{"MB", 1'000'000},
                                   Unit{"GB", 1'000'000'000},
                                   Unit{"TB", 1'000'000'000'000},
                                   Unit{"KB", 1'000},
                                   Unit{"KiB", 1ull << 10},
                                   Unit{"MiB", 1ull << 20},
                                   Unit{"GiB", 1ull << 30},
                                   Unit{"TiB", 1ull << 40}};
constexpr std::array kRateUnits = {Unit{"bps", 1},
                                   Unit{"kbps", 1'000},
                                   Unit{"Mbps", 1'000'000},
                                   Unit{"Gbps", 1'000'000'000},
                                   Unit{"Tbps", 1'000'000'000'000},
                                   Unit{"bit/s", 1},
                                   Unit{"kbit/s", 1'000},
                                   Unit{"Mbit/s", 1'000'000},
                                   Unit{"Gbit/s", 1'000'000'000},
                                   Unit{"Kbps", 1'000}};

// A decimal number split into digits and the power of ten that its fraction divides by.
struct Decimal {
  bool negative = false;
  Uint128 digits = 0;
  Uint128 divisor = 1;
  std::string_view rest;
};

// Reads [-]digits[.digits]; false when the text does not begin so, or has more than 25 digits
// (times any unit, that still fits 128 bits).
bool read_decimal(std::string_view text, Decimal& out) {
  size_t at = 0;
  if (at < text.size() && text[at] == '-') out.negative = true, ++at;
  size_t digits = 0;
  bool point = false;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '.' && !point && digits > 0) {
      point = true;
    } else if (c >= '0' && c <= '9') {
      if (++digits > 25) return false;
      out.digits = out.digits * 10 + static_cast<unsigned>(c - '0');
      if (point) out.divisor *= 10;
    } else {
      break;
    }
  }
  if (digits == 0 || text[at - 1] == '.') return false;
  out.rest = text.substr(at);
  return true;
}

// The value of `text` in smallest units. `what` and `example` make the error's sentence.
Result<Int128> parse_quantity(std::string_view text, std::span<const Unit> units,
                              std::string_view what, std::string_view example) {
  Decimal number;
  if (read_decimal(text, number)) {
    for (const Unit& unit : units) {
      if (number.rest != unit.name) continue;
      const Uint128 scaled = number.digits * unit.scale;
      if (scaled % number.divisor != 0) {
        return fail("'{}' is not a whole number of {}; accepted: {}", text, units[0].name, example);
      }
      const Int128 value = Int128(scaled / number.divisor);
      return number.negative ? -value : value;
    }
  }
  return fail("'{}' is not {}; accepted: a number and a unit, such as {}", text, what, example);
}

Result<int64_t> narrow(Int128 value, std::string_view text, std::string_view what) {
  if (value > std::numeric_limits<int64_t>::max() || value < std::numeric_limits<int64_t>::min()) {
    return fail("'{}' is too large for {}", text, what);
  }
  return static_cast<int64_t>(value);
}

// magnitude / scale as a decimal without trailing zeros. `scale` is a power of ten.
std::string decimal_text(uint64_t magnitude, uint64_t scale) {
  std::string text = std::to_string(magnitude / scale);
  uint64_t fraction = magnitude % scale;
  if (fraction == 0) return text;
  text += '.';
  for (; fraction != 0; fraction %= scale) {
    scale /= 10;
    text += static_cast<char>('0' + fraction / scale);
  }
  return text;
}

// The largest of `units` (powers of ten, ascending) not above the magnitude, and its decimal.
std::string scaled_text(uint64_t magnitude, std::span<const Unit> units) {
  const Unit* best = &units[0];
  for (const Unit& unit : units) {
    if (magnitude >= unit.scale) best = &unit;
  }
  return decimal_text(magnitude, best->scale).append(best->name);
}

uint64_t magnitude_of(int64_t n) {
  return n < 0 ? ~static_cast<uint64_t>(n) + 1 : static_cast<uint64_t>(n);
}

}  // namespace

Result<Duration> parse_duration(std::string_view text) {
  if (text == "0") return Duration::zero();
  const Int128 ns = TRY(parse_quantity(text, kTimeUnits, "a duration", "10ms, 2.5s, 250us, 40ns"));
  return Duration(TRY(narrow(ns, text, "a duration")));
}

Result<Bytes> parse_bytes(std::string_view text) {
  if (text == "0") return Bytes(0);
  const Int128 n = TRY(parse_quantity(text, kByteUnits, "a size", "1500B, 64KiB, 3MB"));
  return Bytes(TRY(narrow(n, text, "a size")));
}

Result<Rate> parse_rate(std::string_view text) {
  if (text == "infinite") return Rate::infinite();
  if (text == "0") return Rate();
  const Int128 bps =
      TRY(parse_quantity(text, kRateUnits, "a rate", "40Mbps, 2.5Gbps, 800kbps, infinite"));
  if (bps < 0) return fail("'{}' is negative; a rate is 0bps or more", text);
  if (bps >= Int128(Rate::infinite().bps())) return fail("'{}' is too large for a rate", text);
  return Rate::bits_per_second(static_cast<uint64_t>(bps));
}

std::string to_string(Duration d) {
  const int64_t ns = d.count();
  if (ns == 0) return "0s";
  return (ns < 0 ? "-" : "") + scaled_text(magnitude_of(ns), std::span(kTimeUnits).first(4));
}

std::string to_string(Bytes b) {
  const int64_t n = b.count();
  const uint64_t magnitude = magnitude_of(n);
  // Binary units when they divide the size, decimal ones when those do, else plain bytes.
  static constexpr std::string_view kBinary[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  static constexpr std::string_view kThousands[] = {"B", "kB", "MB", "GB", "TB"};
  size_t power = 0;
  uint64_t value = magnitude;
  while (value != 0 && value % 1024 == 0 && power < 4) value /= 1024, ++power;
  std::string_view unit = kBinary[power];
  if (power == 0) {
    while (value != 0 && value % 1000 == 0 && power < 4) value /= 1000, ++power;
    unit = kThousands[power];
  }
  return fmt::format("{}{}{}", n < 0 ? "-" : "", value, unit);
}

std::string to_string(Rate r) {
  if (r.is_infinite()) return "infinite";
  return scaled_text(r.bps(), std::span(kRateUnits).first(5));
}

}  // namespace core
}  // namespace wh
