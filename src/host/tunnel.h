// A long segment that a tunnel carries, cut into frames.
//
//   Ethernet | IP | UDP  VXLAN or Geneve | Ethernet | IP | TCP or UDP | payload of many segments
//   Ethernet | IP | UDP or GRE ----------------------- IP | TCP or UDP | payload of many segments
//   Ethernet | IP | IP | TCP or UDP | ...
//
// The kernel's virtio header says where the innermost transport header is and how long each piece's
// payload; what lies before it must be found. It is walked from the frame's beginning, and believed
// only if each IP header's length ends with the frame, IPv4's checksums are right and the walk ends
// at that very place. Each piece then has every header of the whole, mended from the inside out:
// what net/segment.h says, UDP's length, and the checksums of TCP, UDP and GRE where they are used.
//
// No header describes such a segment to the kernel again, as the frame's own transport is the
// tunnel's; whole it would be cut as if that were meant.
#pragma once

#include <array>
#include <optional>

#include "host/offload.h"
#include "net/packet.h"
#include "net/segment.h"

namespace wh::host {

class TunnelledSegment {
 public:
  // Nothing when it is not understood: GRE with a sequence number, fragments, another tunnel.
  // REQUIRES: note_offload() says Tunnelled; the packet outlives this.
  static std::optional<TunnelledSegment> find(const VirtioHeader& header, net::Packet& whole);

  bool is_done() const { return next_.is_last; }
  // Writes the next piece to a packet that is empty. REQUIRES: not done.
  void next(net::Packet& piece);

 private:
  // IP headers in one another.
  static constexpr uint32_t kMostLayers = 4;
  struct Layer {
    uint32_t ip_at = 0, above_at = 0;
    uint8_t protocol = 0;  // Above IP.
  };

  TunnelledSegment(const VirtioHeader& header, const net::Packet& whole)
      : header_(header), whole_(whole) {}
  // Each says whether the walk from that header, `at` bytes behind the frame's first, ends well.
  bool walk_ethernet(uint32_t at);
  bool walk_ip(uint32_t at);
  bool walk_gre(uint32_t at);
  bool walk_udp(uint32_t at);
  bool walk_type(uint16_t ethernet_type, uint32_t at);
  bool ends_at(uint8_t protocol, bool is_v6, uint32_t at);
  std::span<const uint8_t> from(uint32_t at) const;
  void mend(net::Packet& piece, const Layer& layer, const net::Piece& which) const;

  VirtioHeader header_;
  const net::Packet& whole_;
  std::array<Layer, kMostLayers> layers_;  // Outermost first.
  uint32_t depth_ = 0;
  uint32_t headers_ = 0;  // Bytes of all.
  net::Piece next_;       // After the last piece, that one.
};

}  // namespace wh::host
