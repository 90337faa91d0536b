#include "host/interface_list.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>
#include <optional>

#include "host/rtnetlink.h"
#include "host/system.h"

namespace wh::host {
namespace {

// getifaddrs(3) gives every kind of address by one type.
template <class T>
T as(const sockaddr* address) {
  T copy;
  std::memcpy(&copy, address, sizeof copy);
  return copy;
}

std::optional<net::Prefix> to_prefix(const ifaddrs& entry) {
  if (entry.ifa_addr == nullptr || entry.ifa_netmask == nullptr) return std::nullopt;
  if (entry.ifa_addr->sa_family == AF_INET) {
    const uint32_t address = ntohl(as<sockaddr_in>(entry.ifa_addr).sin_addr.s_addr);
    const uint32_t mask = ntohl(as<sockaddr_in>(entry.ifa_netmask).sin_addr.s_addr);
    return net::Prefix{net::Ip4{address}, static_cast<uint8_t>(std::popcount(mask))};
  }
  if (entry.ifa_addr->sa_family != AF_INET6) return std::nullopt;
  net::Ip6 address;
  const auto from = as<sockaddr_in6>(entry.ifa_addr), mask = as<sockaddr_in6>(entry.ifa_netmask);
  std::copy_n(from.sin6_addr.s6_addr, address.bytes.size(), address.bytes.begin());
  int length = 0;
  for (const uint8_t byte : mask.sin6_addr.s6_addr) length += std::popcount(byte);
  return net::Prefix{address, static_cast<uint8_t>(length)};
}

}  // namespace

Result<std::vector<InterfaceInfo>> list_interfaces() {
  std::vector<InterfaceInfo> all;
  auto netlink = TRY(Rtnetlink::open());
  for (const LinkInfo& link : TRY(netlink.links())) {
    all.push_back({.name = link.name, .mac = link.mac, .mtu = link.mtu});
  }
  ifaddrs* raw = nullptr;
  if (::getifaddrs(&raw) != 0) return os_error("list addresses");
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> entries(raw, &::freeifaddrs);
  for (const ifaddrs* entry = raw; entry != nullptr; entry = entry->ifa_next) {
    const auto at = std::find_if(all.begin(), all.end(),
                                 [&](const InterfaceInfo& i) { return i.name == entry->ifa_name; });
    if (at == all.end()) continue;
    at->flags |= entry->ifa_flags;
    if (const auto prefix = to_prefix(*entry)) at->addresses.push_back(*prefix);
  }
  return all;
}

}  // namespace wh::host
