// IPv6 headers and the walk over extension headers (RFC 8200).
//
//   fixed header 40 | hop-by-hop | destination options | routing | fragment | destination options |
//   protocol
//
// parse() checks the version and the payload length against the packet's size. extensions() walks
// the chain, at most kMaxExtensions long, and answers where the transport protocol begins; a chain
// that runs out of the contiguous head or of the payload has a fault. The walk ends at a fragment
// header with an offset: what follows it is the middle of somebody's payload. Authentication,
// encapsulation and mobility headers are protocols like any other here.
#pragma once

#include <array>
#include <optional>

#include "net/address.h"
#include "net/wire/wire.h"

namespace wh::net {

constexpr uint8_t kIp6HopByHop = 0;
constexpr uint8_t kIp6Routing = 43;
constexpr uint8_t kIp6Fragment = 44;
constexpr uint8_t kIp6NoNextHeader = 59;
constexpr uint8_t kIp6DestinationOptions = 60;

enum class Ip6Fault : uint8_t {
  Truncated,
  BadVersion,
  LengthBeyondPacket,
  ExtensionTruncated,
  TooManyExtensions,
  HopByHopNotFirst,
  BadOptions,
};
inline constexpr std::array kIp6FaultNames = {
    "ip6 truncated",           "ip6 bad version",         "ip6 length beyond packet",
    "ip6 extension truncated", "ip6 too many extensions", "ip6 hop-by-hop not first",
    "ip6 bad options"};
inline const char* to_string(Ip6Fault f) {
  return kIp6FaultNames[static_cast<size_t>(f)];
}

struct Ip6Header {
  static constexpr uint32_t kSize = 40;
  Ip6 source, destination;
  uint8_t next_header = kIp6NoNextHeader;
  uint8_t hop_limit = 64;
  uint8_t traffic_class = 0;  // DSCP 6 bits, ECN 2 bits.
  uint32_t flow_label = 0;    // 20 bits.
  uint16_t payload_length = 0;

  bool operator==(const Ip6Header&) const = default;
  // Writes kSize bytes. REQUIRES: out.size() >= kSize, flow_label < 2^20.
  void emit(std::span<uint8_t> out) const {
    CHECK(out.size() >= kSize && flow_label < 1u << 20);
    uint8_t* at = out.data();
    store32(at, 6u << 28 | uint32_t{traffic_class} << 20 | flow_label);
    store16(at + 4, payload_length);
    at[6] = next_header;
    at[7] = hop_limit;
    std::memcpy(at + 8, source.bytes.data(), 16);
    std::memcpy(at + 24, destination.bytes.data(), 16);
  }
};

// RFC 8200 section 4.5.
struct Ip6FragmentHeader {
  static constexpr uint32_t kSize = 8;
  uint8_t next_header = kIp6NoNextHeader;
  uint16_t offset = 0;  // In bytes, a multiple of 8.
  bool more_fragments = false;
  uint32_t id = 0;

  bool operator==(const Ip6FragmentHeader&) const = default;
  // Neither fragmented before nor followed by a fragment (RFC 6946).
  bool is_atomic() const { return offset == 0 && !more_fragments; }
  // Writes kSize bytes. REQUIRES: out.size() >= kSize, offset % 8 == 0.
  void emit(std::span<uint8_t> out) const {
    CHECK(out.size() >= kSize && offset % 8 == 0);
    out[0] = next_header;
    out[1] = 0;
    store16(out.data() + 2, static_cast<uint16_t>(offset | (more_fragments ? 1 : 0)));
    store32(out.data() + 4, id);
  }
};

// Where the chain of extension headers ends, and what stood in it. Offsets count from the IPv6
// header.
struct Ip6Extensions {
  uint8_t protocol = kIp6NoNextHeader;  // Of what is at `offset`.
  uint32_t offset = Ip6Header::kSize;
  uint32_t protocol_at = 6;  // Of the byte that names `protocol`: an error's pointer (RFC 4443).
  uint32_t fragment_at =
      0;  // Of the first fragment header that is no atomic one, else of the last.
  uint32_t fragment_protocol_at = 0;  // Of the byte that names the fragment header.
  uint32_t routing_at = 0;            // Of the first routing header; 0 when there is none.
  // Of the first option that may not be skipped (RFC 8200 section 4.2); 0 when there is none.
  uint32_t unknown_option_at = 0;
  Ip6FragmentHeader fragment;

  bool has_fragment() const { return fragment_at != 0; }
};

class Ip6View {
 public:
  static constexpr uint32_t kMaxExtensions = 8;

  static Parsed<Ip6View, Ip6Fault> parse(std::span<const uint8_t> head, size_t size) {
    auto ip = parse_quoted(head);
    if (ip && ip->total_length() > size) return Ip6Fault::LengthBeyondPacket;
    return ip;
  }
  static Parsed<Ip6View, Ip6Fault> parse(std::span<const uint8_t> whole) {
    return parse(whole, whole.size());
  }
  // Of the packet inside an ICMPv6 error, which is cut short: the length is not checked.
  static Parsed<Ip6View, Ip6Fault> parse_quoted(std::span<const uint8_t> quote) {
    if (quote.size() < Ip6Header::kSize) return Ip6Fault::Truncated;
    if (quote[0] >> 4 != 6) return Ip6Fault::BadVersion;
    return Ip6View(quote);
  }

  uint8_t traffic_class() const { return static_cast<uint8_t>(load32(at()) >> 20); }
  uint8_t ecn() const { return traffic_class() & 3; }
  uint32_t flow_label() const { return load32(at()) & 0xfffff; }
  uint32_t payload_length() const { return load16(at() + 4); }
  uint32_t total_length() const { return Ip6Header::kSize + payload_length(); }
  uint8_t next_header() const { return at()[6]; }
  uint8_t hop_limit() const { return at()[7]; }
  Ip6 source() const { return address(8); }
  Ip6 destination() const { return address(24); }
  Ip6Header header() const;

  // Writes where the chain ends into `out`; returns the fault, or nothing. The usual packet has no
  // extension and costs one comparison.
  [[nodiscard]] std::optional<Ip6Fault> extensions(Ip6Extensions& out) const {
    out = {};
    out.protocol = next_header();
    if (!is_extension(out.protocol)) return std::nullopt;
    return walk(out);
  }
  static bool is_extension(uint8_t protocol) {
    return protocol == kIp6HopByHop || protocol == kIp6Routing || protocol == kIp6Fragment ||
           protocol == kIp6DestinationOptions;
  }

 private:
  explicit Ip6View(std::span<const uint8_t> head) : head_(head) {}
  const uint8_t* at() const { return head_.data(); }
  Ip6 address(size_t offset) const {
    Ip6 a;
    std::memcpy(a.bytes.data(), at() + offset, 16);
    return a;
  }
  std::optional<Ip6Fault> walk(Ip6Extensions& out) const;
  static bool check_options(std::span<const uint8_t> header, uint32_t offset, Ip6Extensions& out);
  std::span<const uint8_t> head_;
};

// Sets the two ECN bits (RFC 3168 section 5). REQUIRES: `header` was parsed.
inline void set_ip6_ecn(std::span<uint8_t> header, uint8_t ecn) {
  CHECK(header.size() >= Ip6Header::kSize && ecn <= 3);
  header[1] = static_cast<uint8_t>((header[1] & 0xcf) | ecn << 4);
}

}  // namespace wh::net
