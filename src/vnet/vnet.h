// A vnet: one network stack instance, as a graph of nodes.
//
// A host, a router and (with other nodes) a bridge are vnets that differ in what is set. Interfaces
// are attached to it; packets they receive enter at ethernet-input, packets this host makes enter
// at ip4-lookup or ip6-lookup, and both leave through interface-output. Transport protocols
// register for a protocol number and get vectors of whole, validated packets. All of it is
// single-threaded, allocates nothing per packet, and reads no clock but the loop's.
//
//   Vnet a({.name = "a"}, loop, pool, random.fork("a"));
//   const uint16_t index = MUST(a.attach(interface));
//   MUST(a.add_address(index, MUST(net::parse_prefix("10.0.0.1/24"))));
//   MUST(a.add_route(MUST(net::parse_prefix("0.0.0.0/0")), net::Ip4::of(10, 0, 0, 254)));
//   a.register_protocol(net::kProtocolTcp, &tcp);
//
// Ownership: the loop, the pool, attached interfaces and registered protocols must outlive the
// vnet, or be detached or unregistered before they go. Sockets and pings go before the vnet. Books:
// every node's counters are in graph(), as tables in vnet/show.h and graph/show.h, and as read-only
// leaves in sysctl(): net.graph.NODE.COUNTER and net.link.generic.ifdata.INTERFACE.COUNTER.
#pragma once

#include <memory>
#include <string>

#include "graph/graph.h"
#include "net/interface.h"
#include "net/ip_service.h"
#include "vnet/acl.h"
#include "vnet/adjacency.h"
#include "vnet/bridge.h"
#include "vnet/dhcp.h"
#include "vnet/interface_table.h"
#include "vnet/nat44.h"
#include "vnet/paths.h"
#include "vnet/ping.h"
#include "vnet/policer.h"
#include "vnet/router_advertisements.h"
#include "vnet/source_check.h"
#include "vnet/udp.h"
#include "vnet/virtual_interfaces.h"

namespace wh::vnet {

struct Stack;
class Handoff;

class Vnet final : public net::IpService, private net::FrameSink {
 public:
  struct Config {
    std::string name;
    graph::CycleCounter cycles = {};  // For `show runtime`'s clocks; none in virtual time.
    // Of a replica (vnet/replica.h): takes what it does not do itself. Must outlive the vnet.
    Handoff* handoff = nullptr;
  };
  // A route that a person gave.
  struct StaticRoute {
    uint32_t vrf = 0;
    net::Prefix prefix;
    // As they could be given now (PathTable::hops_now()); empty: what matches is dropped.
    std::vector<NextHop> next_hops;
  };

  Vnet(Config config, Loop& loop, net::PacketPool& pool, Random random);
  ~Vnet() override;

  const std::string& name() const { return config_.name; }

  // --- interfaces ---
  // The index the interface has here, the least that is free. It gets a link-local address, unless
  // net.inet6.ip6.auto_linklocal is 0. `reader` names the node under which reading it is booked,
  // the same for all devices of a kind. Errors: its name is in use.
  Result<uint16_t> attach(net::Interface& interface, std::string_view reader = "ethernet-input");
  // Its addresses, routes and neighbours go with it.
  Result<void> detach(uint16_t index);
  Result<void> set_up(uint16_t index, bool up);
  static constexpr uint32_t kLeastMtu = 68, kMostMtu = 65535;
  // Of the interface and of every way through it. Errors: no such interface, out of these.
  Result<void> set_mtu(uint16_t index, uint32_t mtu);
  // An address and the prefix its link has. Errors: no such interface; not a host's address; in use
  // here; its prefix overlaps one of another interface in the same VRF.
  Result<void> add_address(uint16_t index, const net::Prefix& prefix);
  Result<void> remove_address(uint16_t index, const net::IpAddress& address);
  const InterfaceTable& interfaces() const;

  // --- routes and neighbours ---
  // Through next hops: each on a connected prefix, or one that another route (not the default)
  // leads to, or a link-local one with its interface, or an interface alone. Flows are spread over
  // several by weight. Replaces a static route for the same prefix. Errors name the route: a next
  // hop that nothing leads to, of another family, or ours; no such VRF.
  Result<void> add_route(const net::Prefix& prefix, std::span<const NextHop> next_hops,
                         uint32_t vrf = 0);
  Result<void> add_route(const net::Prefix& prefix, const net::IpAddress& next_hop,
                         uint16_t interface = 0);
  // Drops what matches.
  Result<void> add_blackhole(const net::Prefix& prefix, uint32_t vrf = 0);
  Result<void> remove_route(const net::Prefix& prefix, uint32_t vrf = 0);
  std::optional<StaticRoute> static_route(const net::Prefix& prefix, uint32_t vrf = 0) const;
  // In an order in which they can be given: a route comes after the one that leads to
  // its next hops; otherwise by prefix.
  std::vector<StaticRoute> static_routes() const;

  // --- VRFs: tables of routes of their own; 0 is the default and always there ---
  // Errors: there is one; too many.
  Result<void> add_vrf(uint32_t id);
  // Connections in it are reset. Errors: none, the default, an interface is in it, a protocol or
  // UDP socket listens in it alone, a static mapping of NAT44 leads into it.
  Result<void> remove_vrf(uint32_t id);
  // Puts an interface into a VRF. Errors: no such interface or VRF; it has addresses other than
  // link-local ones.
  Result<void> set_vrf(uint16_t index, uint32_t id);
  std::vector<uint32_t> vrfs() const;     // In order.
  uint32_t vrf_of(uint16_t index) const;  // REQUIRES: the index was given out.
  // A VRF as transport protocols know it (net/ip_service.h), and back. Error: no such VRF.
  Result<uint16_t> table_of(uint32_t id) const;
  uint32_t vrf_of_table(uint16_t table) const;  // REQUIRES: there is one.
  // A neighbour given by hand: never asked, never aged.
  Result<void> add_neighbour(uint16_t index, const net::IpAddress& address,
                             const net::MacAddress& mac);
  Result<void> remove_neighbour(uint16_t index, const net::IpAddress& address);

  // --- features, each with its table; they start empty and cost nothing until used ---
  // Sub-interfaces and loopbacks.
  VirtualInterfaces& virtuals() { return virtuals_; }
  const VirtualInterfaces& virtuals() const { return virtuals_; }
  BridgeTable& bridges();
  const BridgeTable& bridges() const;
  AclTable& acls();
  const AclTable& acls() const;
  Nat44& nat44();
  const Nat44& nat44() const;
  PolicerTable& policers();
  const PolicerTable& policers() const;
  RouterAdvertiser& advertiser();
  const RouterAdvertiser& advertiser() const;
  DhcpService& dhcp() { return dhcp_; }  // Server and relay.
  const DhcpService& dhcp() const { return dhcp_; }
  DhcpClients& dhcp_clients() { return dhcp_clients_; }
  const DhcpClients& dhcp_clients() const { return dhcp_clients_; }
  // The default route that a DHCP server gave an interface. False when its router is not on the
  // interface's link, or another interface has such a route.
  bool add_dhcp_route(uint16_t index, net::Ip4 router);
  void remove_dhcp_route(uint16_t index);
  // Errors: no such interface.
  Result<void> set_source_check(uint16_t index, net::Family family, SourceCheck check);
  SourceCheck source_check(uint16_t index, net::Family family) const;

  // --- transport ---
  Result<std::unique_ptr<UdpSocket>> open_udp(UdpSocket::Config config, UdpSocket::Receive receive);
  // IpService.
  void register_protocol(uint8_t number, net::IpProtocol* protocol) override;
  std::optional<net::Route> route(const net::IpAddress& destination,
                                  uint16_t table = 0) const override;
  bool is_local(const net::IpAddress& address, uint16_t table = 0) const override;
  void output(net::Frame&& frame) override;
  net::PacketPool& pool() override;
  Loop& loop() override;
  SysctlTree& sysctl() override;
  const SysctlTree& sysctl() const;
  Random& random() override;

  // Sees each packet that is dropped, as graph::Graph::on_drop; an empty function sees nothing.
  void on_drop(std::function<void(const net::Packet&)> see) { see_drop_ = std::move(see); }

  void clear_runtime();
  graph::Graph& graph();
  const graph::Graph& graph() const;
  // The tables behind it all, for the room's own tools (vnet/show.h, Ping).
  Stack& stack() { return *stack_; }
  const Stack& stack() const { return *stack_; }

 private:
  void accept(net::Frame&& frame) override;  // From an attached interface.
  void expect() override;                    // It reads what it will give.
  void remove_routes_through(uint16_t index);
  void publish_counters();
  void publish_counter(const graph::ErrorCount& e);
  void publish_node(const std::string& name);
  void publish_dhcp();
  void publish_interface(const InterfaceEntry& entry);
  void set_static(uint16_t vrf, const net::Prefix& prefix, AdjacencyIndex adjacency);

  Config config_;
  std::unique_ptr<Stack> stack_;
  VirtualInterfaces virtuals_;
  DhcpService dhcp_;
  DhcpClients dhcp_clients_;
  size_t nodes_published_ = 0;
  uint64_t reading_since_ = 0;  // Cycles; 0 when no device is being read.
  std::function<void(const net::Packet&)> see_drop_;
};

}  // namespace wh::vnet
