// The server's side of DHCP: which address a client gets, and port 67.
#include <algorithm>

#include "net/checksum.h"
#include "net/wire/ethernet.h"
#include "net/wire/ip4.h"
#include "net/wire/udp.h"
#include "vnet/dhcp.h"
#include "vnet/nodes.h"
#include "vnet/vnet.h"

namespace wh::vnet {

using net::DhcpMessage;
using net::DhcpType;
using net::Ip4;
using net::MacAddress;

namespace {

constexpr Duration kHold = 10s;  // An offer.
constexpr Duration kDeclined = 600s;

// What is dropped at port 67 beside what cannot be read.
enum : uint16_t {
  kNoAddress = net::kDhcpFaultNames.size(),
  kNoAnswer,
  kTooManyHops,
  kRelayWithoutAddress,
  kNotAsked
};

// As other hosts see the lease of one without an identifier: type Ethernet and its address.
std::vector<uint8_t> client_of(const DhcpMessage& m) {
  if (!m.client_id.empty()) return m.client_id;
  std::vector<uint8_t> id{1};
  id.insert(id.end(), m.mac.bytes.begin(), m.mac.bytes.end());
  return id;
}

}  // namespace

Result<void> DhcpServer::add(DhcpPool pool) {
  const std::string what = fmt::format("dhcp pool '{}'", pool.name);
  if (pool.name.empty()) return fail("dhcp pool: no name");
  if (pools_.count(pool.name) != 0) return fail("{}: there is one", what);
  if (!pool.network.address.is_v4()) return fail("{}: not an IPv4 network", what);
  pool.network = pool.network.network();
  if (pool.last < pool.first || pool.last.value - pool.first.value >= kMaxPool) {
    return fail("{}: {} to {}; accepted: 1..{} addresses", what, to_string(pool.first),
                to_string(pool.last), kMaxPool);
  }
  if (!pool.network.contains(pool.first) || !pool.network.contains(pool.last)) {
    return fail("{}: {} to {} is not in {}", what, to_string(pool.first), to_string(pool.last),
                to_string(pool.network));
  }
  if (pool.lease < 1s) return fail("{}: a lease of less than a second", what);
  if (pool.dns.size() > DhcpMessage::kMaxServers) {
    return fail("{}: at most {} name servers", what, DhcpMessage::kMaxServers);
  }
  State& state = pools_[pool.name];
  for (const auto& [mac, address] : pool.fixed) state.reserved.insert(address.value);
  if (pool.router) state.reserved.insert(pool.router->value);
  state.pool = std::move(pool);
  return {};
}

Result<void> DhcpServer::remove(std::string_view name) {
  const auto it = pools_.find(name);
  if (it == pools_.end()) return fail("no dhcp pool '{}'", name);
  pools_.erase(it);
  return {};
}

std::vector<const DhcpPool*> DhcpServer::pools() const {
  std::vector<const DhcpPool*> all;
  for (const auto& [name, state] : pools_) all.push_back(&state.pool);
  return all;
}

std::vector<DhcpLease> DhcpServer::leases(std::string_view name) const {
  std::vector<DhcpLease> all;
  const auto it = pools_.find(name);
  if (it == pools_.end()) return all;
  for (const auto& [address, lease] : it->second.leases) all.push_back(lease);
  return all;
}

DhcpServer::State* DhcpServer::pool_for(Ip4 link) {
  for (auto& [name, state] : pools_) {
    if (state.pool.network.contains(link)) return &state;
  }
  return nullptr;
}

DhcpLease* DhcpServer::lease_of(State& state, const std::vector<uint8_t>& client) {
  const auto it = state.by_client.find(client);
  return it == state.by_client.end() ? nullptr : &state.leases[it->second];
}

void DhcpServer::set_state(State& state, DhcpLease& lease, DhcpLease::State now, Instant expires) {
  const uint32_t address = lease.address.value;
  state.by_end.erase({lease.expires, address});
  lease.state = now;
  lease.expires = expires;
  const DhcpPool& pool = state.pool;
  const bool is_in_range = address >= pool.first.value && address <= pool.last.value;
  if (is_in_range && !state.reserved.contains(address)) state.by_end.insert({expires, address});
}

void DhcpServer::set_free(State& state, DhcpLease& lease) {
  const Instant now = vnet_.stack().loop.now();
  set_state(state, lease, DhcpLease::State::Free, std::min(lease.expires, now));
}

bool DhcpServer::is_free(const State& state, uint32_t address) const {
  const auto it = state.leases.find(address);
  return it == state.leases.end() || it->second.expires <= vnet_.stack().loop.now();
}

// Within the range, a host's, not reserved, and not this host's.
bool DhcpServer::may_lease(const State& state, uint32_t address) const {
  const DhcpPool& pool = state.pool;
  if (address < pool.first.value || address > pool.last.value) return false;
  if (pool.network.length < 31) {  // The network's own and its broadcast address (RFC 1122).
    const uint32_t hosts = ~uint32_t{0} >> pool.network.length;
    if ((address & hosts) == 0 || (address & hosts) == hosts) return false;
  }
  return !state.reserved.contains(address) && !vnet_.is_local(Ip4{address});
}

DhcpLease* DhcpServer::take(State& state, uint32_t address, const std::vector<uint8_t>& client) {
  DhcpLease& lease = state.leases[address];
  if (!lease.client.empty() && lease.client != client) state.by_client.erase(lease.client);
  if (DhcpLease* old = lease_of(state, client); old != nullptr && old != &lease) {
    old->client.clear();
    set_free(state, *old);
  }
  lease.address = {address};
  lease.client = client;
  state.by_client[client] = address;
  return &lease;
}

// Which address a client that asks gets (RFC 2131 section 4.3.1); nullptr when none is left.
DhcpLease* DhcpServer::choose(State& state, const DhcpMessage& ask,
                              const std::vector<uint8_t>& client) {
  if (const auto fixed = state.pool.fixed.find(ask.mac); fixed != state.pool.fixed.end()) {
    return take(state, fixed->second.value, client);
  }
  DhcpLease* old = lease_of(state, client);
  if (old != nullptr && old->state != DhcpLease::State::Declined &&
      may_lease(state, old->address.value)) {
    return old;
  }
  if (ask.requested && may_lease(state, ask.requested->value) &&
      is_free(state, ask.requested->value)) {
    return take(state, ask.requested->value, client);
  }
  const uint32_t size = state.pool.last.value - state.pool.first.value + 1;
  for (; state.next < size; ++state.next) {
    const uint32_t address = state.pool.first.value + state.next;
    if (!may_lease(state, address) || state.leases.count(address) != 0) continue;
    ++state.next;
    return take(state, address, client);
  }
  for (const auto& [expires, address] : state.by_end) {
    if (expires > vnet_.stack().loop.now()) break;
    if (may_lease(state, address)) return take(state, address, client);
  }
  return nullptr;
}

DhcpMessage DhcpServer::reply(const State& state, const DhcpMessage& ask, DhcpType type,
                              Ip4 own) const {
  DhcpMessage m;
  m.is_reply = true;
  m.xid = ask.xid;
  m.broadcast = ask.broadcast;
  m.relay = ask.relay;
  m.mac = ask.mac;
  m.type = type;
  m.server = own;
  m.client_id = ask.client_id;  // RFC 6842.
  m.relay_info = ask.relay_info;
  if (type == DhcpType::Nak) return m;
  const DhcpPool& pool = state.pool;
  m.mask = Ip4{pool.network.length == 0 ? 0 : ~uint32_t{0} << (32 - pool.network.length)};
  m.router = pool.router;
  m.dns = pool.dns;
  if (type == DhcpType::Ack && ask.type == DhcpType::Inform) return m;
  m.lease_s =
      static_cast<uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(pool.lease).count());
  return m;
}

std::optional<DhcpMessage> DhcpServer::offer(State& state, const DhcpMessage& ask, Ip4 own) {
  DhcpLease* lease = choose(state, ask, client_of(ask));
  if (lease == nullptr) return std::nullopt;
  const Instant now = vnet_.stack().loop.now();
  lease->mac = ask.mac;
  if (lease->state != DhcpLease::State::Bound || lease->expires <= now) {
    set_state(state, *lease, DhcpLease::State::Offered, now + kHold);
  }
  DhcpMessage m = reply(state, ask, DhcpType::Offer, own);
  m.yours = lease->address;
  return m;
}

// RFC 2131 section 4.3.2: selecting (with our identifier), after a reboot, renewing.
std::optional<DhcpMessage> DhcpServer::request(State& state, const DhcpMessage& ask, Ip4 own) {
  if (ask.server && *ask.server != own) {
    // Another server was chosen: what we offered is free again.
    DhcpLease* lease = lease_of(state, client_of(ask));
    if (lease != nullptr && lease->state == DhcpLease::State::Offered) set_free(state, *lease);
    return std::nullopt;
  }
  const Ip4 wanted = ask.requested.value_or(ask.client);
  DhcpLease* lease = lease_of(state, client_of(ask));
  const bool has_it =
      lease != nullptr && lease->address == wanted &&
      (lease->state == DhcpLease::State::Offered || lease->state == DhcpLease::State::Bound);
  if (!has_it) {
    // A server without a record of the client keeps silent, unless the address is of another link.
    const bool is_wrong_link = !state.pool.network.contains(wanted);
    if (lease == nullptr && !ask.server && !is_wrong_link) return std::nullopt;
    return reply(state, ask, DhcpType::Nak, own);
  }
  lease->mac = ask.mac;
  set_state(state, *lease, DhcpLease::State::Bound, vnet_.stack().loop.now() + state.pool.lease);
  DhcpMessage m = reply(state, ask, DhcpType::Ack, own);
  m.client = ask.client;
  m.yours = lease->address;
  return m;
}

std::optional<DhcpMessage> DhcpServer::answer(const DhcpMessage& ask, Ip4 own) {
  State* state = pool_for(ask.relay.value != 0 ? ask.relay : own);
  if (state == nullptr) return std::nullopt;
  DhcpLease* lease = lease_of(*state, client_of(ask));
  switch (ask.type) {
    case DhcpType::Discover: return offer(*state, ask, own);
    case DhcpType::Request: return request(*state, ask, own);
    case DhcpType::Release:
      if (lease != nullptr && lease->address == ask.client) set_free(*state, *lease);
      return std::nullopt;
    case DhcpType::Decline:
      if (lease != nullptr && ask.requested && lease->address == *ask.requested) {
        state->by_client.erase(lease->client);
        lease->client.clear();
        set_state(*state, *lease, DhcpLease::State::Declined, vnet_.stack().loop.now() + kDeclined);
      }
      return std::nullopt;
    case DhcpType::Inform: {
      DhcpMessage m = reply(*state, ask, DhcpType::Ack, own);
      m.client = ask.client;
      return m;
    }
    case DhcpType::Offer:
    case DhcpType::Ack:
    case DhcpType::Nak: return std::nullopt;
  }
  UNREACHABLE();
}

// --- port 67 ---

void add_dhcp_nodes(Stack& stack) {
  using graph::Severity;
  stack.node.dhcp_server = stack.graph.add_process(
      "dhcp-server",
      errors_of(net::kDhcpFaultNames) +
          std::vector<graph::ErrorSpec>{
              {"no_address", Severity::Warning, "interface has no address to answer from"},
              {"no_answer", Severity::Warning, "no pool, no address left, or another's client"},
              {"too_many_hops", Severity::Error, "relayed too often"},
              {"relay_without_address", Severity::Warning, "relay's interface has no address"},
              {"not_asked", Severity::Error, "answer of a server that was not asked"}});
  stack.node.dhcp_client = stack.graph.add_process(
      "dhcp-client", errors_of(net::kDhcpFaultNames) +
                         std::vector<graph::ErrorSpec>{
                             {"no_client", Severity::Warning, "interface asks for no address"}});
}

Result<void> DhcpService::open() {
  if (socket_ != nullptr) return {};
  socket_ = TRY(
      vnet_.open_udp({.port = net::kDhcpServerPort}, [this](const UdpDatagram& d) { receive(d); }));
  return {};
}

void DhcpService::close_if_unused() {
  if (server_.is_empty() && relays_.empty()) socket_ = nullptr;
}

Result<void> DhcpService::add_pool(DhcpPool pool) {
  TRY(open());
  auto added = server_.add(std::move(pool));
  close_if_unused();
  return added;
}

Result<void> DhcpService::remove_pool(std::string_view name) {
  TRY(server_.remove(name));
  close_if_unused();
  return {};
}

Result<void> DhcpService::set_relay(uint16_t interface, std::vector<Ip4> servers) {
  constexpr size_t kMaxRelayServers = 8;
  TRY(vnet_.stack().interfaces.attached(interface));
  if (servers.empty() || servers.size() > kMaxRelayServers) {
    return fail("dhcp relay to {} servers; accepted: 1..{}", servers.size(), kMaxRelayServers);
  }
  TRY(vnet_.bridges().check_routed(interface, "a DHCP relay"));
  TRY(open());
  relays_[interface] = std::move(servers);
  return {};
}

Result<void> DhcpService::remove_relay(uint16_t interface) {
  const InterfaceEntry& entry = *TRY(vnet_.stack().interfaces.attached(interface));
  if (relays_.erase(interface) == 0) return fail("no dhcp relay on interface {}", entry.name);
  close_if_unused();
  return {};
}

void DhcpService::receive(const UdpDatagram& datagram) {
  const auto message = DhcpMessage::parse(datagram.payload());
  const auto note = [this](uint16_t drop) {
    vnet_.graph().count(vnet_.stack().node.dhcp_server, drop);
  };
  if (!message) {
    ++counters_.malformed;
    return note(static_cast<uint16_t>(message.fault()));
  }
  ++counters_.received;
  if (message->is_reply) {
    relay_down(*message, datagram);
    return;
  }
  const uint16_t interface = datagram.packet.rx_interface;
  if (const auto relay = relays_.find(interface); relay != relays_.end()) {
    relay_up(*message, interface, relay->second);
    return;
  }
  const net::IpAddress* source = vnet_.stack().interfaces[interface].source_for(message->relay);
  if (source == nullptr) {
    ++counters_.unanswered;
    return note(kNoAddress);
  }
  const Ip4 own = source->v4();
  const auto reply = server_.answer(*message, own);
  if (!reply) {
    ++counters_.unanswered;
    return note(kNoAnswer);
  }
  ++counters_.answered;
  if (reply->relay.value != 0) {
    // No route to the relay is as if its answer had been lost.
    (void)socket_->send(reply->relay, net::kDhcpServerPort, reply->emit(),
                        {.table = datagram.table});
    return;
  }
  send_answer(*reply, interface, own);
}

// RFC 2131 section 4.1: to the address it has, to the one it gets, or to all.
void DhcpService::send_answer(const DhcpMessage& m, uint16_t interface, Ip4 own) {
  const Ip4 everybody{0xffffffff};
  const bool to_all = m.type == DhcpType::Nak || (m.client.value == 0 && m.broadcast);
  const Ip4 to = to_all ? everybody : m.client.value != 0 ? m.client : m.yours;
  send_dhcp(vnet_, interface, m, own, to, to_all ? MacAddress::broadcast() : m.mac,
            net::kDhcpServerPort, net::kDhcpClientPort);
}

void DhcpService::relay_up(DhcpMessage m, uint16_t interface, const std::vector<Ip4>& servers) {
  const InterfaceEntry& entry = vnet_.stack().interfaces[interface];
  const net::IpAddress* own = entry.source_for(servers[0]);
  if (m.hops >= kMaxHops || own == nullptr) {
    ++counters_.relay_refused;
    vnet_.graph().count(vnet_.stack().node.dhcp_server,
                        own == nullptr ? kRelayWithoutAddress : kTooManyHops);
    return;
  }
  ++m.hops;
  if (m.relay.value == 0) m.relay = own->v4();
  for (const Ip4 server : servers) {
    ++counters_.relayed_up;
    // As above.
    (void)socket_->send(server, net::kDhcpServerPort, m.emit(), {.table = entry.vrf});
  }
}

// What a server says; nobody else on the way to this host may answer for one.
void DhcpService::relay_down(const DhcpMessage& m, const UdpDatagram& datagram) {
  const net::IpAddress& from = datagram.source;
  const uint16_t* interface = vnet_.stack().interfaces.owner(m.relay, datagram.table);
  const auto relay = interface != nullptr ? relays_.find(*interface) : relays_.end();
  if (relay == relays_.end() || !from.is_v4() ||
      std::find(relay->second.begin(), relay->second.end(), from.v4()) == relay->second.end()) {
    ++counters_.relay_refused;
    vnet_.graph().count(vnet_.stack().node.dhcp_server, kNotAsked);
    return;
  }
  ++counters_.relayed_down;
  send_answer(m, *interface, m.relay);
}

void send_dhcp(Vnet& vnet, uint16_t interface, const DhcpMessage& message, Ip4 from, Ip4 to,
               const MacAddress& mac, uint16_t from_port, uint16_t to_port) {
  Stack& stack = vnet.stack();
  const InterfaceEntry& entry = stack.interfaces[interface];
  net::PacketPtr p = stack.pool.allocate();
  if (p == nullptr || entry.device == nullptr) return;  // The pool counts it; it is asked again.
  const std::vector<uint8_t> bytes = message.emit();
  const auto length = static_cast<uint16_t>(net::UdpHeader::kSize + bytes.size());
  net::UdpHeader{from_port, to_port, length,
                 net::pseudo_header(from, to, net::kProtocolUdp, length).folded()}
      .emit({p->push(net::UdpHeader::kSize), net::UdpHeader::kSize});
  net::Ip4Header{.source = from,
                 .destination = to,
                 .protocol = net::kProtocolUdp,
                 .total_length = static_cast<uint16_t>(length + net::Ip4Header::kMinSize),
                 .id = stack.new_ip_id()}
      .emit({p->push(net::Ip4Header::kMinSize), net::Ip4Header::kMinSize});
  const net::EthernetHeader header{mac, entry.device->mac(), net::EtherType::Ip4};
  header.emit({p->push(header.size()), header.size()});
  append_bytes(*p, bytes);
  p->checksum = net::Checksum::Needed;
  p->l3_offset = static_cast<uint16_t>(header.size());
  p->l4_offset = static_cast<uint16_t>(header.size() + net::Ip4Header::kMinSize);
  p->interface = interface;
  stack.graph.enqueue(stack.node.interface_output, std::move(p));
  stack.graph.run();
}

}  // namespace wh::vnet
