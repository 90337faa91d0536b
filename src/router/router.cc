#include "router/router.h"

#include <algorithm>

namespace wh::router {

Router::Router(Config config, Loop& loop, Ports& ports)
    : loop_(loop),
      source_(ports),
      vnet_({.name = "router", .cycles = std::move(config.cycles)}, loop, pool_,
            Random(config.seed)) {
  // A router forwards, and speaks IPv6 on an interface once that is given an address. The sysctls
  // exist in every vnet.
  for (const auto& [name, value] :
       {std::pair("net.inet.ip.forwarding", "1"), std::pair("net.inet6.ip6.forwarding", "1"),
        std::pair("net.inet6.ip6.auto_linklocal", "0")}) {
    MUST_VOID(vnet_.sysctl().set(name, value));
  }
}

Router::~Router() {
  // An interface leaves the vnet before its device goes.
  for (const auto& port : ports_list_) {
    MUST_VOID(vnet_.detach(port->index));  // It is attached.
  }
}

Result<std::string> Router::create_port(PortSpec spec) {
  if (vnet_.interfaces().find(spec.name())) return fail("interface {} exists", spec.name());
  auto port = std::make_unique<Port>();
  port->device = TRY(source_.open(spec, pool_));
  port->device->set_up(false);
  port->first_mtu = port->device->mtu();
  port->spec = std::move(spec);
  port->index = TRY(vnet_.attach(*port->device));
  ports_list_.push_back(std::move(port));
  return ports_list_.back()->device->name();
}

Result<void> Router::delete_port(std::string_view name) {
  const auto at = std::find_if(ports_list_.begin(), ports_list_.end(),
                               [&](const auto& port) { return port->device->name() == name; });
  if (at == ports_list_.end()) return fail("interface '{}' was not created as a port", name);
  TRY_VOID(vnet_.detach((*at)->index));
  ports_list_.erase(at);
  return {};
}

Result<void> Router::add_address(uint16_t index, const net::Prefix& prefix) {
  TRY_VOID(vnet_.add_address(index, prefix));
  const vnet::InterfaceEntry& entry = vnet_.interfaces()[index];
  if (!prefix.address.is_v4() && entry.device != nullptr && entry.link_local() == nullptr) {
    // Another interface with this MAC address may have it already; this one then goes without.
    (void)vnet_.add_address(index, {net::Ip6::link_local(entry.device->mac()), 64});
  }
  return {};
}

const Router::Port* Router::port(uint16_t index) const {
  for (const auto& port : ports_list_) {
    if (port->index == index) return port.get();
  }
  return nullptr;
}

uint32_t Router::free_tap_number() const {
  for (uint32_t number = 0;; ++number) {
    const bool is_taken = std::any_of(ports_list_.begin(), ports_list_.end(), [&](const auto& p) {
      return p->spec.kind == PortSpec::Kind::Tap && p->spec.tap_number == number;
    });
    if (!is_taken) return number;
  }
}

}  // namespace wh::router
