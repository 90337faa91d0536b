#include "net/link/glance.h"

#include "net/ip_service.h"
#include "net/wire/ethernet.h"
#include "net/wire/ip4.h"
#include "net/wire/ip6.h"

namespace wh::net {
namespace {

bool look_at_ip4(const Packet& packet, Glance& g) {
  const auto ip = Ip4View::parse(packet.head().subspan(g.ip_offset), packet.size() - g.ip_offset);
  if (!ip) return false;
  g.flow.source = ip->source();
  g.flow.destination = ip->destination();
  g.flow.protocol = ip->protocol();
  g.transport_offset = g.ip_offset + ip->header_size();
  g.transport_size = ip->payload_size();
  g.traffic_class = ip->tos();
  g.is_fragment = ip->is_fragment();
  return true;
}

bool look_at_ip6(const Packet& packet, Glance& g) {
  const auto ip = Ip6View::parse(packet.head().subspan(g.ip_offset), packet.size() - g.ip_offset);
  if (!ip) return false;
  Ip6Extensions extensions;
  if (ip->extensions(extensions)) return false;
  g.flow.source = ip->source();
  g.flow.destination = ip->destination();
  g.flow.protocol = extensions.protocol;
  g.transport_offset = g.ip_offset + extensions.offset;
  g.transport_size = ip->total_length() - extensions.offset;
  g.traffic_class = ip->traffic_class();
  g.is_fragment = extensions.has_fragment() && !extensions.fragment.is_atomic();
  return true;
}

}  // namespace

std::optional<Glance> glance_at(const Packet& packet) {
  const auto ethernet = EthernetView::parse(packet.head());
  if (!ethernet) return std::nullopt;
  Glance g;
  g.ip_offset = ethernet->header_size();
  const bool is_ip = ethernet->type() == EtherType::Ip4   ? look_at_ip4(packet, g)
                     : ethernet->type() == EtherType::Ip6 ? look_at_ip6(packet, g)
                                                          : false;
  if (!is_ip) return std::nullopt;
  const bool has_ports = g.flow.protocol == kProtocolTcp || g.flow.protocol == kProtocolUdp;
  if (has_ports && !g.is_fragment && g.transport_size >= 4 &&
      g.transport_offset + 4 <= packet.head_size()) {
    g.flow.source_port = load16(packet.data() + g.transport_offset);
    g.flow.destination_port = load16(packet.data() + g.transport_offset + 2);
  }
  return g;
}

uint64_t hash_of(const FlowKey& key, uint64_t salt) {
  const auto mix = [](uint64_t h) {
    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u;
    h = (h ^ (h >> 27)) * 0x94d049bb133111ebu;
    return h ^ (h >> 31);
  };
  const std::hash<IpAddress> address;
  const uint64_t ports = uint64_t{key.source_port} << 24 | uint64_t{key.destination_port} << 8;
  uint64_t h = mix(salt + address(key.source));
  h = mix(h + address(key.destination));
  return mix(h + (ports | key.protocol));
}

bool mark_congestion(Packet& packet) {
  const auto g = glance_at(packet);
  if (!g || (g->traffic_class & 3) == kEcnNotCapable) return false;
  const auto header = packet.head().subspan(g->ip_offset);
  if (g->flow.source.is_v4()) {
    set_ip4_ecn(header, kEcnCongestionExperienced);
  } else {
    set_ip6_ecn(header, kEcnCongestionExperienced);
  }
  return true;
}

}  // namespace wh::net
