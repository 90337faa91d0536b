#include "vnet/bridge.h"

#include <algorithm>

#include "vnet/acl.h"
#include "vnet/dhcp.h"
#include "vnet/nat44.h"
#include "vnet/policer.h"
#include "vnet/router_advertisements.h"
#include "vnet/stack.h"
#include "vnet/virtual_interfaces.h"

namespace wh::vnet {

using net::MacAddress;

namespace {

constexpr Duration kBridgeSweep =
    std::chrono::seconds(60);  // Between looks for entries that are old.

// What an interface has that looks at routed packets only; "": nothing.
std::string_view routed_feature(const Stack& stack, uint16_t interface) {
  for (const auto side : {AclTable::kInput, AclTable::kOutput}) {
    if (!stack.acls->bound(interface, side).empty()) return "access lists";
  }
  if (stack.nat44->role(interface) != NatRole::None) return "a part in NAT44";
  for (const auto side : {PolicerSide::Input, PolicerSide::Output}) {
    if (stack.policers->is_bound(interface, side)) return "a policer";
  }
  if (interface < stack.source_checks.size() &&
      stack.source_checks[interface] != SourceChecks{SourceCheck::Off, SourceCheck::Off}) {
    return "a source check";
  }
  if (stack.dhcp_clients->has(interface)) return "a DHCP client";
  if (stack.dhcp->relays().contains(interface)) return "a DHCP relay";
  if (stack.advertiser->has(interface)) return "router advertisements";
  if (stack.paths.leads_through(interface)) return "a route";
  for (const NeighbourTable* table : {stack.arp.get(), stack.nd.get()}) {
    const auto all = table->entries();
    const bool has_static = std::any_of(all.begin(), all.end(), [&](const Neighbour* n) {
      return n->is_static() && n->interface() == interface;
    });
    if (has_static) return "a neighbour that was given";
  }
  return "";
}

}  // namespace

// --- one domain ---

const BridgeMember* BridgeDomain::member(uint16_t interface) const {
  const auto at = std::find_if(members_.begin(), members_.end(),
                               [&](const BridgeMember& m) { return m.interface == interface; });
  return at == members_.end() ? nullptr : &*at;
}

bool BridgeDomain::learn(const MacAddress& source, uint16_t interface, Instant now) {
  if (!config_.learn || source.is_multicast()) return true;
  const auto it = entries_.find(source);
  if (it != entries_.end()) {
    if (!it->second.is_static) it->second = {interface, false, now};
    return true;
  }
  if (entries_.size() >= config_.max_entries) return false;
  entries_.emplace(source, Entry{interface, false, now});
  return true;
}

uint16_t BridgeDomain::find(const MacAddress& destination, Instant now) const {
  const auto it = entries_.find(destination);
  if (it == entries_.end()) return 0;
  const Entry& e = it->second;
  const bool is_old = !e.is_static && config_.age > 0s && now - e.seen >= config_.age;
  return is_old ? 0 : e.interface;
}

void BridgeDomain::expire(Instant now) {
  if (config_.age == 0s) return;
  std::erase_if(entries_, [&](const auto& entry) {
    return !entry.second.is_static && now - entry.second.seen >= config_.age;
  });
}

// --- all of them ---

BridgeTable::BridgeTable(Stack& stack) : stack_(stack), ageing_(stack.loop, [this] { tick(); }) {}

void BridgeTable::tick() {
  bool any = false;
  for (auto& [id, domain] : domains_) {
    domain->expire(stack_.loop.now());
    any = any || !domain->entries_.empty();
  }
  if (any) ageing_.arm(stack_.loop.now() + kBridgeSweep);
}

Result<void> BridgeTable::add(const BridgeConfig& config) {
  if (config.id == 0) return fail("bridge domain 0; accepted: 1..{}", ~uint32_t{0});
  if (config.max_entries == 0) return fail("bridge domain {}: 0 entries", config.id);
  if (find(config.id) != nullptr) return fail("bridge domain {}: there is one", config.id);
  auto made = std::make_unique<BridgeDomain>(stack_.random.fork("bridge"));
  made->config_ = config;
  domains_[config.id] = std::move(made);
  return {};
}

Result<void> BridgeTable::change(const BridgeConfig& config) {
  BridgeDomain* domain = find(config.id);
  if (domain == nullptr) return fail("no bridge domain {}", config.id);
  if (config.max_entries == 0) return fail("bridge domain {}: 0 entries", config.id);
  domain->config_ = config;
  return {};
}

Result<void> BridgeTable::remove(uint32_t id) {
  BridgeDomain* domain = find(id);
  if (domain == nullptr) return fail("no bridge domain {}", id);
  const auto members = domain->members_;
  for (const BridgeMember& m : members) TRY(remove_member(m.interface));
  domains_.erase(id);
  return {};
}

// Whether it can be what it is to be in the domain.
Result<void> BridgeTable::check_member(const BridgeDomain& domain,
                                       const BridgeMember& member) const {
  const InterfaceEntry& entry = stack_.interfaces[member.interface];
  if (member.is_bvi) {
    if (dynamic_cast<LoopbackInterface*>(entry.device) == nullptr) {
      return fail("interface {}: a BVI is a loopback", entry.name);
    }
    for (const BridgeMember& m : domain.members_) {
      if (!m.is_bvi) continue;
      return fail("bridge domain {}: {} is its BVI", domain.config_.id,
                  stack_.interfaces[m.interface].name);
    }
    return {};
  }
  for (const InterfaceAddress& a : entry.addresses) {
    if (!a.prefix.address.is_link_local()) {
      return fail("interface {}: has address {}, which a bridge would take from it", entry.name,
                  to_string(a.prefix));
    }
  }
  if (const std::string_view has = routed_feature(stack_, member.interface); !has.empty()) {
    return fail("interface {}: has {}, which would see none of a bridge's frames", entry.name, has);
  }
  return {};
}

Result<void> BridgeTable::add_member(uint32_t id, const BridgeMember& member) {
  BridgeDomain* domain = find(id);
  if (domain == nullptr) return fail("no bridge domain {}", id);
  InterfaceEntry& entry = *TRY(stack_.interfaces.attached(member.interface));
  if (const BridgeDomain* other = of(member.interface)) {
    return fail("interface {}: in bridge domain {}", entry.name, other->config_.id);
  }
  if (domain->members_.size() >= kMaxMembers) {
    return fail("bridge domain {}: at most {} members", id, kMaxMembers);
  }
  TRY(check_member(*domain, member));
  if (member.is_bvi) dynamic_cast<LoopbackInterface&>(*entry.device).is_bvi = true;
  if (by_interface_.size() <= member.interface) by_interface_.resize(member.interface + 1u);
  by_interface_[member.interface] = domain;
  domain->members_.push_back(member);
  entry.is_bridged = !member.is_bvi;
  if (!ageing_.is_armed()) ageing_.arm(stack_.loop.now() + kBridgeSweep);
  return {};
}

Result<void> BridgeTable::remove_member(uint16_t interface) {
  BridgeDomain* domain = of(interface);
  InterfaceEntry& entry = *TRY(stack_.interfaces.attached(interface));
  if (domain == nullptr) return fail("interface {}: in no bridge domain", entry.name);
  by_interface_[interface] = nullptr;
  std::erase_if(domain->members_, [&](const auto& m) { return m.interface == interface; });
  std::erase_if(domain->entries_, [&](const auto& e) { return e.second.interface == interface; });
  entry.is_bridged = false;
  if (auto* loopback = dynamic_cast<LoopbackInterface*>(entry.device)) loopback->is_bvi = false;
  return {};
}

Result<void> BridgeTable::add_static(uint32_t id, const MacAddress& mac, uint16_t interface) {
  BridgeDomain* domain = find(id);
  if (domain == nullptr) return fail("no bridge domain {}", id);
  if (domain->member(interface) == nullptr) {
    const InterfaceEntry& entry = *TRY(stack_.interfaces.attached(interface));
    return fail("bridge domain {}: interface {} is no member", id, entry.name);
  }
  if (mac.is_multicast()) return fail("{}: not a host's address", to_string(mac));
  if (domain->entries_.size() >= domain->config_.max_entries && !domain->entries_.count(mac)) {
    return fail("bridge domain {}: the table is full", id);
  }
  domain->entries_[mac] = {interface, true, stack_.loop.now()};
  return {};
}

Result<void> BridgeTable::remove_static(uint32_t id, const MacAddress& mac) {
  BridgeDomain* domain = find(id);
  if (domain == nullptr) return fail("no bridge domain {}", id);
  const auto it = domain->entries_.find(mac);
  if (it == domain->entries_.end() || !it->second.is_static) {
    return fail("bridge domain {}: no static entry {}", id, to_string(mac));
  }
  domain->entries_.erase(it);
  return {};
}

void BridgeTable::flush(uint32_t id) {
  if (BridgeDomain* domain = find(id)) {
    std::erase_if(domain->entries_, [](const auto& e) { return !e.second.is_static; });
  }
}

BridgeDomain* BridgeTable::find(uint32_t id) const {
  const auto it = domains_.find(id);
  return it == domains_.end() ? nullptr : it->second.get();
}

Result<void> BridgeTable::check_routed(uint16_t interface, std::string_view what) const {
  const InterfaceEntry& entry = stack_.interfaces[interface];
  if (!entry.is_bridged) return {};
  return fail("interface {}: in bridge domain {}, whose frames {} would not see; its BVI takes it",
              entry.name, of(interface)->config_.id, what);
}

std::vector<const BridgeDomain*> BridgeTable::domains() const {
  std::vector<const BridgeDomain*> all;
  for (const auto& [id, domain] : domains_) all.push_back(domain.get());
  std::sort(all.begin(), all.end(),
            [](auto* a, auto* b) { return a->config().id < b->config().id; });
  return all;
}

}  // namespace wh::vnet
