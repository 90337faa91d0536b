#include "router/reports.h"

#include "vnet/workers.h"

namespace wh::router {
namespace {

// One report of each thread, added up.
template <class Take>
auto summed(const Router& router, Take take) {
  std::vector<decltype(take(router))> all;
  router.for_all([&](const Router& r) { all.push_back(take(r)); });
  return all.size() == 1 ? std::move(all.front()) : vnet::sum(all);
}

}  // namespace

graph::RuntimeReport runtime_report(const Router& router) {
  auto report = summed(router, [](const Router& r) { return vnet::runtime_report(r.vnet()); });
  for (const auto& port : router.ports()) {
    if (port->rx_mode != host::RxMode::Polling) continue;
    for (graph::RuntimeRow& row : report.rows) {
      if (row.name == port->spec.input_node()) row.state = "polling";
    }
  }
  return report;
}

graph::ErrorReport error_report(const Router& router) {
  return summed(router, [](const Router& r) {
    graph::ErrorReport report = graph::error_report(r.vnet().graph());
    for (const Router::DeviceDrop& d : r.device_drops()) {
      report.rows.push_back({d.count, d.node, d.name, d.reason, d.severity});
    }
    return report;
  });
}

std::vector<vnet::InterfaceRow> interface_report(const Router& router) {
  auto rows = summed(router, [](const Router& r) { return vnet::interface_report(r.vnet()); });
  for (vnet::InterfaceRow& row : rows) {
    const Router::Port* port = router.port(row.index);
    if (port != nullptr) row.has_carrier = port->has_carrier();
  }
  return rows;
}

vnet::FibReport fib_report(const Router& router, net::Family family, uint32_t vrf) {
  return summed(router, [&](const Router& r) { return vnet::fib_report(r.vnet(), family, vrf); });
}

vnet::FibReport fib_report(const Router& router, net::Family family, uint32_t vrf,
                           std::span<const net::Prefix> prefixes) {
  return summed(router,
                [&](const Router& r) { return vnet::fib_report(r.vnet(), family, vrf, prefixes); });
}

vnet::FibReport fib_report(const Router& router, const net::IpAddress& address, uint32_t vrf) {
  return summed(router, [&](const Router& r) { return vnet::fib_report(r.vnet(), address, vrf); });
}

vnet::LocalReport local_report(const Router& router, net::Family family) {
  return summed(router, [&](const Router& r) { return vnet::local_report(r.vnet(), family); });
}

Result<std::vector<SysctlTree::Leaf>> sysctl_report(const Router& router, std::string_view prefix) {
  auto leaves = TRY(router.vnet().sysctl().list(prefix));
  std::map<std::string, uint64_t> counts;
  router.for_all([&](const Router& r) {
    const auto found = r.vnet().sysctl().list(prefix);  // A worker may have none of these.
    if (!found) return;
    for (const SysctlTree::Leaf& leaf : *found) {
      if (leaf.is_counter) counts[leaf.name] += std::stoull(leaf.value);
    }
  });
  for (SysctlTree::Leaf& leaf : leaves) {
    if (leaf.is_counter) leaf.value = std::to_string(counts[leaf.name]);
  }
  return leaves;
}

std::map<uint32_t, std::vector<uint64_t>> acl_hits(const Router& router) {
  std::map<uint32_t, std::vector<uint64_t>> all;
  router.for_all([&](const Router& r) {
    for (const auto& [number, list] : r.vnet().acls().lists()) {
      std::vector<uint64_t>& hits = all[number];
      hits.resize(list.hits.size());
      for (size_t i = 0; i < hits.size(); ++i) hits[i] += list.hits[i];
    }
  });
  return all;
}

host::DeviceCounters device_report(const Router& router, std::string_view name) {
  host::DeviceCounters total;
  router.for_all([&](const Router& r) {
    for (const auto& port : r.ports()) {
      const auto* device = dynamic_cast<const host::DeviceInterface*>(port->device.get());
      if (device == nullptr || device->name() != name) continue;
      const host::DeviceCounters& c = device->device_counters();
      for (const auto& kind : host::kDeviceCounters) total.*kind.value += c.*kind.value;
    }
  });
  return total;
}

}  // namespace wh::router
