// The Internet checksum (RFC 1071), of bytes, of packets, and mended in place (RFC 1624).
//
// A sum is kept as one's complement of 16-bit words in memory order: the sum of swapped words is
// the swapped sum (RFC 1071 section 2B), so bytes are swapped once, at the end. Words may be added
// in any order and width, and a run of odd length shifts those behind it by a byte, which again is
// a swap. Values that go in and come out are in host order, as load16 and store16 have them.
//
// A packet whose Checksum is Needed holds the folded pseudo-header sum in its transport checksum
// field, as the kernel's "partial" checksums do; complete_checksum() adds the rest. Packets that
// never leave the process never pay for it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "net/address.h"
#include "net/packet.h"
#include "net/wire/wire.h"

namespace wh::net {

// The bytes' sum, not yet folded, by the widest vectors that this processor has. An odd last byte
// is the first of a word whose second is zero.
uint64_t sum_bytes(std::span<const uint8_t> bytes);
// The same by the RFC's own loop; what the fast ones are tested against.
uint64_t sum_bytes_plainly(std::span<const uint8_t> bytes);

// A sum folded to 16 bits, in memory order.
constexpr uint16_t fold(uint64_t sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

class InternetSum {
 public:
  // Appends bytes to what was summed so far. Any length will do.
  void add(std::span<const uint8_t> bytes) {
    const uint16_t part = fold(sum_bytes(bytes));
    sum_ += odd_ ? __builtin_bswap16(part) : part;
    odd_ = odd_ != (bytes.size() % 2 != 0);
  }
  // Adds words at an even place, in host order.
  void add16(uint16_t word) { sum_ += swap16(word); }
  void add32(uint32_t words) { sum_ += swap32(words); }

  // What is stored where a device or complete_checksum() goes on.
  uint16_t folded() const { return swap16(fold(sum_)); }
  // What is stored in a header; 0 when the bytes added include a right checksum.
  uint16_t checksum() const { return static_cast<uint16_t>(~folded()); }

 private:
  uint64_t sum_ = 0;
  bool odd_ = false;
};

inline uint16_t checksum_of(std::span<const uint8_t> bytes) {
  InternetSum sum;
  sum.add(bytes);
  return sum.checksum();
}

// The same for an IPv4 header: small, and a multiple of four bytes.
inline uint16_t header_checksum(std::span<const uint8_t> header) {
  uint64_t sum = 0;
  for (size_t i = 0; i + 4 <= header.size(); i += 4) {
    uint32_t words;
    std::memcpy(&words, header.data() + i, 4);
    sum += words;
  }
  return swap16(static_cast<uint16_t>(~fold(sum)));
}

// The pseudo-header (RFC 9293 section 3.1, RFC 8200 section 8.1). `length` is of transport header
// and payload.
inline InternetSum pseudo_header(Ip4 source, Ip4 destination, uint8_t protocol, uint32_t length) {
  InternetSum sum;
  sum.add32(source.value);
  sum.add32(destination.value);
  sum.add32(length);
  sum.add16(protocol);
  return sum;
}
inline InternetSum pseudo_header(const Ip6& source, const Ip6& destination, uint8_t protocol,
                                 uint32_t length) {
  InternetSum sum;
  for (size_t i = 0; i < 16; i += 4) {
    sum.add32(load32(source.bytes.data() + i));
    sum.add32(load32(destination.bytes.data() + i));
  }
  sum.add32(length);
  sum.add16(protocol);
  return sum;
}
// REQUIRES: both addresses are of one family.
inline InternetSum pseudo_header(const IpAddress& source, const IpAddress& destination,
                                 uint8_t protocol, uint32_t length) {
  CHECK(source.family == destination.family);
  return source.is_v4() ? pseudo_header(source.v4(), destination.v4(), protocol, length)
                        : pseudo_header(source.v6(), destination.v6(), protocol, length);
}

// The checksum after a word that it covers changed from `from` to `to` (RFC 1624 section 3,
// equation 3). A UDP checksum that comes out as 0 is sent as 0xffff.
constexpr uint16_t update_checksum(uint16_t checksum, uint16_t from, uint16_t to) {
  uint32_t sum = uint32_t{static_cast<uint16_t>(~checksum)} + static_cast<uint16_t>(~from) + to;
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}
constexpr uint16_t update_checksum32(uint16_t checksum, uint32_t from, uint32_t to) {
  checksum =
      update_checksum(checksum, static_cast<uint16_t>(from >> 16), static_cast<uint16_t>(to >> 16));
  return update_checksum(checksum, static_cast<uint16_t>(from), static_cast<uint16_t>(to));
}

// Where in its transport header a protocol keeps its checksum; 0 for one that has none known here.
constexpr uint32_t checksum_offset(uint8_t protocol) {
  switch (protocol) {
    case 6: return 16;  // TCP
    case 17: return 6;  // UDP
    case 1:
    case 58: return 2;  // ICMP, ICMPv6
    default: return 0;
  }
}

// The value that completes a packet's transport checksum, and where it goes, from data(). The IP
// header is at `ip_offset`. Nothing where its headers, whoever made them, have no place for it
// within the head, and for a fragment.
struct ChecksumField {
  uint32_t offset;
  uint16_t value;
};
std::optional<ChecksumField> finished_checksum(const Packet& packet, uint32_t ip_offset);

// Completes a transport checksum that is Needed and marks the packet Verified; nothing for any
// other packet. The IP header is at `ip_offset`. REQUIRES: finished_checksum() has something.
void complete_checksum(Packet& packet, uint32_t ip_offset);
// The same of a packet that begins with an Ethernet header, whoever made it. False: it is Needed
// still, for its headers have no place for it.
[[nodiscard]] bool try_complete_checksum(Packet& packet);

// Whether the transport checksum of a packet that IP delivered is right. data() is at the IP
// header, l4_offset at the transport header, as IpProtocol::input has them. True at once for a
// packet that is Verified or never left the process, and for UDP over IPv4 without a checksum (RFC
// 768). Marks a right one Verified.
bool verify_transport(Packet& packet, uint8_t protocol);

}  // namespace wh::net
