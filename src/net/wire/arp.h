// Address resolution for IPv4 on Ethernet (RFC 826).
//
//   hardware 2 | protocol 2 | lengths 1+1 | operation 2 | sender MAC 6, IP 4 | target MAC 6, IP 4
//
// Only hardware 1 (Ethernet) with protocol 0x0800 is a view; anything else has a fault. The
// operation is given as it stands: what to do with one that is neither request nor reply is the
// receiver's affair.
#pragma once

#include <array>
#include <string>

#include "net/address.h"
#include "net/wire/wire.h"

namespace wh::net {

enum class ArpOperation : uint16_t { Request = 1, Reply = 2 };

enum class ArpFault : uint8_t { Truncated, BadHardwareType, BadProtocolType, BadAddressLength };
inline constexpr std::array kArpFaultNames = {"arp truncated", "arp bad hardware type",
                                              "arp bad protocol type", "arp bad address length"};
inline const char* to_string(ArpFault f) {
  return kArpFaultNames[static_cast<size_t>(f)];
}

struct ArpPacket {
  static constexpr uint32_t kSize = 28;
  ArpOperation operation = ArpOperation::Request;
  MacAddress sender_mac;
  Ip4 sender_ip;
  MacAddress target_mac;  // Zero in a request.
  Ip4 target_ip;

  bool operator==(const ArpPacket&) const = default;
  // Writes kSize bytes. REQUIRES: out.size() >= kSize.
  void emit(std::span<uint8_t> out) const {
    CHECK(out.size() >= kSize);
    constexpr uint8_t kEthernetIp4[] = {0, 1, 8, 0, 6, 4};
    uint8_t* at = out.data();
    std::memcpy(at, kEthernetIp4, sizeof kEthernetIp4);
    store16(at + 6, static_cast<uint16_t>(operation));
    std::memcpy(at + 8, sender_mac.bytes.data(), 6);
    store32(at + 14, sender_ip.value);
    std::memcpy(at + 18, target_mac.bytes.data(), 6);
    store32(at + 24, target_ip.value);
  }
};

class ArpView {
 public:
  // Bytes after the packet (Ethernet's padding) are not looked at.
  static Parsed<ArpView, ArpFault> parse(std::span<const uint8_t> head) {
    if (head.size() < ArpPacket::kSize) return ArpFault::Truncated;
    if (load16(head.data()) != 1) return ArpFault::BadHardwareType;
    if (load16(head.data() + 2) != 0x0800) return ArpFault::BadProtocolType;
    if (head[4] != 6 || head[5] != 4) return ArpFault::BadAddressLength;
    return ArpView(head.data());
  }

  ArpOperation operation() const { return static_cast<ArpOperation>(load16(at_ + 6)); }
  MacAddress sender_mac() const { return mac(8); }
  Ip4 sender_ip() const { return {load32(at_ + 14)}; }
  MacAddress target_mac() const { return mac(18); }
  Ip4 target_ip() const { return {load32(at_ + 24)}; }
  ArpPacket packet() const {
    return {operation(), sender_mac(), sender_ip(), target_mac(), target_ip()};
  }

 private:
  explicit ArpView(const uint8_t* at) : at_(at) {}
  MacAddress mac(size_t offset) const {
    MacAddress m;
    std::memcpy(m.bytes.data(), at_ + offset, 6);
    return m;
  }
  const uint8_t* at_;
};

// "ARP, Request who-has 10.0.0.2 tell 10.0.0.1" or "ARP, Reply 10.0.0.2 is-at 02:00:00:00:00:02"
std::string to_string(const ArpView& arp);

}  // namespace wh::net
