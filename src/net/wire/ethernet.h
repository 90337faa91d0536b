// Ethernet headers, with up to two VLAN tags (IEEE 802.3, 802.1Q, 802.1ad).
//
//   destination 6 | source 6 | [TPID 2 | TCI 2] [TPID 2 | TCI 2] | type 2 | payload
//
// A tag is recognised by 0x8100 or 0x88a8 where the type would be. After two tags the next two
// bytes are the type, whatever they are. A type below 0x600 is the length of an 802.3 frame
// (spanning tree, for one).
#pragma once

#include <array>
#include <string>

#include "net/address.h"
#include "net/wire/wire.h"

namespace wh::net {

enum class EtherType : uint16_t {
  Ip4 = 0x0800,
  Arp = 0x0806,
  Vlan = 0x8100,
  Ip6 = 0x86dd,
  ServiceVlan = 0x88a8,
};

enum class EthernetFault : uint8_t { Truncated };
inline constexpr std::array kEthernetFaultNames = {"ethernet truncated"};
inline const char* to_string(EthernetFault f) {
  return kEthernetFaultNames[static_cast<size_t>(f)];
}

struct VlanTag {
  EtherType tpid = EtherType::Vlan;
  uint16_t tci = 0;  // Priority 3 bits, drop eligible 1, VLAN identifier 12.
  constexpr uint16_t vlan() const { return tci & 0x0fff; }
  constexpr uint8_t priority() const { return static_cast<uint8_t>(tci >> 13); }
  constexpr bool operator==(const VlanTag&) const = default;
};

struct EthernetHeader {
  static constexpr uint32_t kMaxTags = 2;
  static constexpr uint32_t kMinSize = 14;
  static constexpr uint32_t kMaxSize = kMinSize + 4 * kMaxTags;

  MacAddress destination, source;
  EtherType type{};
  uint8_t tag_count = 0;
  std::array<VlanTag, kMaxTags> tags{};  // Outermost first.

  bool operator==(const EthernetHeader&) const = default;
  uint32_t size() const { return kMinSize + 4u * tag_count; }
  // Writes size() bytes. REQUIRES: out.size() >= size(), tag_count <= kMaxTags.
  void emit(std::span<uint8_t> out) const {
    CHECK(tag_count <= kMaxTags && out.size() >= size());
    std::memcpy(out.data(), destination.bytes.data(), 6);
    std::memcpy(out.data() + 6, source.bytes.data(), 6);
    uint8_t* at = out.data() + 12;
    for (uint32_t i = 0; i < tag_count; ++i, at += 4) {
      store16(at, static_cast<uint16_t>(tags[i].tpid));
      store16(at + 2, tags[i].tci);
    }
    store16(at, static_cast<uint16_t>(type));
  }
};

class EthernetView {
 public:
  static Parsed<EthernetView, EthernetFault> parse(std::span<const uint8_t> head) {
    uint32_t size = EthernetHeader::kMinSize;
    if (head.size() < size) return EthernetFault::Truncated;
    while (is_tag(load16(head.data() + size - 2)) && size < EthernetHeader::kMaxSize) {
      size += 4;
      if (head.size() < size) return EthernetFault::Truncated;
    }
    return EthernetView(head.data(), static_cast<uint8_t>(size));
  }

  MacAddress destination() const { return mac(0); }
  MacAddress source() const { return mac(6); }
  EtherType type() const { return static_cast<EtherType>(load16(at_ + size_ - 2)); }
  bool is_802_3() const { return load16(at_ + size_ - 2) < 0x600; }
  uint32_t header_size() const { return size_; }
  uint32_t tag_count() const { return (size_ - EthernetHeader::kMinSize) / 4; }
  // REQUIRES: i < tag_count(). The outermost is tag 0.
  VlanTag tag(uint32_t i) const {
    CHECK(i < tag_count());
    return {static_cast<EtherType>(load16(at_ + 12 + 4 * i)), load16(at_ + 14 + 4 * i)};
  }
  EthernetHeader header() const {
    EthernetHeader h{destination(), source(), type(), static_cast<uint8_t>(tag_count()), {}};
    for (uint32_t i = 0; i < tag_count(); ++i) h.tags[i] = tag(i);
    return h;
  }

 private:
  EthernetView(const uint8_t* at, uint8_t size) : at_(at), size_(size) {}
  static bool is_tag(uint16_t type) {
    return type == static_cast<uint16_t>(EtherType::Vlan) ||
           type == static_cast<uint16_t>(EtherType::ServiceVlan);
  }
  MacAddress mac(size_t offset) const {
    MacAddress m;
    std::memcpy(m.bytes.data(), at_ + offset, 6);
    return m;
  }
  const uint8_t* at_;
  uint8_t size_;
};

// "02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff, vlan 7, ethertype 0x0806"
std::string to_string(const EthernetView& ethernet);

}  // namespace wh::net
