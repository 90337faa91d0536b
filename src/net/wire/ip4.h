// IPv4 headers (RFC 791), with options, fragments, and the header's own checksum.
//
// parse() checks version, header length, total length against the packet's size, and the checksum;
// options_fault() checks the options' structure. parse_quoted() is for the packet inside an ICMP
// error, which is cut short and may have been changed on its way: it checks the header's structure
// only.
#pragma once

#include <array>

#include "net/address.h"
#include "net/checksum.h"
#include "net/wire/wire.h"

namespace wh::net {

enum class Ip4Fault : uint8_t {
  Truncated,
  BadVersion,
  BadHeaderLength,
  BadTotalLength,
  LengthBeyondPacket,
  BadChecksum,
};
inline constexpr std::array kIp4FaultNames = {
    "ip4 truncated",        "ip4 bad version",          "ip4 bad header length",
    "ip4 bad total length", "ip4 length beyond packet", "ip4 bad checksum"};
inline const char* to_string(Ip4Fault f) {
  return kIp4FaultNames[static_cast<size_t>(f)];
}

struct Ip4Header {
  static constexpr uint32_t kMinSize = 20;
  static constexpr uint32_t kMaxSize = 60;

  Ip4 source, destination;
  uint8_t protocol = 0;
  uint8_t ttl = 64;
  uint8_t tos = 0;  // DSCP 6 bits, ECN 2 bits.
  uint16_t total_length = kMinSize;
  uint16_t id = 0;
  bool dont_fragment = false;
  bool more_fragments = false;
  uint16_t fragment_offset = 0;  // In bytes, a multiple of 8.
  uint8_t options_size = 0;      // A multiple of 4, at most 40.
  std::array<uint8_t, 40> options{};

  bool operator==(const Ip4Header&) const = default;
  uint32_t size() const { return kMinSize + options_size; }
  // Writes size() bytes, the checksum computed. REQUIRES: out.size() >= size(); fields as said
  // above.
  void emit(std::span<uint8_t> out) const;
};

class Ip4View {
 public:
  static Parsed<Ip4View, Ip4Fault> parse(std::span<const uint8_t> head, size_t size);
  static Parsed<Ip4View, Ip4Fault> parse(std::span<const uint8_t> whole) {
    return parse(whole, whole.size());
  }
  static Parsed<Ip4View, Ip4Fault> parse_quoted(std::span<const uint8_t> quote);

  uint32_t header_size() const { return 4u * (at_[0] & 15u); }
  uint32_t total_length() const { return load16(at_ + 2); }
  uint32_t payload_size() const { return total_length() - header_size(); }
  uint8_t tos() const { return at_[1]; }
  uint8_t ecn() const { return at_[1] & 3; }
  uint16_t id() const { return load16(at_ + 4); }
  bool dont_fragment() const { return (at_[6] & 0x40) != 0; }
  bool more_fragments() const { return (at_[6] & 0x20) != 0; }
  uint32_t fragment_offset() const { return (load16(at_ + 6) & 0x1fffu) * 8; }  // In bytes.
  bool is_fragment() const { return (load16(at_ + 6) & 0x3fff) != 0; }
  uint8_t ttl() const { return at_[8]; }
  uint8_t protocol() const { return at_[9]; }
  uint16_t checksum() const { return load16(at_ + 10); }
  Ip4 source() const { return {load32(at_ + 12)}; }
  Ip4 destination() const { return {load32(at_ + 16)}; }
  std::span<const uint8_t> options() const {
    return {at_ + Ip4Header::kMinSize, header_size() - Ip4Header::kMinSize};
  }
  // Where in the header an option says a length that cannot be; 0: nowhere, and the options can be
  // walked. parse() does not ask, so that an error may be sent about a packet that is whole.
  uint32_t options_fault() const;
  std::span<const uint8_t> bytes() const { return {at_, header_size()}; }
  Ip4Header header() const;

 private:
  explicit Ip4View(const uint8_t* at) : at_(at) {}
  static Parsed<Ip4View, Ip4Fault> parse_structure(std::span<const uint8_t> head);
  const uint8_t* at_;
};

// Changes the header's 16-bit word at `offset` and mends its checksum. REQUIRES: `header` was
// parsed.
inline void replace_ip4_word(std::span<uint8_t> header, size_t offset, uint16_t word) {
  CHECK(offset + 2 <= header.size() && header.size() >= Ip4Header::kMinSize);
  uint8_t* at = header.data();
  store16(at + 10, update_checksum(load16(at + 10), load16(at + offset), word));
  store16(at + offset, word);
}

// Sets the two ECN bits (RFC 3168 section 5). REQUIRES: `header` was parsed.
inline void set_ip4_ecn(std::span<uint8_t> header, uint8_t ecn) {
  CHECK(header.size() >= Ip4Header::kMinSize && ecn <= 3);
  replace_ip4_word(header, 0, static_cast<uint16_t>((load16(header.data()) & ~3) | ecn));
}

inline Parsed<Ip4View, Ip4Fault> Ip4View::parse_structure(std::span<const uint8_t> head) {
  if (head.size() < Ip4Header::kMinSize) return Ip4Fault::Truncated;
  if (head[0] >> 4 != 4) return Ip4Fault::BadVersion;
  const Ip4View ip(head.data());
  if (ip.header_size() < Ip4Header::kMinSize) return Ip4Fault::BadHeaderLength;
  if (ip.header_size() > head.size()) return Ip4Fault::Truncated;
  if (ip.total_length() < ip.header_size()) return Ip4Fault::BadTotalLength;
  return ip;
}

inline Parsed<Ip4View, Ip4Fault> Ip4View::parse(std::span<const uint8_t> head, size_t size) {
  auto ip = parse_structure(head);
  if (!ip) return ip;
  if (ip->total_length() > size) return Ip4Fault::LengthBeyondPacket;
  if (header_checksum(ip->bytes()) != 0) return Ip4Fault::BadChecksum;
  return ip;
}

inline Parsed<Ip4View, Ip4Fault> Ip4View::parse_quoted(std::span<const uint8_t> quote) {
  return parse_structure(quote);
}

}  // namespace wh::net
