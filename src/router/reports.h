// A router's books with those of its workers added up: what commands, JSON and metrics tell.
#pragma once

#include "host/device_interface.h"
#include "router/router.h"
#include "vnet/show.h"

namespace wh::router {

graph::RuntimeReport runtime_report(const Router& router);
graph::ErrorReport error_report(const Router& router);
std::vector<vnet::InterfaceRow> interface_report(const Router& router);  // By name.
// How often each rule of each access list matched.
std::map<uint32_t, std::vector<uint64_t>> acl_hits(const Router& router);
// Of a port; zeroes when its device has no such counters.
host::DeviceCounters device_report(const Router& router, std::string_view port);

}  // namespace wh::router
