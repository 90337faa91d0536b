#include "host/offload.h"

#include <algorithm>

#include "net/checksum.h"
#include "net/crc32c.h"
#include "net/wire/ethernet.h"
#include "net/wire/ip4.h"
#include "net/wire/ip6.h"

namespace wh::host {
namespace {

constexpr uint8_t kIcmp = 1, kTcp = 6, kUdp = 17, kIcmp6 = 58;

uint32_t transport_size(uint8_t protocol, std::span<const uint8_t> transport) {
  switch (protocol) {
    case kTcp: return transport.size() > 12 ? 4u * (transport[12] >> 4) : 0u;
    case kUdp:
    case kIcmp:
    case kIcmp6: return 8;
    default: return 0;
  }
}

// Whether kHeadRead bytes hold all headers, seen at a glance: IPv4 without options, no fragment,
// and TCP with room for a timestamp.
bool has_usual_headers(const uint8_t* frame) {
  return net::load16(frame + 12) == 0x0800 && frame[14] == 0x45 && frame[23] == kTcp &&
         (net::load16(frame + 20) & 0x1fff) == 0 && frame[46] >> 4 <= 8;
}

// Whether the work to do is TCP's of a frame without tags, options and extension headers, seen at a
// glance. REQUIRES: the checksum's place is in the packet.
bool is_of_usual_frame(const VirtioHeader& header, const net::Packet& packet) {
  constexpr uint32_t kAbove4 = 14 + 20, kAbove6 = 14 + 40;
  if (header.checksum_offset != 16 || packet.head_size() < header.checksum_start) return false;
  const uint8_t* frame = packet.data();
  const uint16_t type = net::load16(frame + 12);
  const uint8_t kind = header.kind();
  if (header.checksum_start == kAbove4) {
    return type == 0x0800 && frame[14] == 0x45 && frame[23] == kTcp &&
           (kind == VirtioHeader::kNoGso || kind == VirtioHeader::kGsoTcp4);
  }
  return header.checksum_start == kAbove6 && type == 0x86dd && frame[20] == kTcp &&
         (kind == VirtioHeader::kNoGso || kind == VirtioHeader::kGsoTcp6);
}

// Whether it is on the frame's own transport header, and not on one inside a tunnel.
bool is_of_transport(const VirtioHeader& header, std::span<const uint8_t> head) {
  const auto layout = lay_out(head);
  if (!layout) return false;
  const uint32_t offset = net::checksum_offset(layout->protocol);
  if (header.is_partial() && (header.checksum_start != layout->l4_offset || offset == 0 ||
                              header.checksum_offset != offset)) {
    return false;
  }
  return header.kind() == VirtioHeader::kNoGso ||
         header.kind() == segment_kind(layout->protocol, layout->is_v6);
}

// Wherever it is. False when the place cannot be made contiguous.
bool complete_at(uint32_t start, uint32_t offset, net::Packet& packet) {
  // By its place it is known whose checksum it is.
  constexpr uint32_t kInUdp = 6, kInSctp = 8;
  if (!packet.pullup(start + offset + (offset == kInSctp ? 4 : 2))) return false;
  if (offset == kInSctp) {
    // RFC 9260 section 6.8: of the packet with a checksum of zero.
    uint8_t* at = packet.data() + start + offset;
    net::store32(at, 0);
    net::Crc32c crc;
    packet.for_each_run(start, [&](std::span<const uint8_t> run) { crc.add(run); });
    net::store32(at, __builtin_bswap32(crc.value()));
    return true;
  }
  net::InternetSum sum;
  packet.for_each_run(start, [&](std::span<const uint8_t> run) { sum.add(run); });
  uint16_t value = sum.checksum();
  // RFC 768: a computed zero is sent as all ones. Elsewhere they mean the same.
  if (value == 0 && offset == kInUdp) value = 0xffff;
  net::store16(packet.data() + start + offset, value);
  return true;
}

Noted note(const VirtioHeader& header, net::Packet& packet) {
  packet.gso_size = header.kind() == VirtioHeader::kNoGso ? uint16_t{0} : header.gso_size;
  if (header.is_partial()) {
    packet.checksum = net::Checksum::Needed;
  } else if ((header.flags & VirtioHeader::kDataValid) != 0) {
    packet.checksum = net::Checksum::Verified;
  }
  return Noted::Done;
}

// Work of which it is not sure that it is on the frame's own transport header.
[[gnu::noinline]] Noted note_or_do(const VirtioHeader& header, net::Packet& packet) {
  if (is_of_transport(header, packet.head())) return note(header, packet);
  if (header.kind() != VirtioHeader::kNoGso) {
    return header.is_partial() ? Noted::Tunnelled : Noted::Senseless;
  }
  const bool is_complete = complete_at(header.checksum_start, header.checksum_offset, packet);
  return is_complete ? Noted::Done : Noted::Cannot;
}

}  // namespace

uint8_t segment_kind(uint8_t protocol, bool is_v6) {
  if (protocol == kUdp) return VirtioHeader::kGsoUdp;
  if (protocol != kTcp) return VirtioHeader::kNoGso;
  return is_v6 ? VirtioHeader::kGsoTcp6 : VirtioHeader::kGsoTcp4;
}

std::optional<HeaderLayout> lay_out(std::span<const uint8_t> head) {
  const auto ethernet = net::EthernetView::parse(head);
  if (!ethernet) return std::nullopt;
  HeaderLayout layout;
  layout.ip_offset = ethernet->header_size();
  const auto ip = head.subspan(layout.ip_offset);
  if (ethernet->type() == net::EtherType::Ip4) {
    const auto view = net::Ip4View::parse_quoted(ip);
    if (!view || view->fragment_offset() != 0) return std::nullopt;
    layout.protocol = view->protocol();
    layout.l4_offset = layout.ip_offset + view->header_size();
  } else if (ethernet->type() == net::EtherType::Ip6) {
    const auto view = net::Ip6View::parse_quoted(ip);
    net::Ip6Extensions chain;
    if (!view || view->extensions(chain) || chain.fragment.offset != 0) return std::nullopt;
    layout.is_v6 = true;
    layout.protocol = chain.protocol;
    layout.l4_offset = layout.ip_offset + chain.offset;
  } else {
    return std::nullopt;
  }
  if (layout.l4_offset > head.size()) return std::nullopt;
  layout.headers_end =
      layout.l4_offset + transport_size(layout.protocol, head.subspan(layout.l4_offset));
  return layout;
}

void make_headers_contiguous(net::Packet& packet) {
  // More than this no headers take: two tags, all of IPv4's options and all of TCP's.
  constexpr uint32_t kMostHeaders = 22 + 60 + 60;
  const uint32_t size = packet.size();
  if (has_usual_headers(packet.data())) return;
  // IPv6, or options: the headers are longer than what was read into the head.
  if (packet.data()[14] != 0x45) packet.pullup(std::min(kHeadRead + 20, size));
  const auto layout = lay_out(packet.head());
  packet.pullup(std::min(layout ? layout->headers_end : kMostHeaders, size));
}

Noted note_offload(const VirtioHeader& header, net::Packet& packet) {
  const bool is_partial = header.is_partial();
  const uint8_t kind = header.kind();
  if (!is_partial && kind == VirtioHeader::kNoGso) return note(header, packet);
  if (is_partial && uint32_t{header.checksum_start} + header.checksum_offset + 2 > packet.size()) {
    return Noted::Senseless;
  }
  const bool is_segment = kind == VirtioHeader::kGsoTcp4 || kind == VirtioHeader::kGsoTcp6 ||
                          kind == VirtioHeader::kGsoUdp;
  if (kind != VirtioHeader::kNoGso && (!is_segment || header.gso_size == 0)) {
    return Noted::Senseless;
  }
  if (is_partial && is_of_usual_frame(header, packet)) return note(header, packet);
  return note_or_do(header, packet);
}

std::optional<VirtioHeader> describe_offload(const net::Packet& packet) {
  VirtioHeader header;
  const bool is_partial = packet.checksum == net::Checksum::Needed;
  if (!is_partial && packet.gso_size == 0) {
    if (packet.checksum == net::Checksum::Verified) header.flags = VirtioHeader::kDataValid;
    return header;
  }
  const auto layout = lay_out(packet.head());
  if (!layout || layout->headers_end > packet.head_size()) return std::nullopt;
  if (is_partial) {
    const uint32_t offset = net::checksum_offset(layout->protocol);
    if (offset == 0) return std::nullopt;
    header.flags = VirtioHeader::kNeedsChecksum;
    header.checksum_start = static_cast<uint16_t>(layout->l4_offset);
    header.checksum_offset = static_cast<uint16_t>(offset);
  }
  if (packet.gso_size != 0) {
    header.gso_type = segment_kind(layout->protocol, layout->is_v6);
    if (header.gso_type == VirtioHeader::kNoGso) return std::nullopt;
    header.gso_size = packet.gso_size;
    header.header_size = static_cast<uint16_t>(layout->headers_end);
  }
  return header;
}

}  // namespace wh::host
