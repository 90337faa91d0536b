// The calling process' network interfaces with their flags and addresses, as ifconfig(8) lists
// them.
#pragma once

#include <string>
#include <vector>

#include "core/result.h"
#include "net/address.h"

namespace wh::host {

struct InterfaceInfo {
  std::string name;
  net::MacAddress mac;
  uint32_t mtu = 0;
  unsigned flags = 0;  // Linux's IFF_*, IFF_LOWER_UP among them.
  std::vector<net::Prefix> addresses;
};
// In the kernel's order. Errors: no netlink socket.
Result<std::vector<InterfaceInfo>> list_interfaces();

}  // namespace wh::host
