// UDP headers (RFC 768). The checksum is taken and given as it stands: net/checksum.h makes and
// verifies it.
#pragma once

#include <array>
#include <string>

#include "net/wire/wire.h"

namespace wh::net {

enum class UdpFault : uint8_t { Truncated, BadLength, LengthBeyondPacket };
inline constexpr std::array kUdpFaultNames = {"udp truncated", "udp bad length",
                                              "udp length beyond packet"};
inline const char* to_string(UdpFault f) {
  return kUdpFaultNames[static_cast<size_t>(f)];
}

struct UdpHeader {
  static constexpr uint32_t kSize = 8;
  uint16_t source_port = 0;
  uint16_t destination_port = 0;
  uint16_t length = kSize;  // Of header and payload.
  uint16_t checksum = 0;    // 0: none was sent (IPv4 only).

  bool operator==(const UdpHeader&) const = default;
  // Writes kSize bytes. REQUIRES: out.size() >= kSize, length >= kSize.
  void emit(std::span<uint8_t> out) const {
    CHECK(out.size() >= kSize && length >= kSize);
    store16(out.data(), source_port);
    store16(out.data() + 2, destination_port);
    store16(out.data() + 4, length);
    store16(out.data() + 6, checksum);
  }
};

class UdpView {
 public:
  // `size` is what IP carried; it may exceed the datagram's own length, never the reverse.
  static Parsed<UdpView, UdpFault> parse(std::span<const uint8_t> head, size_t size) {
    if (head.size() < UdpHeader::kSize) return UdpFault::Truncated;
    const uint16_t length = load16(head.data() + 4);
    if (length < UdpHeader::kSize) return UdpFault::BadLength;
    if (length > size) return UdpFault::LengthBeyondPacket;
    return UdpView(head.data());
  }
  static Parsed<UdpView, UdpFault> parse(std::span<const uint8_t> whole) {
    return parse(whole, whole.size());
  }

  uint16_t source_port() const { return load16(at_); }
  uint16_t destination_port() const { return load16(at_ + 2); }
  uint16_t length() const { return load16(at_ + 4); }
  uint32_t payload_size() const { return uint32_t{length()} - UdpHeader::kSize; }
  uint16_t checksum() const { return load16(at_ + 6); }
  UdpHeader header() const { return {source_port(), destination_port(), length(), checksum()}; }

 private:
  explicit UdpView(const uint8_t* at) : at_(at) {}
  const uint8_t* at_;
};

// "53 > 4000: UDP, length 12"; with addresses, see wire/describe.h.
std::string to_string(const UdpView& udp);

}  // namespace wh::net
