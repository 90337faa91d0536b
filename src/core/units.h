// Times, sizes and rates as types, with text that parses and prints alike.
//
// Duration and Instant are std::chrono nanoseconds in 64 bits (292 years); Bytes is a count of
// bytes; Rate is bits per second. Products run through 128 bits, so 400 Gbps times a year does not
// overflow. Only meaningful arithmetic compiles: Bytes + Bytes, Instant + Duration; never Bytes +
// Duration.
//
// Text: durations `12.5ms`, `90s`, `250us`, `5min`; sizes `1500B`, `64KiB`, `3kB`; rates `40Mbps`,
// `2.5Gbps`, `infinite`. parse(to_string(x)) == x for every x.
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <compare>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "core/check.h"
#include "core/result.h"

namespace wh {
inline namespace core {

using Duration = std::chrono::nanoseconds;

// The house's only clock. It has no now(): an event loop tells the time (core/loop.h).
struct LabClock {
  using rep = int64_t;
  using period = std::nano;
  using duration = Duration;
  using time_point = std::chrono::time_point<LabClock>;
  static constexpr bool is_steady = true;
};
using Instant = LabClock::time_point;
constexpr Instant kNever = Instant::max();

using namespace std::chrono_literals;

__extension__ using Int128 = __int128;
__extension__ using Uint128 = unsigned __int128;

class Bytes {
 public:
  constexpr Bytes() = default;
  constexpr explicit Bytes(int64_t count) : count_(count) {}
  constexpr int64_t count() const { return count_; }

  constexpr auto operator<=>(const Bytes&) const = default;
  constexpr Bytes operator+(Bytes o) const { return Bytes(count_ + o.count_); }
  constexpr Bytes operator-(Bytes o) const { return Bytes(count_ - o.count_); }
  constexpr Bytes operator-() const { return Bytes(-count_); }
  constexpr Bytes operator*(int64_t k) const { return Bytes(count_ * k); }
  constexpr Bytes operator/(int64_t k) const { return Bytes(count_ / k); }
  constexpr int64_t operator/(Bytes o) const { return count_ / o.count_; }
  constexpr Bytes& operator+=(Bytes o) { return count_ += o.count_, *this; }
  constexpr Bytes& operator-=(Bytes o) { return count_ -= o.count_, *this; }
  static constexpr Bytes max() { return Bytes(std::numeric_limits<int64_t>::max()); }

 private:
  int64_t count_ = 0;
};

class Rate {
 public:
  constexpr Rate() = default;
  static constexpr Rate bits_per_second(uint64_t bps) { return Rate(bps); }
  static constexpr Rate bytes_per_second(uint64_t n) { return Rate(n * 8); }
  static constexpr Rate infinite() { return Rate(std::numeric_limits<uint64_t>::max()); }
  // The rate that moves `size` in `time`, rounded down. REQUIRES: size >= 0, time > 0.
  static constexpr Rate of(Bytes size, Duration time) {
    CHECK(size.count() >= 0 && time.count() > 0);
    const Uint128 bps =
        Uint128(size.count()) * 8 * 1'000'000'000 / static_cast<uint64_t>(time.count());
    return Rate(bps > infinite().bps_ ? infinite().bps_ : static_cast<uint64_t>(bps));
  }

  constexpr uint64_t bps() const { return bps_; }
  constexpr uint64_t bytes_per_second() const { return bps_ / 8; }
  constexpr bool is_infinite() const { return *this == infinite(); }
  constexpr bool is_zero() const { return bps_ == 0; }
  constexpr auto operator<=>(const Rate&) const = default;
  constexpr Rate operator+(Rate o) const { return Rate(bps_ + o.bps_); }
  // This rate times percent / 100, rounded down.
  constexpr Rate percent(uint64_t p) const {
    return is_infinite() ? *this : Rate(static_cast<uint64_t>(Uint128(bps_) * p / 100));
  }

  // How long `size` occupies a transmitter of this rate, rounded up to the nanosecond.
  // REQUIRES: not zero. An infinite rate takes no time.
  constexpr Duration transfer_time(Bytes size) const {
    CHECK(bps_ > 0);
    if (is_infinite() || size.count() <= 0) return Duration::zero();
    const Uint128 bits_ns = Uint128(size.count()) * 8 * 1'000'000'000;
    const Uint128 ns = (bits_ns + bps_ - 1) / bps_;
    constexpr auto kMax = std::numeric_limits<int64_t>::max();
    return Duration(ns > Uint128(kMax) ? kMax : static_cast<int64_t>(ns));
  }
  // Whole bytes that pass in `time`, rounded down. REQUIRES: finite.
  constexpr Bytes bytes_in(Duration time) const {
    CHECK(!is_infinite());
    if (time.count() <= 0) return Bytes(0);
    const Uint128 n = Uint128(bps_) * static_cast<uint64_t>(time.count()) / 8'000'000'000u;
    return n > Uint128(Bytes::max().count()) ? Bytes::max() : Bytes(static_cast<int64_t>(n));
  }

 private:
  constexpr explicit Rate(uint64_t bps) : bps_(bps) {}
  uint64_t bps_ = 0;
};

constexpr Bytes operator""_B(unsigned long long n) {
  return Bytes(static_cast<int64_t>(n));
}
constexpr Bytes operator""_KiB(unsigned long long n) {
  return Bytes(static_cast<int64_t>(n << 10));
}
constexpr Bytes operator""_MiB(unsigned long long n) {
  return Bytes(static_cast<int64_t>(n << 20));
}
constexpr Rate operator""_bps(unsigned long long n) {
  return Rate::bits_per_second(n);
}
constexpr Rate operator""_kbps(unsigned long long n) {
  return Rate::bits_per_second(n * 1000);
}
constexpr Rate operator""_Mbps(unsigned long long n) {
  return Rate::bits_per_second(n * 1000000);
}
constexpr Rate operator""_Gbps(unsigned long long n) {
  return Rate::bits_per_second(n * 1000000000);
}

// Text to value. The whole text must be a decimal number and a unit; a fraction must name a whole
// number of the smallest unit (ns, byte, bit/s). Errors name the text and what would be accepted.
Result<Duration> parse_duration(std::string_view text);
Result<Bytes> parse_bytes(std::string_view text);
Result<Rate> parse_rate(std::string_view text);  // also kbit/s, Mbit/s, Gbit/s, bit/s

std::string to_string(Duration d);
std::string to_string(Bytes b);
std::string to_string(Rate r);

constexpr double to_seconds(Duration d) {
  return static_cast<double>(d.count()) * 1e-9;
}
constexpr double to_ms(Duration d) {
  return static_cast<double>(d.count()) * 1e-6;
}

}  // namespace core
}  // namespace wh

template <>
struct fmt::formatter<wh::Bytes> : fmt::formatter<std::string> {
  auto format(wh::Bytes b, format_context& ctx) const {
    return fmt::formatter<std::string>::format(wh::to_string(b), ctx);
  }
};
template <>
struct fmt::formatter<wh::Rate> : fmt::formatter<std::string> {
  auto format(wh::Rate r, format_context& ctx) const {
    return fmt::formatter<std::string>::format(wh::to_string(r), ctx);
  }
};
