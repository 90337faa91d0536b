// What is left for the other side to do on a packet, as the kernel writes it before each frame of
// a TAP opened with IFF_VNET_HDR or a packet socket with PACKET_VNET_HDR (virtio 1.2 section 5.1.6;
// linux/virtio_net.h is not C++).
//
//   Packet                          virtio header
//   Checksum::Needed          <->   NEEDS_CSUM, and where the checksum begins and is stored
//   Checksum::Verified        <->   DATA_VALID
//   gso_size, a TCP segment   <->   GSO_TCPV4 or GSO_TCPV6, gso_size, size of all headers
//   gso_size, UDP datagrams   <->   GSO_UDP_L4, the same
//
// Both sides leave the pseudo-header's sum in the checksum field of a packet that is Needed. So a
// 64 KiB segment crosses the border in one system call, and is summed and cut by whoever does it
// for nothing, or never.
//
// All this is about the frame's own transport header. A header from the kernel may also mean one
// inside a tunnel (VXLAN, GRE), whose place a packet has no note for: such a checksum is completed
// at once, and such a segment is cut at once (host/tunnel.h).
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "net/packet.h"

namespace wh::host {

// struct virtio_net_hdr; numbers in the machine's own byte order.
struct VirtioHeader {
  static constexpr uint8_t kNeedsChecksum = 1, kDataValid = 2;                   // flags
  static constexpr uint8_t kNoGso = 0, kGsoTcp4 = 1, kGsoTcp6 = 4, kGsoUdp = 5;  // gso_type
  static constexpr uint8_t kGsoEcn = 0x80;  // With either: the first part alone may carry CWR.
  uint8_t flags = 0;
  uint8_t gso_type = kNoGso;
  uint16_t header_size = 0;      // Of all headers of a segment that is to be cut.
  uint16_t gso_size = 0;         // Payload of each part.
  uint16_t checksum_start = 0;   // From the frame's first byte.
  uint16_t checksum_offset = 0;  // From checksum_start, where the sum is stored.

  bool is_partial() const { return (flags & kNeedsChecksum) != 0; }
  uint8_t kind() const { return gso_type & static_cast<uint8_t>(~kGsoEcn); }
};
static_assert(sizeof(VirtioHeader) == 10);

// What the kernel calls a long segment of the protocol; kNoGso: there are none.
uint8_t segment_kind(uint8_t protocol, bool is_v6);

// Where the headers of an Ethernet frame are.
struct HeaderLayout {
  bool is_v6 = false;
  uint8_t protocol = 0;  // Above IP.
  uint32_t ip_offset = 0;
  uint32_t l4_offset = 0;
  uint32_t headers_end = 0;  // After TCP's options, UDP or ICMP; for others, at l4_offset.
};
// Looks at structure only: enough to know how many bytes are headers, not whether they are right.
// Nothing for what is not IP, is a later fragment, or does not have its headers in `head`.
std::optional<HeaderLayout> lay_out(std::span<const uint8_t> head);

// A device reads a frame's first kHeadRead bytes into a packet's head (Ethernet, IPv4 and TCP with
// a timestamp: the headers of nearly every long frame, and no more, so that the payload begins
// where its chunk does), and a frame of at most kShortFrame bytes whole.
constexpr uint32_t kHeadRead = 66;
constexpr uint32_t kShortFrame = net::Packet::kHeadCapacity - net::Packet::kHeadroom;
constexpr uint32_t kLargestSegment = 65536;
// Payload of the longest segment: IPv4's length field counts its own header and TCP's.
constexpr uint32_t kMaxGso = 65535 - 60 - 60;
// Moves the rest of longer headers into the head. REQUIRES: at least kHeadRead bytes are there.
void make_headers_contiguous(net::Packet& packet);

enum class Noted : uint8_t {
  Done,       // On the packet, or a checksum that no note fits is complete.
  Senseless,  // A place beyond the packet's end, a kind that was not asked for, a size of zero.
  Cannot,     // A checksum too far behind the frame's beginning to be completed.
  Tunnelled,  // A segment inside a tunnel: to be cut.
};
// Notes on the packet what the header says, if it is Done. REQUIRES: nobody else refers to the
// packet's bytes.
Noted note_offload(const VirtioHeader& header, net::Packet& packet);

// The header for a packet that begins with its Ethernet header. Nothing when it asks for work that
// the header cannot express: no TCP, UDP or ICMPv6 header is contiguous in its head.
std::optional<VirtioHeader> describe_offload(const net::Packet& packet);

}  // namespace wh::host
