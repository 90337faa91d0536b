// A router's books with those of its workers added up: what commands, JSON and metrics tell.
#pragma once

#include "host/device_interface.h"
#include "router/router.h"
#include "vnet/show.h"

namespace wh::router {

graph::RuntimeReport runtime_report(const Router& router);
graph::ErrorReport error_report(const Router& router);                   // With what devices lost.
std::vector<vnet::InterfaceRow> interface_report(const Router& router);  // By name.
// Of a table (none: no rows), or only the route that packets to an address take.
vnet::FibReport fib_report(const Router& router, net::Family family, uint32_t vrf);
vnet::FibReport fib_report(const Router& router, net::Family family, uint32_t vrf,
                           std::span<const net::Prefix> prefixes);
vnet::FibReport fib_report(const Router& router, const net::IpAddress& address, uint32_t vrf);
vnet::LocalReport local_report(const Router& router, net::Family family);
// Tunables are the main router's. Errors: as SysctlTree::list.
Result<std::vector<SysctlTree::Leaf>> sysctl_report(const Router& router, std::string_view prefix);
// How often each rule of each access list matched.
std::map<uint32_t, std::vector<uint64_t>> acl_hits(const Router& router);
// Of a port; zeroes when its device has no such counters.
host::DeviceCounters device_report(const Router& router, std::string_view port);

}  // namespace wh::router
