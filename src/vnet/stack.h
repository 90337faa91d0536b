// What the nodes of one vnet share: its tables, its settings, and the numbers of the nodes that
// packets are handed to from outside a batch. Private to the room; a user sees Vnet (vnet/vnet.h).
#pragma once

#include <array>

#include "core/random.h"
#include "core/sysctl.h"
#include "graph/graph.h"
#include "net/ip_service.h"
#include "vnet/adjacency.h"
#include "vnet/fib.h"
#include "vnet/interface_table.h"
#include "vnet/neighbour.h"
#include "vnet/packet_holder.h"
#include "vnet/paths.h"
#include "vnet/rate_limit.h"
#include "vnet/settings.h"
#include "vnet/source_check.h"

namespace wh::vnet {

class AclTable;
class BridgeTable;
class DhcpClients;
class DhcpService;
class Discoveries;
class Handoff;
class Nat44;
class PingTable;
class PolicerTable;
class RouterAdvertiser;
class UdpTable;
class VirtualInterfaces;

// One table of routes for each family, which net/ip_service.h calls a table. VRF 0 is the default.
struct Vrf {
  uint32_t id = 0;  // As people number it.
  bool is_there = true;
  Fib fib4{net::Family::V4}, fib6{net::Family::V6};
};

struct Stack {
  static constexpr size_t kMaxVrfs = 1024;

  Stack(Loop& loop_, net::PacketPool& pool_, Random random_, graph::Graph::Config graph_config);
  ~Stack();

  Loop& loop;
  net::PacketPool& pool;
  Random random;
  Settings settings;
  SysctlTree sysctl;
  graph::Graph graph;
  InterfaceTable interfaces;
  AdjacencyTable adjacencies;
  // By InterfaceEntry::vrf. One that was removed stays, empty, until the next takes its place.
  std::vector<std::unique_ptr<Vrf>> vrfs;
  PathTable paths;
  std::unique_ptr<NeighbourTable> arp, nd;
  std::unique_ptr<UdpTable> udp;
  std::unique_ptr<PingTable> pings;
  std::unique_ptr<BridgeTable> bridges;
  std::unique_ptr<AclTable> acls;
  std::unique_ptr<Nat44> nat44;
  std::unique_ptr<PolicerTable> policers;
  std::unique_ptr<RouterAdvertiser> advertiser;
  VirtualInterfaces* virtuals = nullptr;  // The vnet's, as the next two.
  DhcpService* dhcp = nullptr;
  DhcpClients* dhcp_clients = nullptr;
  std::vector<PacketHolder*> holders;  // All nodes and tables that keep packets.
  // NAME-tx and NAME-output of interfaces that went, by name: the next that comes takes some over.
  std::vector<std::string> idle_tx_nodes;
  std::array<net::IpProtocol*, 256> protocols{};
  // The arcs of ip4-local and ip6-local by protocol number.
  std::array<graph::Arc, 256> ip4_arcs{}, ip6_arcs{};
  graph::Arc ip4_unknown = 0, ip6_unknown = 0;  // For a number nobody has registered.
  std::vector<SourceChecks> source_checks;      // By interface.
  RateLimit icmp_limit, icmp6_limit;
  uint16_t next_ip_id = 0;
  std::function<void()> probe_addresses;  // Duplicate address detection's next step.
  Timer dad_timer;
  Handoff* handoff = nullptr;          // Whom a replica leaves packets to.
  Discoveries* discoveries = nullptr;  // Who wants to know what is found out.
  bool shares_state = false;           // A feature whose state all packets share is in use.
  uint64_t tx_packets = 0;             // Since the runtime books were cleared.

  // Nodes that packets are handed to from outside a batch.
  struct {
    graph::NodeIndex ethernet_input, ip4_input, ip6_input, ip4_lookup, ip6_lookup, ip4_rewrite,
        ip6_rewrite, ip4_local, ip6_local, ip4_arp, ip6_discover, ip4_icmp_error, ip6_icmp_error,
        interface_output, l2_input, arp_input, ip6_link_local, handoff_input, ip4_icmp_input,
        ip6_icmp_input, ip4_reassembly, ip6_reassembly, arp_timer, nd_timer, dhcp_server,
        dhcp_client;
  } node{};

  Fib& fib(net::Family family, uint16_t vrf = 0) {
    return family == net::Family::V4 ? vrfs[vrf]->fib4 : vrfs[vrf]->fib6;
  }
  const Fib& fib(net::Family family, uint16_t vrf = 0) const {
    return family == net::Family::V4 ? vrfs[vrf]->fib4 : vrfs[vrf]->fib6;
  }
  // The VRF that a packet is looked up in: that of the interface it came by, also for what this
  // host makes in answer to it; of what it makes otherwise the one that it says.
  uint16_t vrf_of(const net::Packet& p) const {
    return p.rx_interface == kLocalInterface ? p.table : interfaces[p.rx_interface].vrf;
  }
  Result<uint16_t> find_vrf(uint32_t id) const;
  bool has_vrf(uint16_t vrf) const { return vrf < vrfs.size() && vrfs[vrf]->is_there; }
  // A new VRF with the special ranges in it. Error: too many.
  Result<uint16_t> add_vrf(uint32_t id);
  // Ends what waits in tables and nodes that came by an interface, or was made here for a VRF.
  void drop_held_of_interface(uint16_t interface);
  void drop_held_of_vrf(uint16_t vrf);
  NeighbourTable& neighbours(net::Family family) { return family == net::Family::V4 ? *arp : *nd; }
  // Whether an interface of the VRF has it; of any interface, for a link-local address.
  bool is_local(const net::IpAddress& address, uint16_t vrf = 0) const {
    if (address.is_link_local()) vrf = 0;
    return interfaces.owner(address, vrf) != nullptr;
  }
  // Whether it is this host's as seen from the link of an interface: each link has its own
  // link-local addresses, and another link's router may have one that is ours here.
  bool is_local(const net::IpAddress& address, const InterfaceEntry& entry) const {
    return address.is_link_local() ? entry.owns(address) : is_local(address, entry.vrf);
  }
  // Tells the protocol that sent a packet of an error about it. False when nobody wants to know.
  bool deliver_error(const net::IpError& error, uint8_t protocol);
  // The way to a destination, as IpService::route says it.
  std::optional<net::Route> route(const net::IpAddress& destination, uint16_t vrf = 0) const;
  uint16_t new_ip_id() { return ++next_ip_id; }
};

// "ipv4 via 10.1.0.2 eth0: mtu:1500 next:3 flags:[] 020000...0800"
std::string describe_adjacency(const Stack& stack, AdjacencyIndex index);

}  // namespace wh::vnet
