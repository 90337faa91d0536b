#include "host/offload.h"

#include <algorithm>

#include "net/checksum.h"
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

}  // namespace

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

bool note_offload(const VirtioHeader& header, net::Packet& packet) {
  const bool is_partial = (header.flags & VirtioHeader::kNeedsChecksum) != 0;
  if (is_partial && uint32_t{header.checksum_start} + header.checksum_offset + 2 > packet.size()) {
    return false;
  }
  const int kind = header.gso_type & ~VirtioHeader::kGsoEcn;
  const bool is_segment = kind == VirtioHeader::kGsoTcp4 || kind == VirtioHeader::kGsoTcp6 ||
                          kind == VirtioHeader::kGsoUdp;
  if (kind != VirtioHeader::kNoGso && (!is_segment || header.gso_size == 0)) return false;
  if (is_segment) packet.gso_size = header.gso_size;
  if (is_partial) {
    packet.checksum = net::Checksum::Needed;
  } else if ((header.flags & VirtioHeader::kDataValid) != 0) {
    packet.checksum = net::Checksum::Verified;
  }
  return true;
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
    if (layout->protocol == kUdp) {
      header.gso_type = VirtioHeader::kGsoUdp;
    } else if (layout->protocol == kTcp) {
      header.gso_type = layout->is_v6 ? VirtioHeader::kGsoTcp6 : VirtioHeader::kGsoTcp4;
    } else {
      return std::nullopt;
    }
    header.gso_size = packet.gso_size;
    header.header_size = static_cast<uint16_t>(layout->headers_end);
  }
  return header;
}

}  // namespace wh::host
