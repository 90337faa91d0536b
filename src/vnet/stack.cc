#include "vnet/stack.h"

#include "vnet/ping.h"
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
      pings(std::make_unique<PingTable>()),
      dad_timer(loop_, [this] { probe_addresses(); }) {
  register_settings(sysctl, settings);
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

namespace {

constexpr uint32_t kLoopbackMtu = 16384;

// The interface that a link-local destination is on, when only one can be meant.
const InterfaceEntry* sole_link(const InterfaceTable& interfaces) {
  const InterfaceEntry* found = nullptr;
  for (uint16_t i = 1; i < interfaces.size(); ++i) {
    if (!interfaces[i].is_up() || interfaces[i].link_local() == nullptr) continue;
    if (found != nullptr) return nullptr;
    found = &interfaces[i];
  }
  return found;
}

}  // namespace

std::optional<Route> Stack::route(const IpAddress& destination) const {
  const Adjacency& a = adjacencies[fib(destination.family).lookup(destination)];
  if (a.kind == AdjacencyKind::Local || is_local(destination)) {
    // To itself: nothing is ever sent, so nothing need be summed.
    return Route{.source = destination, .mtu = kLoopbackMtu, .checksum_offload = true};
  }
  const InterfaceEntry* out = nullptr;
  switch (a.kind) {
    case AdjacencyKind::Glean:
    case AdjacencyKind::Incomplete:
    case AdjacencyKind::Rewrite: out = &interfaces[a.interface]; break;
    case AdjacencyKind::LinkScope: out = sole_link(interfaces); break;
    case AdjacencyKind::NoRoute:
    case AdjacencyKind::Drop:
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
