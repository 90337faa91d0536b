#include "host/tunnel.h"

#include <algorithm>

#include "net/ip_service.h"
#include "net/wire/ethernet.h"
#include "net/wire/ip4.h"
#include "net/wire/ip6.h"
#include "net/wire/tcp.h"
#include "net/wire/udp.h"

namespace wh::host {
namespace {

using net::kProtocolTcp;
using net::kProtocolUdp;
using net::load16;
using net::store16;

constexpr uint8_t kProtocolIp4 = 4, kProtocolIp6 = 41, kProtocolGre = 47;
constexpr uint16_t kBridged = 0x6558;      // What follows is Ethernet (RFC 1701, RFC 8926).
constexpr uint8_t kGreHasChecksum = 0x80;  // Of its first byte (RFC 2784).

// The checksum at `field`, of all from `start`, begun with the sum of what is not in the packet.
void write_checksum(net::Packet& packet, uint32_t start, uint32_t field, net::InternetSum sum) {
  uint8_t* at = packet.data() + start + field;
  store16(at, 0);
  packet.for_each_run(start, [&](std::span<const uint8_t> run) { sum.add(run); });
  const uint16_t value = sum.checksum();
  // Zero in UDP would mean that there is none; all ones are the same elsewhere.
  store16(at, value == 0 ? uint16_t{0xffff} : value);
}

}  // namespace

std::optional<TunnelledSegment> TunnelledSegment::find(const VirtioHeader& header,
                                                       net::Packet& whole) {
  whole.pullup(std::min(whole.size(), kShortFrame));
  TunnelledSegment segment(header, whole);
  if (!segment.walk_ethernet(0)) return std::nullopt;
  return segment;
}

std::span<const uint8_t> TunnelledSegment::from(uint32_t at) const {
  const auto head = whole_.head();
  return head.subspan(std::min<size_t>(at, head.size()));
}

bool TunnelledSegment::walk_ethernet(uint32_t at) {
  const auto ethernet = net::EthernetView::parse(from(at));
  return ethernet &&
         walk_type(static_cast<uint16_t>(ethernet->type()), at + ethernet->header_size());
}

bool TunnelledSegment::walk_type(uint16_t ethernet_type, uint32_t at) {
  const auto bytes = from(at);
  if (bytes.empty()) return false;
  switch (ethernet_type) {
    case static_cast<uint16_t>(net::EtherType::Ip4): return bytes[0] >> 4 == 4 && walk_ip(at);
    case static_cast<uint16_t>(net::EtherType::Ip6): return bytes[0] >> 4 == 6 && walk_ip(at);
    case kBridged: return walk_ethernet(at);
    default: return false;
  }
}

bool TunnelledSegment::walk_ip(uint32_t at) {
  const auto bytes = from(at);
  const uint32_t size = whole_.size() - at;
  if (depth_ == kMostLayers || bytes.empty()) return false;
  Layer layer{.ip_at = at};
  const bool is_v6 = bytes[0] >> 4 == 6;
  if (is_v6) {
    const auto ip = net::Ip6View::parse(bytes, size);
    net::Ip6Extensions chain;
    if (!ip || ip->total_length() != size || ip->extensions(chain) || chain.has_fragment()) {
      return false;
    }
    layer.above_at = at + chain.offset;
    layer.protocol = chain.protocol;
  } else {
    const auto ip = net::Ip4View::parse(bytes, size);
    if (!ip || ip->total_length() != size || ip->is_fragment()) return false;
    layer.above_at = at + ip->header_size();
    layer.protocol = ip->protocol();
  }
  layers_[depth_++] = layer;
  if (layer.above_at == header_.checksum_start) {
    return ends_at(layer.protocol, is_v6, layer.above_at);
  }
  switch (layer.protocol) {
    case kProtocolIp4: return walk_type(static_cast<uint16_t>(net::EtherType::Ip4), layer.above_at);
    case kProtocolIp6: return walk_type(static_cast<uint16_t>(net::EtherType::Ip6), layer.above_at);
    case kProtocolGre: return walk_gre(layer.above_at);
    case kProtocolUdp: return walk_udp(layer.above_at);
    default: return false;
  }
}

// RFC 2784, and RFC 2890 but for sequence numbers, which each piece would need its own of.
bool TunnelledSegment::walk_gre(uint32_t at) {
  constexpr uint16_t kChecksum = kGreHasChecksum << 8, kKey = 0x2000;
  const auto gre = from(at);
  if (gre.size() < 4) return false;
  const uint16_t flags = load16(gre.data());
  if ((flags & ~(kChecksum | kKey)) != 0) return false;
  const uint32_t words = 1u + ((flags & kChecksum) != 0) + ((flags & kKey) != 0);
  return gre.size() >= 4 * words && walk_type(load16(&gre[2]), at + 4 * words);
}

// What a datagram carries is known by its port, to those who chose it. It is tried here, and only
// what leads to the very place that the kernel named is right.
bool TunnelledSegment::walk_udp(uint32_t at) {
  const uint32_t size = whole_.size() - at, inside = at + net::UdpHeader::kSize;
  const auto udp = net::UdpView::parse(from(at), size);
  const auto bytes = from(inside);
  constexpr uint32_t kTunnelHeader = 8;  // VXLAN's (RFC 7348), Geneve's before options (RFC 8926).
  constexpr uint8_t kVxlanHasNumber = 0x08;
  if (!udp || udp->length() != size || bytes.size() < kTunnelHeader) return false;
  const uint32_t depth = depth_;
  const uint32_t options = 4u * (bytes[0] & 0x3f);
  if (bytes[0] >> 6 == 0 && walk_type(load16(&bytes[2]), inside + kTunnelHeader + options)) {
    return true;
  }
  depth_ = depth;
  if ((bytes[0] & kVxlanHasNumber) != 0 && walk_ethernet(inside + kTunnelHeader)) return true;
  depth_ = depth;
  return walk_ip(inside);  // IP itself, in UDP for the sake of those who balance load by ports.
}

bool TunnelledSegment::ends_at(uint8_t protocol, bool is_v6, uint32_t at) {
  if (header_.checksum_offset != net::checksum_offset(protocol)) return false;
  if (protocol == kProtocolTcp) {
    const auto tcp = net::TcpView::parse(from(at), whole_.size() - at);
    if (!tcp) return false;
    headers_ = at + tcp->header_size();
  } else {
    if (protocol != kProtocolUdp || from(at).size() < net::UdpHeader::kSize) return false;
    headers_ = at + net::UdpHeader::kSize;
  }
  return header_.kind() == segment_kind(protocol, is_v6) && headers_ <= kShortFrame &&
         headers_ < whole_.size();
}

void TunnelledSegment::next(net::Packet& piece) {
  CHECK(!is_done());
  const uint32_t at = headers_ + next_.offset;
  const uint32_t size = std::min<uint32_t>(header_.gso_size, whole_.size() - at);
  next_.is_last = at + size == whole_.size();
  std::memcpy(piece.append(headers_), whole_.data(), headers_);
  net::append_range(piece, whole_, at, size);
  for (uint32_t i = depth_; i-- > 0;) mend(piece, layers_[i], next_);
  if (next_.is_last) return;
  ++next_.index;
  next_.offset += size;
}

void TunnelledSegment::mend(net::Packet& piece, const Layer& layer, const net::Piece& which) const {
  uint8_t* ip = piece.data() + layer.ip_at;
  uint8_t* above = piece.data() + layer.above_at;
  const uint32_t length = piece.size() - layer.above_at;
  const bool is_innermost = layer.above_at == header_.checksum_start;
  net::mend_ip(ip, which, piece.size() - layer.ip_at);
  if (layer.protocol == kProtocolGre) {
    if ((above[0] & kGreHasChecksum) != 0) write_checksum(piece, layer.above_at, 4, {});
    return;
  }
  if (layer.protocol == kProtocolUdp) {
    store16(above + 4, static_cast<uint16_t>(length));
    if (!is_innermost && load16(above + 6) == 0) return;
  } else if (layer.protocol == kProtocolTcp) {
    net::mend_tcp(above, which);
  } else {
    return;
  }
  write_checksum(piece, layer.above_at, net::checksum_offset(layer.protocol),
                 net::pseudo_header_at(ip, layer.protocol, length));
}

}  // namespace wh::host
