// What every header view is made of: big-endian loads and stores, and "a view or the reason there
// is none".
//
// A header has two faces. A *view* (Ip4View) refers to bytes somebody else owns; parse() checks all
// that its accessors rely on, so that after it none can fail. A *value* (Ip4Header) is what the
// bytes say; emit() writes it, and parse(emit(x)) gives x back. Malformed input is not an error of
// this program: parse() answers with a Fault, whose to_string is the name of the counter that is to
// move ("ip4 bad checksum"). Each fault enum has its names in an array, kIp4FaultNames, so a node
// can make one counter of each.
//
// parse(head, size): `head` is the contiguous beginning of the data, `size` how many bytes there
// are in all, so that length fields are checked though the payload lies elsewhere (Packet's
// slices). A header that does not end within `head` is "truncated".
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <variant>

#include "core/check.h"

namespace wh::net {

// Network order to host order and back, at any alignment.
constexpr uint16_t swap16(uint16_t v) {
  return std::endian::native == std::endian::big ? v : __builtin_bswap16(v);
}
constexpr uint32_t swap32(uint32_t v) {
  return std::endian::native == std::endian::big ? v : __builtin_bswap32(v);
}
inline uint16_t load16(const uint8_t* at) {
  uint16_t v;
  std::memcpy(&v, at, sizeof v);
  return swap16(v);
}
inline uint32_t load32(const uint8_t* at) {
  uint32_t v;
  std::memcpy(&v, at, sizeof v);
  return swap32(v);
}
inline void store16(uint8_t* at, uint16_t v) {
  v = swap16(v);
  std::memcpy(at, &v, sizeof v);
}
inline void store32(uint8_t* at, uint32_t v) {
  v = swap32(v);
  std::memcpy(at, &v, sizeof v);
}

// A view, or why the bytes are not one. `if (auto udp = UdpView::parse(bytes)) udp->source_port()`.
template <class View, class Fault>
class [[nodiscard]] Parsed {
 public:
  constexpr Parsed(View view) : state_(view) {}
  constexpr Parsed(Fault fault) : state_(fault) {}
  constexpr explicit operator bool() const { return std::holds_alternative<View>(state_); }
  // REQUIRES: there is a view.
  constexpr const View& operator*() const {
    CHECK(*this);
    return *std::get_if<View>(&state_);
  }
  constexpr const View* operator->() const { return &**this; }
  // REQUIRES: there is none.
  constexpr Fault fault() const {
    CHECK(!*this);
    return *std::get_if<Fault>(&state_);
  }

 private:
  std::variant<View, Fault> state_;
};

}  // namespace wh::net
