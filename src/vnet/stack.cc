#include "vnet/stack.h"

#include <algorithm>

#include "vnet/acl.h"
#include "vnet/bridge.h"
#include "vnet/nat44.h"
#include "vnet/ping.h"
#include "vnet/policer.h"
#include "vnet/router_advertisements.h"
#include "vnet/udp.h"

namespace wh::vnet {

using net::IpAddress;
using net::IpError;
using net::Route;

Stack::Stack(Loop& loop_, net::PacketPool& pool_, Random random_, graph::Graph::Config graph_config)
    : loop(loop_),
      pool(pool_),
      random(random_),
      graph(loop_, std::move(graph_config)),
      paths(*this),
      pings(std::make_unique<PingTable>()),
      dad_timer(loop_, [this] { probe_addresses(); }) {
  register_settings(sysctl, settings);
  MUST(add_vrf(0));  // The first.
  next_ip_id = static_cast<uint16_t>(random.next());
}

Stack::~Stack() = default;

bool Stack::deliver_error(const IpError& error, uint8_t protocol) {
  switch (protocol) {
    case net::kProtocolIcmp:
    case net::kProtocolIcmp6: return pings->error(error);
    case net::kProtocolUdp: return udp->error(error);
    default:
      if (protocols[protocol] == nullptr) return false;
      protocols[protocol]->error(error);
      return true;
  }
}

Result<uint16_t> Stack::find_vrf(uint32_t id) const {
  for (size_t i = 0; i < vrfs.size(); ++i) {
    if (vrfs[i]->is_there && vrfs[i]->id == id) return static_cast<uint16_t>(i);
  }
  return fail("no VRF {}", id);
}

// Ranges that mean the same on every host (RFC 6890).
Result<uint16_t> Stack::add_vrf(uint32_t id) {
  auto slot = std::find_if(vrfs.begin(), vrfs.end(), [](const auto& v) { return !v->is_there; });
  if (slot - vrfs.begin() >= static_cast<ptrdiff_t>(kMaxVrfs)) {
    return fail("VRF {}: at most {} at once", id, kMaxVrfs);
  }
  if (slot == vrfs.end()) slot = vrfs.emplace(slot);
  *slot = std::make_unique<Vrf>();
  (*slot)->id = id;
  const auto index = static_cast<uint16_t>(slot - vrfs.begin());
  auto special = [&](const IpAddress& address, uint8_t length, AdjacencyIndex adjacency) {
    fib(address.family, index).set({address, length}, RouteSource::Special, adjacency);
  };
  using net::Ip4, net::Ip6;
  special(Ip4::of(0, 0, 0, 0), 8, kDropAlways);
  special(Ip4::of(127, 0, 0, 0), 8, kLocal);
  special(Ip4::of(224, 0, 0, 0), 4, kDropAlways);
  special(Ip4::of(224, 0, 0, 1), 32, kLocalMulticast);
  special(Ip4::of(240, 0, 0, 0), 4, kDropAlways);
  special(Ip4::of(255, 255, 255, 255), 32, kLocalMulticast);
  Ip6 loopback, link_local, multicast;
  loopback.bytes[15] = 1;
  link_local.bytes = {0xfe, 0x80};
  multicast.bytes = {0xff};
  special(Ip6{}, 128, kDropAlways);
  special(loopback, 128, kLocal);
  special(link_local, 10, kLinkScope);
  special(multicast, 8, kLinkScope);
  auto changed = [this, index](const net::Prefix& p) { paths.route_changed(index, p); };
  (*slot)->fib4.on_change(changed);
  (*slot)->fib6.on_change(changed);
  return index;
}

void Stack::drop_held_of_interface(uint16_t interface) {
  const auto is_of_it = [&](const net::Packet& p) {
    return p.interface == interface || p.rx_interface == interface;
  };
  for (PacketHolder* holder : holders) holder->drop_held(is_of_it);
}

void Stack::drop_held_of_vrf(uint16_t vrf) {
  const auto is_of_it = [&](const net::Packet& p) {
    return p.rx_interface == kLocalInterface && p.table == vrf;
  };
  for (PacketHolder* holder : holders) holder->drop_held(is_of_it);
}

namespace {

constexpr uint32_t kLoopbackMtu = 16384;

// The interface of a VRF that a link-local destination is on, when only one can be meant.
const InterfaceEntry* sole_link(const InterfaceTable& interfaces, uint16_t vrf) {
  const InterfaceEntry* found = nullptr;
  for (uint16_t i = 1; i < interfaces.size(); ++i) {
    if (interfaces[i].vrf != vrf || !interfaces[i].is_up()) continue;
    if (interfaces[i].link_local() == nullptr) continue;
    if (found != nullptr) return nullptr;
    found = &interfaces[i];
  }
  return found;
}

}  // namespace

std::optional<Route> Stack::route(const IpAddress& destination, uint16_t vrf) const {
  if (!has_vrf(vrf)) return std::nullopt;
  // Of a balance any way will do: they differ in nothing that is told here, or the path MTU tells.
  const AdjacencyIndex way = adjacencies.pick(fib(destination.family, vrf).lookup(destination), 0);
  const Adjacency& a = adjacencies[way];
  if (a.kind == AdjacencyKind::Local || is_local(destination, vrf)) {
    // To itself: nothing is ever sent, so nothing need be summed.
    return Route{.source = destination, .mtu = kLoopbackMtu, .checksum_offload = true};
  }
  const InterfaceEntry* out = nullptr;
  switch (a.kind) {
    case AdjacencyKind::Glean:
    case AdjacencyKind::Incomplete:
    case AdjacencyKind::Rewrite: out = &interfaces[a.interface]; break;
    case AdjacencyKind::LinkScope: out = sole_link(interfaces, vrf); break;
    case AdjacencyKind::NoRoute:
    case AdjacencyKind::Drop:
    case AdjacencyKind::Balance:
    case AdjacencyKind::Local: break;
  }
  if (out == nullptr || out->device == nullptr) return std::nullopt;
  const IpAddress* source = out->source_for(destination);
  if (source == nullptr) return std::nullopt;
  const net::Interface::Config& config = out->device->config();
  return Route{*source, config.mtu, config.checksum_offload, config.max_gso};
}

std::string describe_adjacency(const Stack& stack, AdjacencyIndex index) {
  const Adjacency& a = stack.adjacencies[index];
  const IpAddress& via = stack.adjacencies.next_hop(index);
  const std::string& interface = stack.interfaces[a.interface].name;
  const char* family = via.is_v4() ? "ipv4" : "ipv6";
  switch (a.kind) {
    case AdjacencyKind::NoRoute: return "dpo-drop no route";
    case AdjacencyKind::Drop: return "dpo-drop";
    case AdjacencyKind::Local: return "dpo-receive";
    case AdjacencyKind::LinkScope: return "dpo-link-scope";
    case AdjacencyKind::Glean: return fmt::format("glean: {} mtu:{}", interface, a.mtu);
    case AdjacencyKind::Incomplete:
      return fmt::format("arp-{}: via {} {}", family, to_string(via), interface);
    case AdjacencyKind::Balance: {
      std::string ways;
      for (const NextHop& hop : stack.paths.hops(index)) {
        ways += fmt::format("{}{} weight {}", ways.empty() ? "" : ", ", to_string(hop.address),
                            hop.weight);
      }
      return fmt::format("{} load-balance: via {}", family, ways);
    }
    case AdjacencyKind::Rewrite: {
      std::string hex;
      for (uint32_t i = 0; i < a.rewrite_size; ++i) hex += fmt::format("{:02x}", a.rewrite[i]);
      return fmt::format("{} via {} {}: mtu:{} next:{} flags:[] {}", family, to_string(via),
                         interface, a.mtu, stack.interfaces[a.interface].tx_arc, hex);
    }
  }
  UNREACHABLE();
}

}  // namespace wh::vnet
