#include "net/address.h"

#include <charconv>

namespace wh::net {
namespace {

// Reads an unsigned number in `base` that fills [begin, end) whole and is at most `max`.
bool read_number(std::string_view text, int base, uint32_t max, uint32_t& out) {
  if (text.empty()) return false;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, out, base);
  return error == std::errc() && stop == end && out <= max;
}

bool read_ip4(std::string_view text, Ip4& out) {
  uint32_t value = 0;
  for (int part = 0; part < 4; ++part) {
    const size_t dot = text.find('.');
    if ((dot == std::string_view::npos) != (part == 3)) return false;
    const std::string_view digits = text.substr(0, dot);
    uint32_t byte = 0;
    // 010 is 8 to some.
    const bool is_plain = digits.size() == 1 || !digits.starts_with('0');
    if (!is_plain || digits.size() > 3 || !read_number(digits, 10, 255, byte)) return false;
    value = value << 8 | byte;
    text = part == 3 ? std::string_view{} : text.substr(dot + 1);
  }
  out = {value};
  return true;
}

// The groups on one side of "::", appended to `groups`. False when one is not a group. Those that
// end the address may end in an IPv4 address (RFC 4291 section 2.2).
bool read_groups(std::string_view text, bool is_end, uint16_t (&groups)[8], size_t& count) {
  while (!text.empty()) {
    const size_t colon = text.find(':');
    const std::string_view part = text.substr(0, colon);
    if (part.find('.') != std::string_view::npos) {
      Ip4 tail;
      if (!is_end || colon != std::string_view::npos || count > 6 || !read_ip4(part, tail))
        return false;
      groups[count++] = static_cast<uint16_t>(tail.value >> 16);
      groups[count++] = static_cast<uint16_t>(tail.value);
      return true;
    }
    uint32_t group = 0;
    if (count == 8 || part.size() > 4 || !read_number(part, 16, 0xffff, group)) return false;
    groups[count++] = static_cast<uint16_t>(group);
    if (colon == std::string_view::npos) return true;
    text = text.substr(colon + 1);
    if (text.empty()) return false;
  }
  return true;
}

bool read_ip6(std::string_view text, Ip6& out) {
  uint16_t front[8] = {}, back[8] = {};
  size_t in_front = 0, in_back = 0;
  const size_t gap = text.find("::");
  const bool is_whole = gap == std::string_view::npos;
  if (!read_groups(text.substr(0, gap), is_whole, front, in_front)) return false;
  if (is_whole) {
    if (in_front != 8) return false;
  } else {
    if (!read_groups(text.substr(gap + 2), true, back, in_back) || in_front + in_back > 7)
      return false;
  }
  out = {};
  auto put = [&](size_t group, uint16_t value) {
    out.bytes[group * 2] = static_cast<uint8_t>(value >> 8);
    out.bytes[group * 2 + 1] = static_cast<uint8_t>(value);
  };
  for (size_t i = 0; i < in_front; ++i) put(i, front[i]);
  for (size_t i = 0; i < in_back; ++i) put(8 - in_back + i, back[i]);
  return true;
}

// A mask byte for byte i of an address under a prefix length.
uint8_t mask_byte(size_t i, uint8_t length) {
  const int bits = static_cast<int>(length) - static_cast<int>(i * 8);
  if (bits >= 8) return 0xff;
  return bits <= 0 ? uint8_t{0} : static_cast<uint8_t>(0xff << (8 - bits));
}

}  // namespace

Ip6 Ip6::solicited_node() const {
  Ip6 a{{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff}};
  for (size_t i = 13; i < 16; ++i) a.bytes[i] = bytes[i];
  return a;
}

Ip6 Ip6::link_local(const MacAddress& mac) {
  const auto& m = mac.bytes;
  return {{0xfe, 0x80, 0, 0, 0, 0, 0, 0, static_cast<uint8_t>(m[0] ^ 2), m[1], m[2], 0xff, 0xfe,
           m[3], m[4], m[5]}};
}

bool Prefix::contains(const IpAddress& a) const {
  if (a.family != address.family) return false;
  for (size_t i = 0; i < 16; ++i) {
    if (((a.bits.bytes[i] ^ address.bits.bytes[i]) & mask_byte(i, length)) != 0) return false;
  }
  return true;
}

Prefix Prefix::network() const {
  Prefix p = *this;
  for (size_t i = 0; i < 16; ++i) p.address.bits.bytes[i] &= mask_byte(i, length);
  return p;
}

Result<MacAddress> parse_mac(std::string_view text) {
  MacAddress mac;
  std::string_view rest = text;
  for (size_t i = 0; i < 6; ++i) {
    const size_t colon = rest.find(':');
    uint32_t byte = 0;
    const std::string_view part = rest.substr(0, colon);
    if ((colon == std::string_view::npos) != (i == 5) || part.size() > 2 ||
        !read_number(part, 16, 255, byte)) {
      return fail("'{}' is not a MAC address; accepted: six hexadecimal bytes, 02:00:00:00:00:01",
                  text);
    }
    mac.bytes[i] = static_cast<uint8_t>(byte);
    rest = i == 5 ? std::string_view{} : rest.substr(colon + 1);
  }
  return mac;
}

Result<Ip4> parse_ip4(std::string_view text) {
  Ip4 a;
  if (read_ip4(text, a)) return a;
  return fail("'{}' is not an IPv4 address; accepted: 10.0.0.1", text);
}

Result<Ip6> parse_ip6(std::string_view text) {
  Ip6 a;
  if (read_ip6(text, a)) return a;
  return fail("'{}' is not an IPv6 address; accepted: 2001:db8::1", text);
}

Result<IpAddress> parse_ip(std::string_view text) {
  Ip4 v4;
  if (read_ip4(text, v4)) return IpAddress(v4);
  Ip6 v6;
  if (read_ip6(text, v6)) return IpAddress(v6);
  return fail("'{}' is not an IP address; accepted: 10.0.0.1 or 2001:db8::1", text);
}

Result<Prefix> parse_prefix(std::string_view text) {
  const size_t slash = text.find('/');
  uint32_t length = 0;
  if (slash != std::string_view::npos) {
    const auto address = parse_ip(text.substr(0, slash));
    const uint32_t longest = address && !address->is_v4() ? 128 : 32;
    if (address && read_number(text.substr(slash + 1), 10, longest, length)) {
      return Prefix{*address, static_cast<uint8_t>(length)};
    }
  }
  return fail("'{}' is not a prefix; accepted: 10.0.0.0/8 or 2001:db8::/32", text);
}

std::string to_string(const MacAddress& a) {
  const auto& b = a.bytes;
  return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", b[0], b[1], b[2], b[3], b[4],
                     b[5]);
}

std::string to_string(Ip4 a) {
  return fmt::format("{}.{}.{}.{}", a.value >> 24, a.value >> 16 & 255, a.value >> 8 & 255,
                     a.value & 255);
}

std::string to_string(const Ip6& a) {
  uint16_t groups[8];
  for (size_t i = 0; i < 8; ++i) {
    groups[i] = static_cast<uint16_t>(a.bytes[2 * i] << 8 | a.bytes[2 * i + 1]);
  }
  size_t best = 8, best_length = 1;  // RFC 5952 section 4.2.2: a single zero group stays.
  for (size_t i = 0; i < 8; ++i) {
    size_t n = 0;
    while (i + n < 8 && groups[i + n] == 0) ++n;
    if (n > best_length) best = i, best_length = n;
  }
  std::string text;
  for (size_t i = 0; i < 8; ++i) {
    if (i == best) {
      text += "::";
      i += best_length - 1;
      continue;
    }
    if (!text.empty() && text.back() != ':') text += ':';
    text += fmt::format("{:x}", groups[i]);
  }
  return text;
}

std::string to_string(const IpAddress& a) {
  return a.is_v4() ? to_string(a.v4()) : to_string(a.v6());
}

std::string to_string(const Prefix& p) {
  return fmt::format("{}/{}", to_string(p.address), p.length);
}

}  // namespace wh::net
