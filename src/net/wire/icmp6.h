// ICMPv6 messages (RFC 4443) and neighbour discovery (RFC 4861).
//
//   type 1 | code 1 | checksum 2 | rest 4 (by type) | quoted packet, echo data, or target and
//   options
//
// parse() checks what each known type needs, so no accessor that belongs to a type can fail;
// calling one of another type is a bug and checked. Neighbour discovery options are read leniently,
// unknown ones skipped, but one whose length is zero or runs out of the message is a fault (RFC
// 4861 section 4.6).
#pragma once

#include <array>
#include <chrono>
#include <optional>
#include <string>

#include "net/wire/ip6.h"
#include "net/wire/wire.h"

namespace wh::net {

enum class Icmp6Type : uint8_t {
  Unreachable = 1,
  PacketTooBig = 2,
  TimeExceeded = 3,
  ParameterProblem = 4,
  Echo = 128,
  EchoReply = 129,
  RouterSolicitation = 133,
  RouterAdvertisement = 134,
  NeighbourSolicitation = 135,
  NeighbourAdvertisement = 136,
};

// Codes of Unreachable (RFC 4443 section 3.1).
constexpr uint8_t kIcmp6NoRoute = 0;
constexpr uint8_t kIcmp6AdminProhibited = 1;
constexpr uint8_t kIcmp6AddressUnreachable = 3;
constexpr uint8_t kIcmp6PortUnreachable = 4;
// Codes of TimeExceeded.
constexpr uint8_t kIcmp6HopLimitExceeded = 0;
constexpr uint8_t kIcmp6ReassemblyTimeExceeded = 1;
// Codes of ParameterProblem.
constexpr uint8_t kIcmp6BadHeaderField = 0;
constexpr uint8_t kIcmp6UnknownNextHeader = 1;
constexpr uint8_t kIcmp6UnknownOption = 2;

enum class Icmp6Fault : uint8_t { Truncated, BadQuote, BadOptions };
inline constexpr std::array kIcmp6FaultNames = {"icmp6 truncated", "icmp6 bad quote",
                                                "icmp6 bad options"};
inline const char* to_string(Icmp6Fault f) {
  return kIcmp6FaultNames[static_cast<size_t>(f)];
}

struct Icmp6Header {
  static constexpr uint32_t kSize = 8;
  Icmp6Type type = Icmp6Type::Echo;
  uint8_t code = 0;
  uint16_t checksum = 0;
  uint32_t rest = 0;  // Echo: id and sequence. PacketTooBig: MTU. ParameterProblem: pointer.

  bool operator==(const Icmp6Header&) const = default;
  static Icmp6Header echo(Icmp6Type type, uint16_t id, uint16_t sequence) {
    return {type, 0, 0, uint32_t{id} << 16 | sequence};
  }
  // Writes kSize bytes. REQUIRES: out.size() >= kSize.
  void emit(std::span<uint8_t> out) const {
    CHECK(out.size() >= kSize);
    out[0] = static_cast<uint8_t>(type);
    out[1] = code;
    store16(out.data() + 2, checksum);
    store32(out.data() + 4, rest);
  }
};

// The four neighbour discovery messages. emit() writes size() bytes with the checksum field zero.
struct NeighbourSolicitation {
  Ip6 target;
  std::optional<MacAddress> source_mac;  // Absent in duplicate address detection.
  bool operator==(const NeighbourSolicitation&) const = default;
  uint32_t size() const { return 24 + (source_mac ? 8 : 0); }
  void emit(std::span<uint8_t> out) const;
};

struct NeighbourAdvertisement {
  Ip6 target;
  bool router = false, solicited = false, override = false;
  std::optional<MacAddress> target_mac;
  bool operator==(const NeighbourAdvertisement&) const = default;
  uint32_t size() const { return 24 + (target_mac ? 8 : 0); }
  void emit(std::span<uint8_t> out) const;
};

struct RouterSolicitation {
  std::optional<MacAddress> source_mac;
  bool operator==(const RouterSolicitation&) const = default;
  uint32_t size() const { return 8 + (source_mac ? 8 : 0); }
  void emit(std::span<uint8_t> out) const;
};

// RFC 4861 section 4.6.2. A lifetime of 2^32 - 1 seconds is forever.
struct PrefixInformation {
  Ip6 prefix;
  uint8_t length = 0;  // Bits; a value over 128 is passed on as it came.
  bool on_link = false, autonomous = false;
  std::chrono::seconds valid_lifetime{}, preferred_lifetime{};
  bool operator==(const PrefixInformation&) const = default;
};

struct RouterAdvertisement {
  static constexpr uint32_t kMaxPrefixes = 4;  // Further ones are skipped on input.
  uint8_t hop_limit = 0;                       // 0: not said, as with the times below.
  bool managed = false, other_config = false;
  std::chrono::seconds router_lifetime{};
  std::chrono::milliseconds reachable_time{}, retransmit_timer{};
  std::optional<MacAddress> source_mac;
  std::optional<uint32_t> mtu;
  uint32_t prefix_count = 0;
  std::array<PrefixInformation, kMaxPrefixes> prefixes{};
  bool operator==(const RouterAdvertisement&) const = default;
  uint32_t size() const {
    return 16u + (source_mac ? 8u : 0u) + (mtu ? 8u : 0u) + 32u * prefix_count;
  }
  // REQUIRES: prefix_count <= kMaxPrefixes; times within their fields (16 and 32 bits).
  void emit(std::span<uint8_t> out) const;
};

class Icmp6View {
 public:
  // `message` is the contiguous beginning of the ICMPv6 message. Neighbour discovery must be whole
  // in it.
  static Parsed<Icmp6View, Icmp6Fault> parse(std::span<const uint8_t> message);

  Icmp6Type type() const { return static_cast<Icmp6Type>(head_[0]); }
  uint8_t code() const { return head_[1]; }
  uint16_t checksum() const { return load16(head_.data() + 2); }
  bool is_error() const { return head_[0] < 128; }
  bool is_echo() const { return type() == Icmp6Type::Echo || type() == Icmp6Type::EchoReply; }
  uint32_t rest() const { return load32(head_.data() + 4); }
  uint16_t echo_id() const { return load16(head_.data() + 4); }
  uint16_t echo_sequence() const { return load16(head_.data() + 6); }
  uint32_t mtu() const { return rest(); }      // Of PacketTooBig.
  uint32_t pointer() const { return rest(); }  // Of ParameterProblem.
  std::span<const uint8_t> payload() const { return head_.subspan(Icmp6Header::kSize); }
  Icmp6Header header() const { return {type(), code(), checksum(), rest()}; }

  // The packet an error is about. REQUIRES: is_error().
  Ip6View quoted() const {
    CHECK(is_error());
    return *Ip6View::parse_quoted(payload());
  }

  // REQUIRES (each): the type is its own.
  NeighbourSolicitation neighbour_solicitation() const;
  NeighbourAdvertisement neighbour_advertisement() const;
  RouterSolicitation router_solicitation() const;
  RouterAdvertisement router_advertisement() const;

 private:
  explicit Icmp6View(std::span<const uint8_t> head) : head_(head) {}
  std::optional<MacAddress> find_mac(uint32_t options_at, uint8_t option) const;
  std::span<const uint8_t> head_;
};

// "ICMP6, neighbor solicitation, who has fe80::2" and the like.
std::string to_string(const Icmp6View& icmp);

}  // namespace wh::net
