#include "vnet/addresses.h"

#include <algorithm>

#include "vnet/nat44.h"
#include "vnet/nodes.h"

namespace wh::vnet {
namespace {

using net::Family;
using net::Ip4;
using net::Ip6;
using net::IpAddress;
using net::Prefix;

uint8_t host_length(const IpAddress& a) {
  return a.is_v4() ? 32 : 128;
}
// In which VRF an interface's address is owned.
uint16_t owner_vrf(const InterfaceEntry& entry, const IpAddress& a) {
  return a.is_link_local() ? uint16_t{0} : entry.vrf;
}

// As in VPP, one interface of a VRF has a link's prefix, or any part of it: a FIB knows one way to
// a connected prefix, and the second would take it from the first. An interface may have more than
// one address of a prefix.
Result<void> check_overlap(const Stack& stack, const InterfaceEntry& entry, const Prefix& prefix) {
  if (prefix.address.is_link_local()) return {};
  for (uint16_t i = 1; i < stack.interfaces.size(); ++i) {
    const InterfaceEntry& other = stack.interfaces[i];
    if (i == entry.index || other.device == nullptr || other.vrf != entry.vrf) continue;
    for (const InterfaceAddress& a : other.addresses) {
      if (a.prefix.address.is_link_local()) continue;
      if (!a.prefix.contains(prefix.address) && !prefix.contains(a.prefix.address)) continue;
      return tl::unexpected(Error{std::errc::address_in_use,
                                  fmt::format("address {}: {} of interface {} overlaps it",
                                              to_string(prefix), to_string(a.prefix), other.name)});
    }
  }
  return {};
}

// Who is given as somebody else is not this host: what is set now could not be set again.
Result<void> check_given(const Stack& stack, const InterfaceEntry& entry, const Prefix& prefix) {
  const IpAddress& a = prefix.address;
  const auto refuse = [&](std::string_view what) {
    return fail("address {}: it is given as {}", to_string(prefix), what);
  };
  if (stack.paths.has_hop(entry, a)) return refuse("a route's next hop");
  for (uint16_t i = 1; i < stack.interfaces.size(); ++i) {
    const InterfaceEntry& other = stack.interfaces[i];
    if (a.is_link_local() ? i != entry.index : other.vrf != entry.vrf) continue;
    const Neighbour* n = (a.is_v4() ? stack.arp : stack.nd)->find(i, a);
    if (n != nullptr && n->is_static()) {
      return refuse(fmt::format("a neighbour's on {}", other.name));
    }
  }
  return {};
}

Result<void> check(const Stack& stack, const InterfaceEntry& entry, const Prefix& prefix) {
  const IpAddress& a = prefix.address;
  const std::string text = to_string(prefix);
  if (a.is_unspecified() || a.is_multicast() || (a.is_v4() && a.v4().is_broadcast())) {
    return fail("address {}: not a host's", text);
  }
  if (prefix.length == 0) return fail("address {}: a link has a prefix of at least one bit", text);
  if (a.is_v4() && prefix.length < 31) {
    const uint32_t host = a.v4().value & (0xffffffffu >> prefix.length);
    if (host == 0 || host == 0xffffffffu >> prefix.length) {
      return fail("address {}: that is the network's or its broadcast address", text);
    }
  }
  if (entry.find(a) != nullptr || stack.is_local(a, entry)) {
    return tl::unexpected(
        Error{std::errc::address_in_use, fmt::format("address {}: in use", text)});
  }
  TRY(check_given(stack, entry, prefix));
  return check_overlap(stack, entry, prefix);
}

// The subnet's broadcast address; nothing where there is none (RFC 3021).
std::optional<Prefix> broadcast_of(const Prefix& prefix) {
  if (!prefix.address.is_v4() || prefix.length > 30) return std::nullopt;
  return Prefix{Ip4{prefix.address.v4().value | 0xffffffffu >> prefix.length}, 32};
}

// What the interface's addresses make of one address of theirs: an own one, or a subnet's first or
// last. Those of one prefix may lie in another of the same interface.
void set_host_route(Fib& fib, const InterfaceEntry& entry, const Prefix& host) {
  if (entry.find(host.address) != nullptr) {
    fib.set(host, RouteSource::Interface, kLocal);
    return;
  }
  const bool is_edge =
      std::any_of(entry.addresses.begin(), entry.addresses.end(), [&](const auto& other) {
        const auto broadcast = broadcast_of(other.prefix);
        return broadcast && (*broadcast == host || other.prefix.network().address == host.address);
      });
  if (is_edge) {
    fib.set(host, RouteSource::Interface, kLocalMulticast);
  } else {
    fib.remove(host, RouteSource::Interface);
  }
}

void set_host_routes(Fib& fib, const InterfaceEntry& entry, const Prefix& prefix) {
  set_host_route(fib, entry, {prefix.address, host_length(prefix.address)});
  if (const auto broadcast = broadcast_of(prefix)) {
    set_host_route(fib, entry, *broadcast);
    set_host_route(fib, entry, {prefix.network().address, 32});
  }
}

// Whether another address of the interface has the same connected prefix.
bool is_shared(const InterfaceEntry& entry, const Prefix& prefix) {
  return std::count_if(entry.addresses.begin(), entry.addresses.end(), [&](const auto& other) {
           return other.prefix.network() == prefix.network();
         }) > 0;
}

}  // namespace

Result<void> add_address(Stack& stack, InterfaceEntry& entry, const Prefix& prefix) {
  TRY(check(stack, entry, prefix));
  const IpAddress& a = prefix.address;
  Fib& fib = stack.fib(a.family, entry.vrf);
  stack.interfaces.set_owner(a, owner_vrf(entry, a), entry.index);
  const bool has_link = prefix.length < host_length(a) && !is_shared(entry, prefix);
  entry.addresses.push_back({.prefix = prefix});
  // Link-local addresses mean something only with their interface: ip6-link-local knows them, no
  // FIB does.
  if (!a.is_link_local()) {
    if (has_link) {
      fib.set(prefix, RouteSource::Interface,
              stack.adjacencies.make(AdjacencyKind::Glean, entry.index, entry.mtu(), {}));
    }
    set_host_routes(fib, entry, prefix);
    stack.paths.follow(entry.vrf, prefix);
  }
  if (!a.is_v4()) {
    entry.groups.push_back(a.v6().solicited_node());
    start_duplicate_detection(stack, entry, a.v6());
  }
  return {};
}

Result<void> remove_address(Stack& stack, InterfaceEntry& entry, const IpAddress& address) {
  const InterfaceAddress* known = entry.find(address);
  if (known == nullptr)
    return fail("interface {} has no address {}", entry.name, to_string(address));
  const Prefix prefix = known->prefix;
  std::erase_if(entry.addresses, [&](const auto& a) { return a.prefix.address == address; });
  stack.interfaces.clear_owner(address, owner_vrf(entry, address));
  if (address.is_v4()) stack.nat44->end_unpooled(address.v4());
  if (!address.is_v4()) {
    const auto at =
        std::find(entry.groups.begin(), entry.groups.end(), address.v6().solicited_node());
    if (at != entry.groups.end()) entry.groups.erase(at);
  }
  if (address.is_link_local()) return {};
  Fib& fib = stack.fib(address.family, entry.vrf);
  set_host_routes(fib, entry, prefix);
  if (prefix.length < host_length(address) && !is_shared(entry, prefix)) {
    const AdjacencyIndex glean = fib.find(prefix, RouteSource::Interface);
    if (glean != kNoRoute) {
      fib.remove(prefix, RouteSource::Interface);
      stack.adjacencies.free(glean);
    }
    // Neighbours on the link that is gone.
    stack.neighbours(address.family).flush(entry.index);
  }
  stack.paths.follow(entry.vrf, prefix);
  return {};
}

}  // namespace wh::vnet
