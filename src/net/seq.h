// TCP sequence space: points and lengths, modulo 2^32 (RFC 9293 section 3.4).
//
// SeqNum is a point on a circle, SeqLen a distance along it. Only what has a meaning compiles:
// point + length, point - length, point - point (the distance from the second forward to the
// first), length + length. Points compare modularly: `a < b` when b is less than 2^31 ahead of a.
// That is an order only among points of which none is 2^31 or more from another, as all points of
// one connection's windows are; never sort others by it.
#pragma once

#include <compare>
#include <cstdint>

#include "core/units.h"

namespace wh::net {

class SeqLen {
 public:
  constexpr SeqLen() = default;
  constexpr explicit SeqLen(uint32_t count) : count_(count) {}
  constexpr uint32_t count() const { return count_; }
  constexpr Bytes bytes() const { return Bytes(count_); }

  constexpr auto operator<=>(const SeqLen&) const = default;
  constexpr SeqLen operator+(SeqLen o) const { return SeqLen(count_ + o.count_); }
  constexpr SeqLen operator-(SeqLen o) const { return SeqLen(count_ - o.count_); }
  constexpr SeqLen& operator+=(SeqLen o) { return count_ += o.count_, *this; }
  constexpr SeqLen& operator-=(SeqLen o) { return count_ -= o.count_, *this; }

 private:
  uint32_t count_ = 0;
};

class SeqNum {
 public:
  constexpr SeqNum() = default;
  constexpr explicit SeqNum(uint32_t value) : value_(value) {}
  constexpr uint32_t value() const { return value_; }

  constexpr bool operator==(const SeqNum&) const = default;
  constexpr bool operator<(SeqNum o) const { return static_cast<int32_t>(value_ - o.value_) < 0; }
  constexpr bool operator>(SeqNum o) const { return o < *this; }
  constexpr bool operator<=(SeqNum o) const { return value_ == o.value_ || *this < o; }
  constexpr bool operator>=(SeqNum o) const { return o <= *this; }

  constexpr SeqNum operator+(SeqLen n) const { return SeqNum(value_ + n.count()); }
  constexpr SeqNum operator-(SeqLen n) const { return SeqNum(value_ - n.count()); }
  constexpr SeqLen operator-(SeqNum o) const { return SeqLen(value_ - o.value_); }
  constexpr SeqNum& operator+=(SeqLen n) { return value_ += n.count(), *this; }
  constexpr SeqNum& operator-=(SeqLen n) { return value_ -= n.count(), *this; }

  // Whether this point is one of the `size` points that begin with `first`. An empty window has
  // none.
  constexpr bool is_in(SeqNum first, SeqLen size) const { return *this - first < size; }

 private:
  uint32_t value_ = 0;
};

constexpr SeqNum earlier(SeqNum a, SeqNum b) {
  return b < a ? b : a;
}
constexpr SeqNum later(SeqNum a, SeqNum b) {
  return a < b ? b : a;
}

}  // namespace wh::net
