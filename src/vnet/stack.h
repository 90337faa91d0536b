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
#include "vnet/rate_limit.h"
#include "vnet/settings.h"

namespace wh::vnet {

class PingTable;
class UdpTable;

struct Stack {
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
  Fib fib4{net::Family::V4}, fib6{net::Family::V6};
  std::unique_ptr<NeighbourTable> arp, nd;
  std::unique_ptr<UdpTable> udp;
  std::unique_ptr<PingTable> pings;
  std::array<net::IpProtocol*, 256> protocols{};
  // The arcs of ip4-local and ip6-local by protocol number.
  std::array<graph::Arc, 256> ip4_arcs{}, ip6_arcs{};
  graph::Arc ip4_unknown = 0, ip6_unknown = 0;  // For a number nobody has registered.
  RateLimit icmp_limit, icmp6_limit;
  uint16_t next_ip_id = 0;
  std::function<void()> probe_addresses;  // Duplicate address detection's next step.
  Timer dad_timer;
  uint64_t tx_packets = 0;  // Since the runtime books were cleared.

  // Nodes that packets are handed to from outside a batch.
  struct {
    graph::NodeIndex ethernet_input, ip4_lookup, ip6_lookup, ip4_rewrite, ip6_rewrite, ip4_local,
        ip6_local, ip4_arp, ip6_discover, ip4_icmp_error, ip6_icmp_error, interface_output,
        ip4_icmp_input, ip6_icmp_input, ip4_reassembly, ip6_reassembly, arp_timer, nd_timer;
  } node{};

  Fib& fib(net::Family family) { return family == net::Family::V4 ? fib4 : fib6; }
  const Fib& fib(net::Family family) const { return family == net::Family::V4 ? fib4 : fib6; }
  NeighbourTable& neighbours(net::Family family) { return family == net::Family::V4 ? *arp : *nd; }
  bool is_local(const net::IpAddress& address) const {
    return interfaces.owner(address) != nullptr;
  }
  // Tells the protocol that sent a packet of an error about it. False when nobody wants to know.
  bool deliver_error(const net::IpError& error, uint8_t protocol);
  // The way to a destination, as IpService::route says it.
  std::optional<net::Route> route(const net::IpAddress& destination) const;
  uint16_t new_ip_id() { return ++next_ip_id; }
};

// "ipv4 via 10.1.0.2 eth0: mtu:1500 next:3 flags:[] 020000...0800"
std::string describe_adjacency(const Stack& stack, AdjacencyIndex index);

}  // namespace wh::vnet
