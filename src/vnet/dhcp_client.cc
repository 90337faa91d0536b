// The client's side of DHCP (RFC 2131 section 4.4).
//
//   Init --> Selecting --offer--> Requesting --ack--> Bound --T1--> Renewing --T2--> Rebinding
//     ^----------- no answer, nak, the lease is over --------------------------------'
#include <algorithm>

#include "vnet/dhcp.h"
#include "vnet/replica.h"
#include "vnet/stack.h"
#include "vnet/vnet.h"

namespace wh::vnet {

using net::DhcpMessage;
using net::DhcpType;
using net::Family;
using net::Ip4;
using net::MacAddress;
using net::Prefix;

namespace {

constexpr Duration kFirstWait = 4s;  // Doubles with each try (section 4.1).
constexpr int kMaxTries = 5;
constexpr Duration kRestart = 10s;
constexpr Duration kLeastRetry = 60s;  // Between renewals (section 4.4.5).
const Prefix kDefault{Ip4{0}, 0};

uint8_t length_of(Ip4 mask) {
  return static_cast<uint8_t>(std::countl_one(mask.value));
}

}  // namespace

const char* to_string(DhcpClient::State state) {
  switch (state) {
    case DhcpClient::State::Init: return "init";
    case DhcpClient::State::Selecting: return "selecting";
    case DhcpClient::State::Requesting: return "requesting";
    case DhcpClient::State::Bound: return "bound";
    case DhcpClient::State::Renewing: return "renewing";
    case DhcpClient::State::Rebinding: return "rebinding";
  }
  UNREACHABLE();
}

DhcpClient::DhcpClient(Vnet& vnet, uint16_t interface)
    : vnet_(vnet),
      random_(vnet.random().fork("dhcp")),
      interface_(interface),
      timer_(vnet.loop(), [this] { act(); }) {
  restart(0s);
}

DhcpClient::~DhcpClient() {
  unbind();
}

void DhcpClient::restart(Duration after) {
  unbind();
  state_ = State::Init;
  tries_ = 0;
  xid_ = static_cast<uint32_t>(random_.next());
  // A replica is told of its address by the vnet that asks for it.
  if (vnet_.stack().handoff == nullptr) timer_.arm(vnet_.loop().now() + after);
}

void DhcpClient::send(DhcpType type) {
  const InterfaceEntry& entry = vnet_.stack().interfaces[interface_];
  if (entry.device == nullptr) return;
  DhcpMessage m;
  m.type = type;
  m.xid = xid_;
  m.mac = entry.device->mac();
  const bool has_address = address_.has_value();
  m.broadcast = !has_address;  // Nothing is delivered here by unicast before we have it.
  if (has_address) m.client = address_->address.v4();
  if (state_ == State::Requesting) {
    m.requested = offered_;
    m.server = server_;
  }
  if (type == DhcpType::Release) m.server = server_;
  // Renewing asks the one server, all else everybody; on this link either way, which a relay hears.
  send_dhcp(vnet_, interface_, m, m.client, Ip4{0xffffffff}, MacAddress::broadcast(),
            net::kDhcpClientPort, net::kDhcpServerPort);
}

// The timer: something was due, or no answer came.
void DhcpClient::act() {
  const Instant now = vnet_.loop().now();
  switch (state_) {
    case State::Init: state_ = State::Selecting; [[fallthrough]];
    case State::Selecting:
    case State::Requesting: {
      if (tries_ >= kMaxTries) return restart(kRestart);
      send(state_ == State::Selecting ? DhcpType::Discover : DhcpType::Request);
      const auto jitter = Duration(static_cast<int64_t>(random_.below(2'000'000'000)));
      timer_.arm(now + kFirstWait * (1 << tries_++) - 1s + jitter);
      return;
    }
    case State::Bound:
    case State::Renewing:
    case State::Rebinding:
      if (now >= expires_) return restart(0s);
      state_ = now >= rebinds_ ? State::Rebinding : State::Renewing;
      send(DhcpType::Request);
      const Instant end = state_ == State::Renewing ? rebinds_ : expires_;
      timer_.arm(std::min(end, now + std::max(kLeastRetry, (end - now) / 2)));
      return;
  }
}

void DhcpClient::receive(const DhcpMessage& m) {
  const InterfaceEntry& entry = vnet_.stack().interfaces[interface_];
  if (!m.is_reply || m.xid != xid_ || entry.device == nullptr || m.mac != entry.device->mac()) {
    return;
  }
  if (m.type == DhcpType::Offer && state_ == State::Selecting && m.server && m.yours.value != 0) {
    offered_ = m.yours;
    server_ = *m.server;
    state_ = State::Requesting;
    tries_ = 0;
    act();
  } else if (m.type == DhcpType::Nak && state_ != State::Init && state_ != State::Selecting &&
             state_ != State::Bound) {
    restart(0s);
  } else if (m.type == DhcpType::Ack && state_ != State::Init && state_ != State::Selecting &&
             state_ != State::Bound && m.lease_s && m.yours.value != 0) {
    bind(m);
  }
}

void DhcpClient::bind(const DhcpMessage& ack) {
  const Instant now = vnet_.loop().now();
  const Duration lease = std::chrono::seconds(std::max(1u, *ack.lease_s));
  const Prefix address{ack.yours, length_of(ack.mask.value_or(Ip4{0xffffff00}))};
  if (address_ != address) {
    unbind();
    if (!vnet_.add_address(interface_, address)) {
      // It cannot be ours, whatever the server says.
      offered_ = ack.yours;
      state_ = State::Requesting;
      send(DhcpType::Decline);
      return restart(kRestart);
    }
    vnet_.stack().interfaces[interface_].find(address.address)->is_leased = true;
    address_ = address;
    tell_address(*address_, true);
  }
  if (router_ != ack.router) {
    drop_router();
    router_ = ack.router;
    // A router that is not on the link is none.
    if (router_ && !vnet_.add_dhcp_route(interface_, *router_)) router_.reset();
    if (Discoveries* told = vnet_.stack().discoveries; told != nullptr && router_) {
      told->default_router(interface_, *router_, true);
    }
  }
  dns_ = ack.dns;
  if (ack.server) server_ = *ack.server;
  state_ = State::Bound;
  tries_ = 0;
  expires_ = now + lease;
  // A time of 0 would have it ask without end. (The longest lease is 136 years, whose sevenfold is
  // no Duration.)
  const auto time = [](std::optional<uint32_t> given, Duration usual) -> Duration {
    return given.value_or(0) != 0 ? std::chrono::seconds(*given) : usual;
  };
  renews_ = now + time(ack.renew_s, lease / 2);
  rebinds_ = now + time(ack.rebind_s, lease / 8 * 7);
  rebinds_ = std::min(rebinds_, expires_);
  renews_ = std::min(renews_, rebinds_);
  timer_.arm(renews_);
}

void DhcpClient::drop_router() {
  if (!router_) return;
  vnet_.remove_dhcp_route(interface_);
  if (Discoveries* told = vnet_.stack().discoveries)
    told->default_router(interface_, *router_, false);
  router_.reset();
}

void DhcpClient::tell_address(const Prefix& address, bool is_there) {
  if (Discoveries* told = vnet_.stack().discoveries) told->address(interface_, address, is_there);
}

void DhcpClient::unbind() {
  drop_router();
  if (address_) {
    // It may be gone with its interface, or by hand.
    (void)vnet_.remove_address(interface_, address_->address);
    tell_address(*address_, false);
  }
  address_.reset();
  dns_.clear();
}

void DhcpClient::release() {
  if (address_) send(DhcpType::Release);
  restart(kRestart);
}

// --- its route ---

bool Vnet::add_dhcp_route(uint16_t index, net::Ip4 router) {
  const uint16_t vrf = stack_->interfaces[index].vrf;
  const Prefix everywhere{Ip4{0}, 0};
  Fib& fib = stack_->fib(Family::V4, vrf);
  const Adjacency& link = stack_->adjacencies[fib.lookup(IpAddress(router))];
  if (link.interface != index || fib.find(everywhere, RouteSource::Dhcp) != kNoRoute) return false;
  const NextHop hop{router, index};
  const auto adjacency = stack_->paths.acquire(vrf, Family::V4, std::span(&hop, 1));
  if (!adjacency) return false;
  fib.set(everywhere, RouteSource::Dhcp, *adjacency);
  return true;
}

void Vnet::remove_dhcp_route(uint16_t index) {
  const Prefix everywhere{Ip4{0}, 0};
  Fib& fib = stack_->fib(Family::V4, stack_->interfaces[index].vrf);
  const AdjacencyIndex way = fib.find(everywhere, RouteSource::Dhcp);
  if (!stack_->paths.uses(way, index)) return;
  fib.remove(everywhere, RouteSource::Dhcp);
  stack_->paths.release(way);
}

// --- all of them ---

Result<void> DhcpClients::add(uint16_t interface) {
  const InterfaceEntry& entry = *TRY(vnet_.stack().interfaces.attached(interface));
  if (has(interface)) return fail("interface {}: has a dhcp client", entry.name);
  TRY(vnet_.bridges().check_routed(interface, "a DHCP client"));
  if (socket_ == nullptr) {
    socket_ = TRY(vnet_.open_udp({.port = net::kDhcpClientPort},
                                 [this](const UdpDatagram& d) { receive(d); }));
  }
  clients_[interface] = std::make_unique<DhcpClient>(vnet_, interface);
  return {};
}

Result<void> DhcpClients::remove(uint16_t interface) {
  const auto it = clients_.find(interface);
  if (it == clients_.end()) return fail("interface {}: has no dhcp client", interface);
  it->second->release();
  clients_.erase(it);
  if (clients_.empty()) socket_ = nullptr;
  return {};
}

std::vector<const DhcpClient*> DhcpClients::clients() const {
  std::vector<const DhcpClient*> all;
  for (const auto& [interface, client] : clients_) all.push_back(client.get());
  return all;
}

void DhcpClients::receive(const UdpDatagram& datagram) {
  const auto it = clients_.find(datagram.packet.rx_interface);
  const auto message = DhcpMessage::parse(datagram.payload());
  if (it != clients_.end() && message) return it->second->receive(*message);
  constexpr uint16_t kNoClient = net::kDhcpFaultNames.size();
  vnet_.graph().count(vnet_.stack().node.dhcp_client,
                      message ? kNoClient : static_cast<uint16_t>(message.fault()));
}

}  // namespace wh::vnet
