#include "vnet/vnet.h"

#include <algorithm>

#include "vnet/addresses.h"
#include "vnet/nodes.h"

namespace wh::vnet {

using net::Family;
using net::Frame;
using net::Ip4;
using net::Ip6;
using net::IpAddress;
using net::Packet;
using net::PacketPtr;
using net::Prefix;

Vnet::Vnet(Config config, Loop& loop, net::PacketPool& pool, Random random)
    : config_(std::move(config)),
      stack_(std::make_unique<Stack>(loop, pool, random,
                                     graph::Graph::Config{.cycles = config_.cycles})) {
  Stack& s = *stack_;
  add_ethernet_nodes(s);
  add_gso_node(s);
  add_arp_nodes(s);
  add_ip4_nodes(s);
  add_ip4_local_nodes(s);
  add_ip6_nodes(s);
  add_ip6_local_nodes(s);
  add_nd_nodes(s);
  add_icmp4_nodes(s);
  add_icmp6_nodes(s);
  add_icmp_error_nodes(s);
  add_udp_nodes(s);
  add_fragment_nodes(s);
  add_reassembly_nodes(s);
  MUST(s.graph.link());  // Every name above is one of the names above.
  s.graph.on_drop([&s](const Packet& p) {
    if (p.interface < s.interfaces.size()) ++s.interfaces[p.interface].drops;
  });
  add_specials();
  publish_counters();
}

Vnet::~Vnet() {
  for (uint16_t i = 1; i < stack_->interfaces.size(); ++i) {
    if (net::Interface* device = stack_->interfaces[i].device) device->attach(nullptr);
  }
}

// Ranges that mean the same on every host (RFC 6890).
void Vnet::add_specials() {
  auto special = [&](const IpAddress& address, uint8_t length, AdjacencyIndex adjacency) {
    stack_->fib(address.family).set({address, length}, RouteSource::Special, adjacency);
  };
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
}

// --- interfaces ---

Result<uint16_t> Vnet::attach(net::Interface& interface) {
  InterfaceEntry& entry = *TRY(stack_->interfaces.add(interface));
  add_tx_node(*stack_, entry);
  publish_counters();
  publish_interface(entry);
  interface.attach(this);
  Ip6 all_nodes;
  all_nodes.bytes = {0xff, 0x02};
  all_nodes.bytes[15] = 1;
  entry.groups.push_back(all_nodes);
  if (stack_->settings.ip6_auto_linklocal != 0) {
    const Ip6 address = Ip6::link_local(interface.mac());
    if (auto added = vnet::add_address(*stack_, entry, {address, 64}); !added) {
      // Two interfaces with one MAC address: the second goes without.
      return entry.index;
    }
    stack_->graph.run();
  }
  return entry.index;
}

Result<void> Vnet::detach(uint16_t index) {
  InterfaceEntry& entry = *TRY(stack_->interfaces.attached(index));
  const auto routes = static_routes_;
  for (const StaticRoute& r : routes) {
    if (r.interface == index) TRY(remove_route(r.prefix));
  }
  while (!entry.addresses.empty()) {
    TRY(vnet::remove_address(*stack_, entry, IpAddress(entry.addresses[0].prefix.address)));
  }
  stack_->arp->flush(index);
  stack_->nd->flush(index);
  stack_->sysctl.remove("net.link.generic.ifdata." + entry.name);
  entry.device->attach(nullptr);
  stack_->graph
      .run();  // What waited for neighbours is answered while its interface is still known.
  stack_->interfaces.detach(index);
  return {};
}

Result<void> Vnet::set_up(uint16_t index, bool up) {
  InterfaceEntry& entry = *TRY(stack_->interfaces.attached(index));
  entry.device->set_up(up);
  return {};
}

Result<void> Vnet::set_mtu(uint16_t index, uint32_t mtu) {
  InterfaceEntry& entry = *TRY(stack_->interfaces.attached(index));
  // RFC 791 section 3.2 demands 68; IPv6 wants 1280 (RFC 8200 section 5) and cuts or refuses below.
  if (mtu < 68 || mtu > 65535) return fail("mtu {}; accepted: 68..65535", mtu);
  entry.device->set_mtu(mtu);
  stack_->adjacencies.set_mtu(index, mtu);
  return {};
}

Result<void> Vnet::add_address(uint16_t index, const Prefix& prefix) {
  InterfaceEntry& entry = *TRY(stack_->interfaces.attached(index));
  TRY(vnet::add_address(*stack_, entry, prefix));
  stack_->graph.run();
  return {};
}

Result<void> Vnet::remove_address(uint16_t index, const IpAddress& address) {
  InterfaceEntry& entry = *TRY(stack_->interfaces.attached(index));
  TRY(vnet::remove_address(*stack_, entry, address));
  stack_->graph.run();
  return {};
}

const InterfaceTable& Vnet::interfaces() const {
  return stack_->interfaces;
}

// --- routes and neighbours ---

Result<void> Vnet::add_static(StaticRoute route, AdjacencyIndex adjacency) {
  route.prefix = route.prefix.network();
  // The old one goes after the new one is in place, so that no packet finds neither.
  const auto old = std::find_if(static_routes_.begin(), static_routes_.end(),
                                [&](const StaticRoute& r) { return r.prefix == route.prefix; });
  stack_->fib(route.prefix.address.family).set(route.prefix, RouteSource::Static, adjacency);
  if (old != static_routes_.end()) {
    if (old->interface != 0) {
      NeighbourTable& table = stack_->neighbours(old->next_hop.family);
      table.release(*table.find(old->interface, old->next_hop));
    }
    *old = route;
  } else {
    static_routes_.push_back(route);
  }
  return {};
}

Result<void> Vnet::add_route(const Prefix& prefix, const IpAddress& next_hop, uint16_t interface) {
  const std::string what = fmt::format("route {} via {}", to_string(prefix), to_string(next_hop));
  if (prefix.address.family != next_hop.family) return fail("{}: two families", what);
  if (is_local(next_hop)) return fail("{}: that is this host", what);
  if (interface == 0) {
    const AdjacencyIndex link = stack_->fib(next_hop.family).lookup(next_hop);
    const Adjacency& a = stack_->adjacencies[link];
    const bool is_neighbour =
        a.kind == AdjacencyKind::Incomplete || a.kind == AdjacencyKind::Rewrite;
    if (a.kind == AdjacencyKind::Glean ||
        (is_neighbour && stack_->adjacencies.next_hop(link) == next_hop)) {
      interface = a.interface;
    } else {
      return fail("{}: the next hop is on no connected prefix", what);
    }
  }
  InterfaceEntry& entry = *TRY(stack_->interfaces.attached(interface));
  NeighbourTable& table = stack_->neighbours(next_hop.family);
  Neighbour* n = table.get(interface, entry.mtu(), next_hop);
  if (n == nullptr) return fail("{}: the neighbour table is full", what);
  table.retain(*n);
  return add_static({prefix, next_hop, interface}, n->adjacency());
}

Result<void> Vnet::add_blackhole(const Prefix& prefix) {
  return add_static({.prefix = prefix, .next_hop = {}}, kDropAlways);
}

Result<void> Vnet::remove_route(const Prefix& prefix) {
  const auto at = std::find_if(static_routes_.begin(), static_routes_.end(),
                               [&](const StaticRoute& r) { return r.prefix == prefix.network(); });
  if (at == static_routes_.end()) return fail("no static route {}", to_string(prefix.network()));
  stack_->fib(prefix.address.family).remove(prefix, RouteSource::Static);
  if (at->interface != 0) {
    NeighbourTable& table = stack_->neighbours(at->next_hop.family);
    table.release(*table.find(at->interface, at->next_hop));
  }
  static_routes_.erase(at);
  return {};
}

Result<void> Vnet::add_neighbour(uint16_t index, const IpAddress& address,
                                 const net::MacAddress& mac) {
  InterfaceEntry& entry = *TRY(stack_->interfaces.attached(index));
  if (is_local(address)) return fail("neighbour {}: that is this host", to_string(address));
  TRY(stack_->neighbours(address.family).set_static(index, entry.mtu(), address, mac));
  stack_->graph.run();
  return {};
}

Result<void> Vnet::remove_neighbour(uint16_t index, const IpAddress& address) {
  TRY(stack_->neighbours(address.family).remove(index, address));
  stack_->graph.run();
  return {};
}

// --- packets ---

void Vnet::accept(Frame frame) {
  for (Packet* p : frame.packets()) {
    // What another vnet noted on it is none of ours.
    p->trace = p->adjacency = 0;
    p->reason = 0;
    p->l2_size = 0;
  }
  stack_->graph.enqueue(stack_->node.ethernet_input, std::move(frame));
  stack_->graph.run();
}

void Vnet::output(Frame frame) {
  Stack& s = *stack_;
  Frame v4, v6;
  for (uint32_t i = 0; i < frame.size(); ++i) {
    PacketPtr p = frame.take(i);
    // IpService: a packet begins with its complete IP header.
    CHECK(p->head_size() >= net::Ip4Header::kMinSize);
    const bool is_v4 = p->data()[0] >> 4 == 4;
    CHECK(is_v4 || p->head_size() >= net::Ip6Header::kSize);
    p->interface = kLocalInterface;
    p->trace = 0;
    p->l2_size = p->l3_offset = 0;
    (is_v4 ? v4 : v6).push(std::move(p));
  }
  if (!v4.empty()) s.graph.enqueue(s.node.ip4_lookup, std::move(v4));
  if (!v6.empty()) s.graph.enqueue(s.node.ip6_lookup, std::move(v6));
  s.graph.run();
}

// --- transport ---

void Vnet::register_protocol(uint8_t number, net::IpProtocol* protocol) {
  CHECK(number != net::kProtocolIcmp && number != net::kProtocolIcmp6 &&
        number != net::kProtocolUdp);
  Stack& s = *stack_;
  s.protocols[number] = protocol;
  s.ip4_arcs[number] = s.ip4_unknown;
  s.ip6_arcs[number] = s.ip6_unknown;
  if (protocol == nullptr) return;
  const ProtocolArcs arcs = add_protocol_nodes(s, number);
  s.ip4_arcs[number] = arcs.ip4;
  s.ip6_arcs[number] = arcs.ip6;
  publish_counters();
}

Result<std::unique_ptr<UdpSocket>> Vnet::open_udp(UdpSocket::Config config,
                                                  UdpSocket::Receive receive) {
  return stack_->udp->open(config, std::move(receive));
}

std::optional<net::Route> Vnet::route(const IpAddress& destination) const {
  return stack_->route(destination);
}
bool Vnet::is_local(const IpAddress& address) const {
  const AdjacencyIndex a = stack_->fib(address.family).lookup(address);
  return a == kLocal || stack_->is_local(address);
}
net::PacketPool& Vnet::pool() {
  return stack_->pool;
}
Loop& Vnet::loop() {
  return stack_->loop;
}
SysctlTree& Vnet::sysctl() {
  return stack_->sysctl;
}
Random& Vnet::random() {
  return stack_->random;
}
graph::Graph& Vnet::graph() {
  return stack_->graph;
}
const graph::Graph& Vnet::graph() const {
  return stack_->graph;
}

// --- books ---

void Vnet::clear_runtime() {
  stack_->graph.clear_runtime();
  stack_->tx_packets = 0;
}

void Vnet::publish_counters() {
  const auto& errors = stack_->graph.errors();
  for (size_t i = nodes_published_; i < errors.size(); ++i) {
    const graph::ErrorSpec& spec = stack_->graph.error_spec(errors[i]);
    const std::string& node = stack_->graph.nodes()[errors[i].node].node->name();
    stack_->sysctl.add_counter(fmt::format("net.graph.{}.{}", node, spec.name), &errors[i].count,
                               spec.text, "packets");
  }
  nodes_published_ = errors.size();
}

void Vnet::publish_interface(const InterfaceEntry& entry) {
  const net::InterfaceCounters& c = entry.device->counters();
  auto add = [&](const char* name, const uint64_t& counter, const char* what, const char* unit) {
    stack_->sysctl.add_counter(fmt::format("net.link.generic.ifdata.{}.{}", entry.name, name),
                               &counter, what, unit);
  };
  add("rx_packets", c.rx_packets, "packets received", "packets");
  add("rx_bytes", c.rx_bytes, "bytes received", "bytes");
  add("tx_packets", c.tx_packets, "packets sent", "packets");
  add("tx_bytes", c.tx_bytes, "bytes sent", "bytes");
  add("rx_down", c.rx_down, "packets received while down", "packets");
  add("tx_down", c.tx_down, "packets to be sent while down", "packets");
  add("tx_too_big", c.tx_too_big, "packets longer than the MTU", "packets");
  add("tx_errors", c.tx_errors, "packets the device refused", "packets");
  add("drops", entry.drops, "packets dropped by the stack", "packets");
}

}  // namespace wh::vnet
