#include "vnet/nat44.h"

#include <algorithm>

#include "net/wire/tcp.h"
#include "vnet/bridge.h"
#include "vnet/feature_node.h"
#include "vnet/shallow_reassembly.h"

namespace wh::vnet {

using net::Ip4;

namespace {

// Of mappings that have ended, how many are looked at for a port when none is free.
constexpr int kMostFreed = 64;

// An outside address and the VRF inside.
uint64_t group_of(Ip4 outside, uint16_t vrf) {
  return uint64_t{outside.value} << 16 | vrf;
}

// How endpoints of static mappings are looked up: a whole address is any protocol's and port's.
NatEndpoint whole(Ip4 address, uint16_t vrf = 0) {
  return {0, address, 0, vrf};
}
Result<void> check_host(Ip4 address) {
  if (address.value != 0 && !address.is_multicast() && !address.is_broadcast() &&
      !address.is_loopback()) {
    return {};
  }
  return fail("nat address {}: not a host's", to_string(address));
}
NatEndpoint inside_of_static(const NatStatic& m) {
  return {m.protocol, m.inside, m.inside_port, m.vrf};
}

}  // namespace

Nat44::Nat44(Stack& stack)
    : stack_(stack),
      random_(stack.random.fork("nat44")),
      key_(SipKey::draw(stack.random.fork("nat44 endpoints"))),
      static_in_(0, Hash{key_}),
      static_out_(0, Hash{key_}),
      ages_(stack.loop, idle_times({}), kUsualMappings,
            [this](SessionAges::Session& s) { erase(static_cast<NatMapping&>(s)); }),
      by_inside_(0, Hash{key_}),
      by_outside_(0, Hash{key_}) {}

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
  TRY(check_host(address));
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
  ages_.end_groups([&](uint64_t group) { return group >> 16 == address.value; });
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
  TRY(check_host(m.outside));
  TRY(check_host(m.inside));
  if (statics_.size() >= kMaxStatic) return fail("nat: at most {} static mappings", kMaxStatic);
  const NatEndpoint outside{m.protocol, m.outside, m.outside_port, 0};
  const NatEndpoint inside = inside_of_static(m);
  if (static_in_.count(outside) != 0 || static_out_.count(inside) != 0) {
    return fail("static mapping of {}:{} to {}:{}: there is one of either", to_string(m.outside),
                m.outside_port, to_string(m.inside), m.inside_port);
  }
  if (m.protocol == 0) end_dynamic(m);
  if (const auto d = by_outside_.find(outside); d != by_outside_.end()) ages_.erase(*d->second);
  if (const auto d = by_inside_.find(inside); d != by_inside_.end()) ages_.erase(d->second);
  ports_.take(m.protocol, m.outside, m.outside_port);
  statics_.push_back(m);
  static_in_[outside] = m;
  ++static_addresses_[m.outside.value];
  static_out_[inside] = m;
  return {};
}

// Of a whole address, outside or inside.
void Nat44::end_dynamic(const NatStatic& m) {
  ages_.end_groups([&](uint64_t group) { return group >> 16 == m.outside.value; });
  std::vector<NatMapping*> inside;
  for (auto& [endpoint, mapping] : by_inside_) {
    if (endpoint.address == m.inside && endpoint.vrf == m.vrf) inside.push_back(&mapping);
  }
  for (NatMapping* mapping : inside) ages_.erase(*mapping);
}

Result<void> Nat44::remove_static(const NatStatic& m) {
  // All are taken back last first.
  const auto it = std::find(statics_.rbegin(), statics_.rend(), m);
  if (it == statics_.rend()) {
    return fail("no static mapping {}:{} to {}:{}", to_string(m.outside), m.outside_port,
                to_string(m.inside), m.inside_port);
  }
  statics_.erase(std::next(it).base());
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
  ages_.end_groups([&](uint64_t group) { return (group & 0xffff) == vrf; });
  return {};
}

Result<void> Nat44::set_max_mappings(size_t n) {
  if (n == 0) return fail("nat: 0 mappings; accepted: 1 or more");
  ages_.set_most(n);
  return {};
}

void Nat44::set_timeouts(const NatTimeouts& timeouts) {
  timeouts_ = timeouts;
  ages_.set_idle_times(idle_times(timeouts));
}

std::vector<const NatMapping*> Nat44::mappings() const {
  std::vector<const NatMapping*> all;
  ages_.each([&](const auto& s) { all.push_back(static_cast<const NatMapping*>(&s)); });
  std::stable_sort(all.begin(), all.end(), [](auto* a, auto* b) { return a->used < b->used; });
  return all;
}

void Nat44::clear() {
  ages_.end_groups([](uint64_t) { return true; });
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
  if (it != by_outside_.end() && !ages_.has_ended(*it->second)) return it->second->inside;
  return static_inside(outside);
}

std::optional<NatEndpoint> Nat44::outside_of(const NatEndpoint& inside, bool make) {
  if (const auto fixed = static_outside(inside)) return fixed;
  const auto it = by_inside_.find(inside);
  if (it != by_inside_.end() && !ages_.has_ended(it->second)) return it->second.outside;
  if (!make) return std::nullopt;
  if (it != by_inside_.end()) ages_.erase(it->second);
  if (!ages_.make_room()) return std::nullopt;
  auto outside = pick_outside(inside);
  for (int i = 0; !outside && i < kMostFreed && ages_.erase_ended(); ++i) {
    outside = pick_outside(inside);
  }
  if (!outside) return std::nullopt;
  NatMapping& made = by_inside_.try_emplace(inside, inside, *outside).first->second;
  by_outside_[*outside] = &made;
  ports_.take(outside->protocol, outside->address, outside->port);
  ages_.add(made, group_of(outside->address, inside.vrf), kind_of(made));
  return outside;
}

// Also when who has it has ended.
bool Nat44::is_free(const NatEndpoint& outside) {
  if (ports_.is_free(outside.protocol, outside.address, outside.port)) return true;
  const auto it = by_outside_.find(outside);
  if (it == by_outside_.end() || !ages_.has_ended(*it->second)) return false;
  ages_.erase(*it->second);
  return true;
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
    if (static_in_.count(whole(e.address)) != 0) continue;  // One host's alone.
    if (is_free(e)) return e;
    const auto from = static_cast<uint16_t>(random_.between(NatPorts::kFirst, 0xffff));
    if (const auto port = ports_.find_free(e.protocol, e.address, from)) {
      e.port = *port;
      return e;
    }
  }
  return std::nullopt;
}

void Nat44::erase(NatMapping& m) {
  ports_.give_back(m.outside.protocol, m.outside.address, m.outside.port);
  by_outside_.erase(m.outside);
  by_inside_.erase(by_inside_.find(m.inside));
}

uint8_t Nat44::kind_of(const NatMapping& m) {
  switch (m.inside.protocol) {
    case net::kProtocolTcp: return m.is_established ? kTcpEstablished : kTcpTransitory;
    case net::kProtocolUdp: return kUdp;
    default: return kIcmp;
  }
}

void Nat44::note(const NatEndpoint& inside, bool outward, uint8_t tcp_flags, uint32_t size) {
  const auto it = by_inside_.find(inside);
  if (it == by_inside_.end()) return;  // Static ones have no state.
  NatMapping& m = it->second;
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
  ages_.touch(m, kind_of(m));
}

}  // namespace wh::vnet
