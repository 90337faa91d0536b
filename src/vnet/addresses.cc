#include "vnet/addresses.h"

#include <algorithm>

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
bool is_link_local(const IpAddress& a) {
  return !a.is_v4() && a.v6().is_link_local();
}
// In which VRF an interface's address is owned.
uint16_t owner_vrf(const InterfaceEntry& entry, const IpAddress& a) {
  return is_link_local(a) ? uint16_t{0} : entry.vrf;
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
  if (stack.is_local(a, entry.vrf)) {
    return tl::unexpected(
        Error{std::errc::address_in_use, fmt::format("address {}: in use", text)});
  }
  return {};
}

// The subnet's broadcast address; nothing where there is none (RFC 3021).
std::optional<Prefix> broadcast_of(const Prefix& prefix) {
  if (!prefix.address.is_v4() || prefix.length > 30) return std::nullopt;
  return Prefix{Ip4{prefix.address.v4().value | 0xffffffffu >> prefix.length}, 32};
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
  // Link-local addresses mean something only with their interface: ip6-link-local knows them, no
  // FIB does.
  if (!is_link_local(a)) {
    const bool has_link = prefix.length < host_length(a);
    if (has_link && !is_shared(entry, prefix)) {
      fib.set(prefix, RouteSource::Interface,
              stack.adjacencies.make(AdjacencyKind::Glean, entry.index, entry.mtu(), {}));
      if (const auto broadcast = broadcast_of(prefix)) {
        fib.set(*broadcast, RouteSource::Interface, kLocalMulticast);
        fib.set({prefix.network().address, 32}, RouteSource::Interface, kLocalMulticast);
      }
    }
    fib.set({a, host_length(a)}, RouteSource::Interface, kLocal);
  }
  entry.addresses.push_back({.prefix = prefix});
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
  if (!address.is_v4()) {
    const auto at =
        std::find(entry.groups.begin(), entry.groups.end(), address.v6().solicited_node());
    if (at != entry.groups.end()) entry.groups.erase(at);
  }
  if (is_link_local(address)) return {};
  Fib& fib = stack.fib(address.family, entry.vrf);
  fib.remove({address, host_length(address)}, RouteSource::Interface);
  if (prefix.length < host_length(address) && !is_shared(entry, prefix)) {
    const AdjacencyIndex glean = fib.find(prefix, RouteSource::Interface);
    if (glean != kNoRoute) {
      fib.remove(prefix, RouteSource::Interface);
      stack.adjacencies.free(glean);
    }
    if (const auto broadcast = broadcast_of(prefix)) {
      fib.remove(*broadcast, RouteSource::Interface);
      fib.remove({prefix.network().address, 32}, RouteSource::Interface);
    }
    // Neighbours on the link that is gone.
    stack.neighbours(address.family).flush(entry.index);
  }
  return {};
}

}  // namespace wh::vnet
