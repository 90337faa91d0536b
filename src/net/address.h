// Addresses of the link and internet layers, with text that parses and prints alike.
//
// MacAddress, Ip4 and Ip6 are values that compare and hash; IpAddress is either of the last two.
// IPv6 prints as RFC 5952 asks (lower case, longest run of zeros shortened). Prefix is an address
// and a length.
#pragma once

#include <array>
#include <bit>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>

#include "core/result.h"

namespace wh::net {

struct MacAddress {
  std::array<uint8_t, 6> bytes{};
  constexpr auto operator<=>(const MacAddress&) const = default;
  constexpr bool is_multicast() const { return (bytes[0] & 1) != 0; }
  constexpr bool is_broadcast() const { return *this == broadcast(); }
  static constexpr MacAddress broadcast() { return {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}; }
  // A locally administered unicast address made of a number: 02:00:00:nn:nn:nn.
  static constexpr MacAddress local(uint32_t n) {
    return {{2, 0, 0, static_cast<uint8_t>(n >> 16), static_cast<uint8_t>(n >> 8),
             static_cast<uint8_t>(n)}};
  }
};

// In host byte order, so that a prefix is a shift.
struct Ip4 {
  uint32_t value = 0;
  constexpr auto operator<=>(const Ip4&) const = default;
  static constexpr Ip4 of(uint8_t a, uint8_t b, uint8_t c, uint8_t d) {
    return {uint32_t{a} << 24 | uint32_t{b} << 16 | uint32_t{c} << 8 | d};
  }
  constexpr bool is_multicast() const { return value >> 28 == 0xe; }
  constexpr bool is_broadcast() const { return value == 0xffffffff; }
  constexpr bool is_loopback() const { return value >> 24 == 127; }
};

struct Ip6 {
  std::array<uint8_t, 16> bytes{};  // In network order.
  constexpr auto operator<=>(const Ip6&) const = default;
  constexpr bool operator==(const Ip6& o) const {  // Two words: bytes would be compared by a call.
    using Words = std::array<uint64_t, 2>;
    const auto a = std::bit_cast<Words>(bytes), b = std::bit_cast<Words>(o.bytes);
    return ((a[0] ^ b[0]) | (a[1] ^ b[1])) == 0;
  }
  constexpr bool is_unspecified() const { return *this == Ip6{}; }
  constexpr bool is_multicast() const { return bytes[0] == 0xff; }
  constexpr bool is_link_local() const { return bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80; }
  // ::ffff:a.b.c.d: an IPv4 address inside a program, never on a wire.
  constexpr bool is_v4_mapped() const {
    Ip6 same_beginning;
    same_beginning.bytes[10] = same_beginning.bytes[11] = 0xff;
    for (size_t i = 12; i < 16; ++i) same_beginning.bytes[i] = bytes[i];
    return *this == same_beginning;
  }
  // ff02::1:ffxx:xxxx, to which neighbour solicitations for this address go (RFC 4291
  // section 2.7.1).
  Ip6 solicited_node() const;
  // fe80:: with the interface identifier made of a MAC address (RFC 4291 appendix A).
  static Ip6 link_local(const MacAddress& mac);
};

enum class Family : uint8_t { V4, V6 };

struct IpAddress {
  Family family = Family::V4;
  Ip6 bits{};  // An IPv4 address is in the first four bytes, in network order.

  IpAddress() = default;
  IpAddress(Ip4 a) {  // Spelled out, the four are one store.
    bits.bytes[0] = static_cast<uint8_t>(a.value >> 24);
    bits.bytes[1] = static_cast<uint8_t>(a.value >> 16);
    bits.bytes[2] = static_cast<uint8_t>(a.value >> 8);
    bits.bytes[3] = static_cast<uint8_t>(a.value);
  }
  IpAddress(const Ip6& a) : family(Family::V6), bits(a) {}
  auto operator<=>(const IpAddress&) const = default;
  bool is_v4() const { return family == Family::V4; }
  // REQUIRES: is_v4().
  Ip4 v4() const {
    CHECK(is_v4());
    return Ip4::of(bits.bytes[0], bits.bytes[1], bits.bytes[2], bits.bytes[3]);
  }
  // REQUIRES: !is_v4().
  const Ip6& v6() const {
    CHECK(!is_v4());
    return bits;
  }
  bool is_unspecified() const { return bits.is_unspecified(); }
  // Of IPv6: IPv4's (RFC 3927) are looked up as any other.
  bool is_link_local() const { return !is_v4() && bits.is_link_local(); }
  bool is_multicast() const { return is_v4() ? v4().is_multicast() : bits.is_multicast(); }
};

// An address and how many of its leading bits name the network. The other bits are kept:
// `10.0.0.1/24` is also how an interface's address is written.
struct Prefix {
  IpAddress address;
  uint8_t length = 0;
  auto operator<=>(const Prefix&) const = default;
  bool contains(const IpAddress& a) const;
  Prefix network() const;  // With the host bits cleared.
};

// Errors name the text and the accepted form.
Result<MacAddress> parse_mac(std::string_view text);  // 02:00:00:00:00:01
Result<Ip4> parse_ip4(std::string_view text);         // 10.0.0.1
Result<Ip6> parse_ip6(std::string_view text);         // 2001:db8::1
Result<IpAddress> parse_ip(std::string_view text);    // Either.
Result<Prefix> parse_prefix(std::string_view text);   // 10.0.0.0/8, 2001:db8::/32

std::string to_string(const MacAddress& a);
std::string to_string(Ip4 a);
std::string to_string(const Ip6& a);
std::string to_string(const IpAddress& a);
std::string to_string(const Prefix& p);

}  // namespace wh::net

template <>
struct std::hash<wh::net::IpAddress> {
  size_t operator()(const wh::net::IpAddress& a) const noexcept {
    uint64_t high, low;
    std::memcpy(&high, a.bits.bytes.data(), 8);
    std::memcpy(&low, a.bits.bytes.data() + 8, 8);
    const uint64_t h = (high ^ (low * 0x9e3779b97f4a7c15u)) + static_cast<uint64_t>(a.family);
    return static_cast<size_t>((h ^ (h >> 29)) * 0xbf58476d1ce4e5b9u);
  }
};
