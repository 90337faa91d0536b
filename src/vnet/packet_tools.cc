#include "vnet/packet_tools.h"

#include "net/checksum.h"

namespace wh::vnet {

using net::ChunkRef;
using net::Packet;
using net::Slice;

std::optional<TransportPlace> find_offloaded(Packet& p, uint32_t ip_at) {
  // No more is made contiguous than is needed: payload stays where it is.
  pullup_most(p, ip_at + net::Ip4Header::kMinSize);
  if (p.head_size() < ip_at + net::Ip4Header::kMinSize) return std::nullopt;
  TransportPlace place;
  if (p.data()[ip_at] >> 4 == 4) {
    pullup_most(p, ip_at + (p.data()[ip_at] & 15u) * 4);
    const auto ip = net::Ip4View::parse_quoted(p.head().subspan(ip_at));
    if (!ip || ip->is_fragment()) return std::nullopt;
    place = {ip->protocol(), ip_at + ip->header_size(), ip_at + ip->total_length()};
  } else {
    pullup_most(p, ip_at + net::Ip6Header::kSize);
    const bool is_chain = net::Ip6View::is_extension(p.data()[ip_at + 6]);
    if (is_chain) pullup_most(p, p.size());
    const auto ip = net::Ip6View::parse_quoted(p.head().subspan(ip_at));
    net::Ip6Extensions extensions;
    if (!ip || ip->extensions(extensions) || extensions.has_fragment()) return std::nullopt;
    place = {extensions.protocol, ip_at + extensions.offset, ip_at + ip->total_length()};
  }
  const uint32_t field = net::checksum_offset(place.protocol);
  if (field == 0 || place.end > p.size() || place.offset + field + 2 > place.end)
    return std::nullopt;
  if (!p.pullup(place.offset + field + 2)) return std::nullopt;
  return place;
}

bool try_complete_checksum(Packet& p, uint32_t ip_at) {
  if (p.checksum != net::Checksum::Needed) return true;
  if (!find_offloaded(p, ip_at)) return false;
  net::complete_checksum(p, ip_at);
  return true;
}

void append_bytes(Packet& to, std::span<const uint8_t> bytes) {
  const size_t in_head = std::min<size_t>(bytes.size(), to.tailroom());
  if (in_head != 0) std::memcpy(to.append(static_cast<uint32_t>(in_head)), bytes.data(), in_head);
  const auto rest = bytes.subspan(in_head);
  if (!rest.empty()) {
    to.append(Slice{ChunkRef::copy_of(rest), 0, static_cast<uint32_t>(rest.size())});
  }
}

}  // namespace wh::vnet
