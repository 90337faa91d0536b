#include "vnet/vnet.h"

#include <algorithm>

#include "vnet/addresses.h"
#include "vnet/nodes.h"
#include "vnet/replica.h"
#include "vnet/shallow_reassembly.h"

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
                                     graph::Graph::Config{.cycles = config_.cycles})),
      virtuals_(*this),
      dhcp_(*this),
      dhcp_clients_(*this) {
  Stack& s = *stack_;
  s.handoff = config_.handoff;
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
  add_bridge_nodes(s);
  add_shallow_reassembly_nodes(s);
  add_acl_nodes(s);
  add_source_check_nodes(s);
  add_policer_nodes(s);
  add_nat44_nodes(s);
  add_router_advertisement_nodes(s);
  add_dhcp_nodes(s);
  s.virtuals = &virtuals_;
  s.dhcp = &dhcp_;
  s.dhcp_clients = &dhcp_clients_;
  MUST(s.graph.link());  // Every name above is one of the names above.
  if (s.handoff != nullptr) add_handoff_nodes(s);
  s.graph.on_drop([this, &s](const Packet& p) {
    if (see_drop_) see_drop_(p);
    if (p.interface < s.interfaces.size()) ++s.interfaces[p.interface].drops;
  });
  publish_counters();
  publish_dhcp();
}

Vnet::~Vnet() {
  for (uint16_t i = 1; i < stack_->interfaces.size(); ++i) {
    if (net::Interface* device = stack_->interfaces[i].device) device->attach(nullptr);
  }
}

// --- interfaces ---

Result<uint16_t> Vnet::attach(net::Interface& interface, std::string_view reader) {
  InterfaceEntry& entry = *TRY(stack_->interfaces.add(interface));
  entry.is_elsewhere = dynamic_cast<HandoffInterface*>(&interface) != nullptr;
  if (const std::string old = add_tx_node(*stack_, entry); !old.empty()) {
    for (const char* node : {"tx", "output"}) {
      stack_->sysctl.remove(fmt::format("net.graph.{}-{}", old, node));
      publish_node(fmt::format("{}-{}", entry.name, node));
    }
  }
  entry.input_node = add_input_node(*stack_, reader);
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
  virtuals_.remove_subs_of(index);
  (void)stack_->advertiser->disable(index);     // It may send none.
  (void)stack_->bridges->remove_member(index);  // It may be in none.
  stack_->nat44->forget(index);
  stack_->acls->forget(index);
  stack_->policers->forget(index);
  dhcp_.forget(index);
  (void)dhcp_clients_.remove(index);  // It may have none.
  if (stack_->paths.leads_through(index)) remove_routes_through(index);
  while (!entry.addresses.empty()) {
    TRY(vnet::remove_address(*stack_, entry, IpAddress(entry.addresses[0].prefix.address)));
  }
  stack_->arp->flush(index);
  stack_->nd->flush(index);
  stack_->drop_held_of_interface(index);
  for (const Family family : {Family::V4, Family::V6}) {
    vnet::set_source_check(*stack_, index, family, SourceCheck::Off);
  }
  stack_->sysctl.remove("net.link.generic.ifdata." + entry.name);
  entry.device->attach(nullptr);
  // What waited for neighbours is answered while its interface is still known.
  stack_->graph.run();
  retire_tx_node(*stack_, entry);
  stack_->interfaces.detach(index);
  return {};
}

Result<void> Vnet::set_up(uint16_t index, bool up) {
  InterfaceEntry& entry = *TRY(stack_->interfaces.attached(index));
  const bool was_up = entry.is_up();
  if (!up) {
    // Its sub-interfaces lose their way out as well.
    for (const uint16_t sub : virtuals_.subs_of(index)) stack_->advertiser->going_down(sub);
    stack_->advertiser->going_down(index);
  }
  entry.device->set_up(up);
  stack_->paths.interface_changed(index);
  if (!up || was_up) return {};
  stack_->advertiser->came_up(index);
  // Who is on its link now was not asked, or could not answer (RFC 4862 section 5.4).
  for (const InterfaceAddress& a : entry.addresses) {
    if (a.prefix.address.is_v4() || a.state == InterfaceAddress::State::Duplicated) continue;
    start_duplicate_detection(*stack_, entry, a.prefix.address.v6());
  }
  return {};
}

Result<void> Vnet::set_mtu(uint16_t index, uint32_t mtu) {
  InterfaceEntry& entry = *TRY(stack_->interfaces.attached(index));
  // RFC 791 section 3.2 demands 68; IPv6 wants 1280 (RFC 8200 section 5) and cuts or refuses below.
  if (mtu < kLeastMtu || mtu > kMostMtu) {
    return fail("mtu {}; accepted: {}..{}", mtu, kLeastMtu, kMostMtu);
  }
  entry.device->set_mtu(mtu);
  stack_->adjacencies.set_mtu(index, mtu);
  return {};
}

Result<void> Vnet::add_address(uint16_t index, const Prefix& prefix) {
  InterfaceEntry& entry = *TRY(stack_->interfaces.attached(index));
  if (entry.is_bridged) {
    return fail("interface {}: in bridge domain {}; give the address to its BVI", entry.name,
                stack_->bridges->of(index)->config().id);
  }
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

// --- VRFs ---

Result<void> Vnet::add_vrf(uint32_t id) {
  if (stack_->find_vrf(id)) return fail("VRF {}: there is one", id);
  TRY(stack_->add_vrf(id));
  return {};
}

Result<void> Vnet::remove_vrf(uint32_t id) {
  const uint16_t slot = TRY(stack_->find_vrf(id));
  if (slot == 0) return fail("VRF 0 is the default and stays");
  for (uint16_t i = 1; i < stack_->interfaces.size(); ++i) {
    const InterfaceEntry& entry = stack_->interfaces[i];
    if (entry.vrf == slot && entry.device != nullptr) {
      return fail("VRF {}: interface {} is in it", id, entry.name);
    }
  }
  const auto leave = [&]() -> Result<void> {
    TRY(stack_->udp->leave_table(slot));
    TRY(stack_->nat44->leave_vrf(slot));
    for (net::IpProtocol* protocol : stack_->protocols) {
      if (protocol != nullptr) TRY(protocol->leave_table(slot));
    }
    return {};
  };
  if (auto left = leave(); !left) {
    return tl::unexpected(std::move(left.error()).within(fmt::format("VRF {}", id)));
  }
  for (const Family family : {Family::V4, Family::V6}) {
    const Fib& fib = stack_->fib(family, slot);
    for (const Prefix& prefix : fib.prefixes(SIZE_MAX, {})) {
      if (fib.find(prefix, RouteSource::Static) != kNoRoute) TRY(remove_route(prefix, id));
    }
  }
  stack_->drop_held_of_vrf(slot);
  stack_->graph.run();
  stack_->vrfs[slot]->is_there = false;
  return {};
}

Result<void> Vnet::set_vrf(uint16_t index, uint32_t id) {
  InterfaceEntry& entry = *TRY(stack_->interfaces.attached(index));
  const uint16_t slot = TRY(stack_->find_vrf(id));
  for (const InterfaceAddress& a : entry.addresses) {
    const IpAddress& own = a.prefix.address;
    if (!own.is_link_local()) {
      return fail("interface {}: has address {}; an interface without addresses can change its VRF",
                  entry.name, to_string(own));
    }
  }
  stack_->arp->flush(index);
  stack_->nd->flush(index);
  stack_->drop_held_of_interface(index);
  stack_->graph.run();
  entry.vrf = slot;
  stack_->graph.run();
  return {};
}

std::vector<uint32_t> Vnet::vrfs() const {
  std::vector<uint32_t> ids;
  for (const auto& vrf : stack_->vrfs) {
    if (vrf->is_there) ids.push_back(vrf->id);
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

uint32_t Vnet::vrf_of(uint16_t index) const {
  return vrf_of_table(stack_->interfaces[index].vrf);
}

Result<uint16_t> Vnet::table_of(uint32_t id) const {
  return stack_->find_vrf(id);
}

uint32_t Vnet::vrf_of_table(uint16_t table) const {
  CHECK(stack_->has_vrf(table));
  return stack_->vrfs[table]->id;
}

// --- neighbours ---

Result<void> Vnet::add_neighbour(uint16_t index, const IpAddress& address,
                                 const net::MacAddress& mac) {
  InterfaceEntry& entry = *TRY(stack_->interfaces.attached(index));
  TRY(bridges().check_routed(index, "a neighbour"));
  if (stack_->is_local(address, entry)) {
    return fail("neighbour {}: that is this host", to_string(address));
  }
  TRY(stack_->neighbours(address.family).set_static(index, entry.mtu(), address, mac));
  stack_->graph.run();
  return {};
}

Result<void> Vnet::remove_neighbour(uint16_t index, const IpAddress& address) {
  TRY(stack_->neighbours(address.family).remove(index, address));
  stack_->graph.run();
  return {};
}

Result<void> Vnet::set_source_check(uint16_t index, Family family, SourceCheck check) {
  TRY(stack_->interfaces.attached(index));
  if (check != SourceCheck::Off) TRY(bridges().check_routed(index, "a source check"));
  vnet::set_source_check(*stack_, index, family, check);
  return {};
}

SourceCheck Vnet::source_check(uint16_t index, Family family) const {
  const auto& checks = stack_->source_checks;
  return index < checks.size() ? checks[index][static_cast<size_t>(family)] : SourceCheck::Off;
}

BridgeTable& Vnet::bridges() {
  return *stack_->bridges;
}
const BridgeTable& Vnet::bridges() const {
  return *stack_->bridges;
}
AclTable& Vnet::acls() {
  return *stack_->acls;
}
const AclTable& Vnet::acls() const {
  return *stack_->acls;
}
Nat44& Vnet::nat44() {
  return *stack_->nat44;
}
const Nat44& Vnet::nat44() const {
  return *stack_->nat44;
}
PolicerTable& Vnet::policers() {
  return *stack_->policers;
}
const PolicerTable& Vnet::policers() const {
  return *stack_->policers;
}
RouterAdvertiser& Vnet::advertiser() {
  return *stack_->advertiser;
}
const RouterAdvertiser& Vnet::advertiser() const {
  return *stack_->advertiser;
}

// --- packets ---

void Vnet::expect() {
  reading_since_ = stack_->graph.cycles();
}

void Vnet::accept(Frame&& frame) {
  if (frame.empty()) return;
  const bool hands_off = stack_->shares_state && stack_->handoff != nullptr;
  const InterfaceEntry& entry = stack_->interfaces[frame[0].interface];
  const graph::NodeIndex input = hands_off ? stack_->node.handoff_input : entry.input_node;
  if (reading_since_ != 0) stack_->graph.book(input, std::exchange(reading_since_, 0));
  for (Packet* p : frame.packets()) {
    // What another vnet noted on it is none of ours.
    p->rx_interface = p->interface;
    if (!entry.is_sub) p->trace = 0;
    p->adjacency = 0;
    p->reason = 0;
    p->l2_size = 0;
  }
  stack_->graph.run(input, std::move(frame));
}

void Vnet::output(Frame&& frame) {
  Stack& s = *stack_;
  Frame v6;
  uint32_t kept = 0;  // Of the frame: IPv4's.
  const std::span<Packet*> packets = frame.release();
  for (Packet* p : packets) {
    // IpService: a packet begins with its complete IP header.
    CHECK(p->head_size() >= net::Ip4Header::kMinSize);
    const bool is_v4 = p->data()[0] >> 4 == 4;
    CHECK(is_v4 || p->head_size() >= net::Ip6Header::kSize);
    p->interface = p->rx_interface = kLocalInterface;
    p->trace = 0;
    p->l2_size = p->l3_offset = 0;
    if (!s.has_vrf(p->table)) {  // Removed while this waited for its batch's end.
      s.graph.drop(is_v4 ? s.node.ip4_lookup : s.node.ip6_lookup, kNoRouteError, PacketPtr(p));
    } else if (is_v4) {
      packets[kept++] = p;
    } else {
      v6.push(PacketPtr(p));
    }
  }
  frame.take_back(kept);
  if (v6.empty()) return s.graph.run(s.node.ip4_lookup, std::move(frame));
  s.graph.enqueue(s.node.ip4_lookup, std::move(frame));
  s.graph.enqueue(s.node.ip6_lookup, std::move(v6));
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

std::optional<net::Route> Vnet::route(const IpAddress& destination, uint16_t table) const {
  return stack_->route(destination, table);
}
bool Vnet::is_local(const IpAddress& address, uint16_t table) const {
  if (!stack_->has_vrf(table)) return false;
  const AdjacencyIndex a = stack_->fib(address.family, table).lookup(address);
  return a == kLocal || stack_->is_local(address, table);
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
const SysctlTree& Vnet::sysctl() const {
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
  for (size_t i = nodes_published_; i < errors.size(); ++i) publish_counter(errors[i]);
  nodes_published_ = errors.size();
}

void Vnet::publish_counter(const graph::ErrorCount& e) {
  const graph::ErrorSpec& spec = stack_->graph.error_spec(e);
  const std::string& node = stack_->graph.nodes()[e.node].node->name();
  stack_->sysctl.add_counter(fmt::format("net.graph.{}.{}", node, spec.name), &e.count, spec.text,
                             "packets");
}

void Vnet::publish_node(const std::string& name) {
  const graph::NodeRuntime& node = stack_->graph.nodes()[MUST(stack_->graph.index_of(name))];
  for (size_t i = 0; i < node.node->spec().errors.size(); ++i) {
    publish_counter(stack_->graph.errors()[node.first_error + i]);
  }
}

void Vnet::publish_dhcp() {
  const DhcpService::Counters& c = dhcp_.counters();
  auto add = [&](const char* name, const uint64_t& counter, const char* what) {
    stack_->sysctl.add_counter(fmt::format("net.dhcp.{}", name), &counter, what, "messages");
  };
  add("received", c.received, "messages from clients, servers and relays");
  add("malformed", c.malformed, "messages that make no sense");
  add("answered", c.answered, "messages that the server answered");
  add("unanswered", c.unanswered, "messages that the server had no answer for");
  add("relayed_up", c.relayed_up, "messages relayed to servers");
  add("relayed_down", c.relayed_down, "messages relayed to clients");
  add("relay_refused", c.relay_refused, "messages that were not to be relayed");
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
