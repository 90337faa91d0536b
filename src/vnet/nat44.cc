#include "vnet/nat44.h"

#include <algorithm>

#include "net/wire/tcp.h"
#include "vnet/bridge.h"
#include "vnet/feature_node.h"
#include "vnet/shallow_reassembly.h"

namespace wh::vnet {

using net::Ip4;

namespace {

constexpr Duration kMappingSweep = 5s;
// A quarter of a millisecond's work; if there is more, packets pass before that.
constexpr int kMostEnded = 256;
constexpr Duration kSweepOn = 1ms;

// How endpoints of static mappings are looked up: a whole address is any protocol's and port's.
NatEndpoint whole(Ip4 address, uint16_t vrf = 0) {
  return {0, address, 0, vrf};
}
NatEndpoint inside_of_static(const NatStatic& m) {
  return {m.protocol, m.inside, m.inside_port, m.vrf};
}

}  // namespace

Nat44::Nat44(Stack& stack)
    : stack_(stack),
      random_(stack.random.fork("nat44")),
      timer_(stack.loop, [this] { expire(); }) {}

// --- configuration ---

Result<void> Nat44::set_role(uint16_t interface, NatRole role_wanted) {
  const InterfaceEntry& entry = *TRY(stack_.interfaces.attached(interface));
  const NatRole old = role(interface);
  if (role_wanted == NatRole::None && old == NatRole::None) {
    return fail("interface {}: neither inside nor outside", entry.name);
  }
  if (role_wanted != NatRole::None && old != NatRole::None) {
    return fail("interface {}: is {}", entry.name, old == NatRole::Inside ? "inside" : "outside");
  }
  if (role_wanted != NatRole::None) TRY(stack_.bridges->check_routed(interface, "NAT44"));
  if (roles_.size() <= interface) roles_.resize(interface + 1u);
  roles_[interface] = role_wanted;
  const bool is_outside = role_wanted == NatRole::Outside;
  const bool is_inside = role_wanted == NatRole::Inside;
  set_feature(stack_, interface, FeatureArc::Ip4Input, "nat44-out2in", is_outside);
  set_feature(stack_, interface, FeatureArc::Ip4Input, "nat44-hairpinning", is_inside);
  set_feature(stack_, interface, FeatureArc::Ip4Output, "nat44-in2out-output", is_outside);
  want_shallow_reassembly(stack_, interface, true, ShallowUser::Nat, is_outside || is_inside);
  want_shallow_reassembly(stack_, interface, false, ShallowUser::Nat, is_outside);
  return {};
}

void Nat44::forget(uint16_t interface) {
  if (is_at_pool(interface)) MUST(remove_interface_addresses(interface));
  if (role(interface) != NatRole::None) MUST(set_role(interface, NatRole::None));
}

Result<void> Nat44::add_address(Ip4 address) {
  if (address.value == 0 || address.is_multicast() || address.is_broadcast() ||
      address.is_loopback()) {
    return fail("nat address {}: not a host's", to_string(address));
  }
  if (is_pool_address(address)) return fail("nat address {}: is in the pool", to_string(address));
  if (addresses_.size() >= kMaxAddresses) return fail("nat: at most {} addresses", kMaxAddresses);
  addresses_.push_back(address);
  return {};
}

Result<void> Nat44::remove_address(Ip4 address) {
  if (std::erase(addresses_, address) == 0) {
    return fail("nat address {}: not in the pool", to_string(address));
  }
  end_unpooled(address);
  return {};
}

void Nat44::end_unpooled(Ip4 address) {
  const auto all = pool();
  if (std::find(all.begin(), all.end(), address) != all.end() || !ports_.has(address)) return;
  erase_if([&](const NatMapping& m) { return m.outside.address == address; });
}

Result<void> Nat44::add_interface_addresses(uint16_t interface) {
  const InterfaceEntry& entry = *TRY(stack_.interfaces.attached(interface));
  if (is_at_pool(interface)) {
    return fail("nat addresses of interface {}: are in the pool", entry.name);
  }
  address_interfaces_.push_back(interface);
  return {};
}

Result<void> Nat44::remove_interface_addresses(uint16_t interface) {
  const InterfaceEntry& entry = *TRY(stack_.interfaces.attached(interface));
  if (std::erase(address_interfaces_, interface) == 0) {
    return fail("nat addresses of interface {}: not in the pool", entry.name);
  }
  for (const InterfaceAddress& a : entry.addresses) {
    if (a.prefix.address.is_v4()) end_unpooled(a.prefix.address.v4());
  }
  return {};
}

std::vector<Ip4> Nat44::pool() const {
  std::vector<Ip4> all = addresses_;
  for (const uint16_t interface : address_interfaces_) {
    for (const InterfaceAddress& a : stack_.interfaces[interface].addresses) {
      if (!a.prefix.address.is_v4()) continue;
      const Ip4 own = a.prefix.address.v4();
      if (std::find(all.begin(), all.end(), own) == all.end()) all.push_back(own);
    }
  }
  return all;
}

Result<void> Nat44::add_static(const NatStatic& m) {
  const bool has_port = m.protocol == net::kProtocolTcp || m.protocol == net::kProtocolUdp ||
                        m.protocol == net::kProtocolIcmp;
  if (m.protocol != 0 && (!has_port || m.outside_port == 0 || m.inside_port == 0)) {
    return fail("static mapping of protocol {} port {}; accepted: tcp, udp or icmp, ports 1..65535",
                m.protocol, m.outside_port);
  }
  if (m.protocol == 0 && (m.outside_port != 0 || m.inside_port != 0)) {
    return fail("static mapping: ports need a protocol");
  }
  if (statics_.size() >= kMaxStatic) return fail("nat: at most {} static mappings", kMaxStatic);
  const NatEndpoint outside{m.protocol, m.outside, m.outside_port, 0};
  const NatEndpoint inside = inside_of_static(m);
  if (static_in_.count(outside) != 0 || static_out_.count(inside) != 0) {
    return fail("static mapping {}:{}: there is one", to_string(m.outside), m.outside_port);
  }
  const auto dynamic = by_outside_.find(outside);
  if (dynamic != by_outside_.end()) erase(dynamic->second);
  ports_.take(m.protocol, m.outside, m.outside_port);
  statics_.push_back(m);
  static_in_[outside] = m;
  ++static_addresses_[m.outside.value];
  static_out_[inside] = m;
  return {};
}

Result<void> Nat44::remove_static(const NatStatic& m) {
  if (std::erase(statics_, m) == 0) {
    return fail("no static mapping {}:{} to {}:{}", to_string(m.outside), m.outside_port,
                to_string(m.inside), m.inside_port);
  }
  static_in_.erase({m.protocol, m.outside, m.outside_port, 0});
  ports_.give_back(m.protocol, m.outside, m.outside_port);
  if (--static_addresses_[m.outside.value] == 0) static_addresses_.erase(m.outside.value);
  static_out_.erase(inside_of_static(m));
  return {};
}

Result<void> Nat44::leave_vrf(uint16_t vrf) {
  for (const NatStatic& m : statics_) {
    if (m.vrf == vrf) return fail("the static mapping to {} is in it", to_string(m.inside));
  }
  erase_if([&](const NatMapping& m) { return m.inside.vrf == vrf; });
  return {};
}

Result<void> Nat44::set_max_mappings(size_t n) {
  if (n == 0) return fail("nat: 0 mappings; accepted: 1 or more");
  max_ = n;
  const auto older = [](const Ages& a, const Ages& b) {
    return !a.empty() && (b.empty() || a.front().kept_alive < b.front().kept_alive);
  };
  while (by_inside_.size() > max_) {
    erase(std::min_element(ages_.begin(), ages_.end(), older)->begin());
  }
  return {};
}

std::vector<const NatMapping*> Nat44::mappings() const {
  std::vector<const NatMapping*> all;
  for (const Ages& ages : ages_) {
    for (const NatMapping& m : ages) all.push_back(&m);
  }
  std::stable_sort(all.begin(), all.end(),
                   [](auto* a, auto* b) { return a->kept_alive < b->kept_alive; });
  return all;
}

void Nat44::clear() {
  erase_if([](const NatMapping&) { return true; });
}

// --- mappings ---

bool Nat44::is_pool_address(Ip4 address) const {
  return std::find(addresses_.begin(), addresses_.end(), address) != addresses_.end() ||
         static_in_.count(whole(address)) != 0 || is_of_interface(address);
}

bool Nat44::is_on_link_of(uint16_t interface, Ip4 address) const {
  if (role(interface) != NatRole::Outside) return false;
  if (std::find(addresses_.begin(), addresses_.end(), address) == addresses_.end() &&
      static_addresses_.count(address.value) == 0) {
    return false;
  }
  const auto& own = stack_.interfaces[interface].addresses;
  return std::any_of(own.begin(), own.end(), [&](const InterfaceAddress& a) {
    return a.prefix.address.is_v4() && a.prefix.contains(address);
  });
}

bool Nat44::is_at_pool(uint16_t interface) const {
  const auto& all = address_interfaces_;
  return std::find(all.begin(), all.end(), interface) != all.end();
}

bool Nat44::is_of_interface(Ip4 address) const {
  for (const uint16_t interface : address_interfaces_) {
    if (stack_.interfaces[interface].find(address) != nullptr) return true;
  }
  return false;
}

std::optional<NatEndpoint> Nat44::static_inside(const NatEndpoint& outside) const {
  if (static_in_.empty()) return std::nullopt;
  if (const auto it = static_in_.find(outside); it != static_in_.end()) {
    return NatEndpoint{outside.protocol, it->second.inside, it->second.inside_port, it->second.vrf};
  }
  if (const auto it = static_in_.find(whole(outside.address)); it != static_in_.end()) {
    return NatEndpoint{outside.protocol, it->second.inside, outside.port, it->second.vrf};
  }
  return std::nullopt;
}

std::optional<NatEndpoint> Nat44::static_outside(const NatEndpoint& inside) const {
  if (static_out_.empty()) return std::nullopt;
  if (const auto it = static_out_.find(inside); it != static_out_.end()) {
    return NatEndpoint{inside.protocol, it->second.outside, it->second.outside_port, 0};
  }
  if (const auto it = static_out_.find(whole(inside.address, inside.vrf));
      it != static_out_.end()) {
    return NatEndpoint{inside.protocol, it->second.outside, inside.port, 0};
  }
  return std::nullopt;
}

std::optional<NatEndpoint> Nat44::inside_of(const NatEndpoint& outside) {
  const auto it = by_outside_.find(outside);
  if (it != by_outside_.end() && !has_ended(*it->second)) return it->second->inside;
  return static_inside(outside);
}

std::optional<NatEndpoint> Nat44::outside_of(const NatEndpoint& inside, bool make) {
  if (const auto fixed = static_outside(inside)) return fixed;
  const auto it = by_inside_.find(inside);
  if (it != by_inside_.end() && !has_ended(*it->second)) return it->second->outside;
  if (!make) return std::nullopt;
  if (it != by_inside_.end()) erase(it->second);
  if (!make_room()) return std::nullopt;
  const auto outside = pick_outside(inside);
  if (!outside) return std::nullopt;
  NatMapping mapping{.inside = inside, .outside = *outside, .kept_alive = stack_.loop.now()};
  Ages& ages = ages_of(mapping);
  const auto made = ages.insert(ages.end(), mapping);
  by_inside_[inside] = made;
  by_outside_[*outside] = made;
  ports_.take(outside->protocol, outside->address, outside->port);
  if (!timer_.is_armed()) timer_.arm(stack_.loop.now() + kMappingSweep);
  return outside;
}

// The same address for all of an inside host (RFC 4787 REQ-2), its own port when that is free.
std::optional<NatEndpoint> Nat44::pick_outside(const NatEndpoint& inside) {
  const std::vector<Ip4> addresses = pool();
  if (addresses.empty()) return std::nullopt;
  const size_t start = inside.address.value % addresses.size();
  // A host's own address stays what it is.
  const auto own = std::find(addresses.begin(), addresses.end(), inside.address);
  const size_t first =
      own != addresses.end() ? static_cast<size_t>(own - addresses.begin()) : start;
  for (size_t i = 0; i < addresses.size(); ++i) {
    NatEndpoint e{inside.protocol, addresses[(first + i) % addresses.size()], inside.port, 0};
    if (ports_.is_free(e.protocol, e.address, e.port)) return e;
    const auto from = static_cast<uint16_t>(random_.between(NatPorts::kFirst, 0xffff));
    if (const auto port = ports_.find_free(e.protocol, e.address, from)) {
      e.port = *port;
      return e;
    }
  }
  return std::nullopt;
}

bool Nat44::make_room() {
  return by_inside_.size() < max_ || erase_ended();
}

// One that has ended. False when none has.
bool Nat44::erase_ended() {
  for (Ages& ages : ages_) {
    if (ages.empty() || !has_ended(ages.front())) continue;
    erase(ages.begin());
    return true;
  }
  return false;
}

void Nat44::erase(Ages::iterator mapping) {
  by_inside_.erase(mapping->inside);
  by_outside_.erase(mapping->outside);
  ports_.give_back(mapping->outside.protocol, mapping->outside.address, mapping->outside.port);
  ages_of(*mapping).erase(mapping);
}

template <class Which>
void Nat44::erase_if(Which which) {
  for (Ages& ages : ages_) {
    for (auto it = ages.begin(); it != ages.end();) {
      const auto next = std::next(it);
      if (which(*it)) erase(it);
      it = next;
    }
  }
}

Nat44::Kind Nat44::kind_of(const NatMapping& m) {
  switch (m.inside.protocol) {
    case net::kProtocolTcp: return m.is_established ? Kind::TcpEstablished : Kind::TcpTransitory;
    case net::kProtocolUdp: return Kind::Udp;
    default: return Kind::Icmp;
  }
}

Duration Nat44::idle_time(const NatMapping& m) const {
  switch (kind_of(m)) {
    case Kind::Udp: return timeouts_.udp;
    case Kind::TcpEstablished: return timeouts_.tcp_established;
    case Kind::TcpTransitory: return timeouts_.tcp_transitory;
    case Kind::Icmp: return timeouts_.icmp;
  }
  UNREACHABLE();
}

bool Nat44::has_ended(const NatMapping& m) const {
  return end_of(m) <= stack_.loop.now();
}

void Nat44::note(const NatEndpoint& inside, bool outward, uint8_t tcp_flags, uint32_t size) {
  const auto it = by_inside_.find(inside);
  if (it == by_inside_.end()) return;  // Static ones have no state.
  NatMapping& m = *it->second;
  Ages& before = ages_of(m);
  ++m.packets;
  m.bytes += size;
  (outward ? m.out_seen : m.in_seen) = true;
  if (net::TcpFlags{tcp_flags}.has_any(net::kTcpFin | net::kTcpRst)) {
    m.is_established = m.out_seen = m.in_seen = false;
  } else if (m.out_seen && m.in_seen) {
    m.is_established = true;
  }
  // Only what the inside sends keeps a mapping alive (RFC 4787 REQ-6), but for TCP's own traffic.
  if (!outward && m.inside.protocol != net::kProtocolTcp) return;
  m.kept_alive = stack_.loop.now();
  Ages& now = ages_of(m);
  now.splice(now.end(), before, it->second);
}

void Nat44::expire() {
  int most = kMostEnded;
  while (most > 0 && erase_ended()) --most;
  if (size() != 0) timer_.arm(stack_.loop.now() + (most == 0 ? kSweepOn : kMappingSweep));
}

}  // namespace wh::vnet
