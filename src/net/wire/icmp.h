// ICMP messages (RFC 792): echo, and errors that quote the packet they are about.
//
//   type 1 | code 1 | checksum 2 | rest 4 (by type) | quoted IP header and at least 8 bytes, or
//   echo data
//
// The checksum covers the whole message and is taken as it stands: net/checksum.h makes and
// verifies it.
#pragma once

#include <array>
#include <string>

#include "net/wire/ip4.h"
#include "net/wire/wire.h"

namespace wh::net {

enum class IcmpType : uint8_t {
  EchoReply = 0,
  Unreachable = 3,
  Redirect = 5,
  Echo = 8,
  TimeExceeded = 11,
  ParameterProblem = 12,
};

// Codes of Unreachable (RFC 792, RFC 1122 section 3.2.2.1, RFC 1812 section 5.2.7.1).
constexpr uint8_t kIcmpNetUnreachable = 0;
constexpr uint8_t kIcmpHostUnreachable = 1;
constexpr uint8_t kIcmpProtocolUnreachable = 2;
constexpr uint8_t kIcmpPortUnreachable = 3;
constexpr uint8_t kIcmpFragmentationNeeded = 4;
constexpr uint8_t kIcmpNetProhibited = 9;
constexpr uint8_t kIcmpHostProhibited = 10;
constexpr uint8_t kIcmpAdminProhibited = 13;
// Codes of TimeExceeded.
constexpr uint8_t kIcmpTtlExceeded = 0;
constexpr uint8_t kIcmpReassemblyTimeExceeded = 1;

enum class IcmpFault : uint8_t { Truncated, BadQuote };
// The queries and announcements of RFC 792, 950 and 1256: no errors. What is none of them may be.
constexpr bool is_icmp_query(uint8_t type) {
  return type == 0 || (type >= 8 && type <= 10) || (type >= 13 && type <= 18);
}

inline constexpr std::array kIcmpFaultNames = {"icmp truncated", "icmp bad quote"};
inline const char* to_string(IcmpFault f) {
  return kIcmpFaultNames[static_cast<size_t>(f)];
}

struct IcmpHeader {
  static constexpr uint32_t kSize = 8;
  IcmpType type = IcmpType::Echo;
  uint8_t code = 0;
  uint16_t checksum = 0;
  uint32_t rest = 0;

  bool operator==(const IcmpHeader&) const = default;
  static IcmpHeader echo(IcmpType type, uint16_t id, uint16_t sequence) {
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

class IcmpView {
 public:
  // An error must quote an IP header and 8 bytes after it, or it has a fault: nobody could be told.
  static Parsed<IcmpView, IcmpFault> parse(std::span<const uint8_t> head) {
    if (head.size() < IcmpHeader::kSize) return IcmpFault::Truncated;
    const IcmpView icmp(head);
    if (icmp.is_error()) {
      const auto quoted = Ip4View::parse_quoted(icmp.payload());
      if (!quoted || icmp.payload().size() - quoted->header_size() < 8) return IcmpFault::BadQuote;
    }
    return icmp;
  }

  IcmpType type() const { return static_cast<IcmpType>(head_[0]); }
  uint8_t code() const { return head_[1]; }
  uint16_t checksum() const { return load16(head_.data() + 2); }
  bool is_echo() const { return type() == IcmpType::Echo || type() == IcmpType::EchoReply; }
  bool is_error() const {
    return type() == IcmpType::Unreachable || type() == IcmpType::TimeExceeded ||
           type() == IcmpType::ParameterProblem || type() == IcmpType::Redirect;
  }
  uint32_t rest() const { return load32(head_.data() + 4); }
  uint16_t echo_id() const { return load16(head_.data() + 4); }  // Of an echo or its reply.
  uint16_t echo_sequence() const { return load16(head_.data() + 6); }
  uint16_t next_hop_mtu() const { return load16(head_.data() + 6); }  // RFC 1191; 0: not said.
  uint8_t pointer() const { return head_[4]; }                        // Of a parameter problem.
  // What follows the eight bytes, as far as it is contiguous.
  std::span<const uint8_t> payload() const { return head_.subspan(IcmpHeader::kSize); }
  // The packet an error is about. REQUIRES: is_error().
  Ip4View quoted() const {
    CHECK(is_error());
    return *Ip4View::parse_quoted(payload());
  }
  // As much of its transport header as was quoted, at least 8 bytes. REQUIRES: is_error().
  std::span<const uint8_t> quoted_transport() const {
    return payload().subspan(quoted().header_size());
  }
  IcmpHeader header() const { return {type(), code(), checksum(), rest()}; }

 private:
  explicit IcmpView(std::span<const uint8_t> head) : head_(head) {}
  std::span<const uint8_t> head_;
};

// "ICMP echo request, id 7, seq 1" or "ICMP 10.0.0.9 unreachable - need to frag (mtu 1400)"
std::string to_string(const IcmpView& icmp);

}  // namespace wh::net
