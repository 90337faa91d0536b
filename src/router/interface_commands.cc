// set interface, show interface: state, MTU, counters.
#include "host/device_interface.h"
#include "router/command.h"
#include "router/reports.h"
#include "vnet/show.h"

namespace wh::router {
namespace {

Result<Answer> set_state(Router& router, const Arguments& a) {
  const uint16_t index = TRY(router.index_of(a["interface"]));
  Router::Port* port = router.port(index);
  if (a.has("up") && port != nullptr && !port->is_open()) {
    return fail("interface {}: its Linux interface {} is gone; delete it and create it again",
                port->spec.name(), port->spec.link);
  }
  TRY(router.vnet().set_up(index, a.has("up")));
  if (port != nullptr) port->was_up = false;
  return Answer::nothing();
}

Result<Answer> set_mtu(Router& router, const Arguments& a) {
  const auto mtu = static_cast<uint32_t>(a.number("mtu"));
  TRY(router.set_mtu(TRY(router.index_of(a["interface"])), mtu));
  return Answer::nothing();
}

std::string_view mode_name(host::RxMode mode) {
  switch (mode) {
    case host::RxMode::Interrupt: return "interrupt";
    case host::RxMode::Polling: return "polling";
    case host::RxMode::Adaptive: return "adaptive";
  }
  UNREACHABLE();
}

Result<Answer> set_rx_mode(Router& router, const Arguments& a) {
  const auto mode = a.has("polling")     ? host::RxMode::Polling
                    : a.has("interrupt") ? host::RxMode::Interrupt
                                         : host::RxMode::Adaptive;
  TRY(router.set_rx_mode(TRY(router.index_of(a["interface"])), mode));
  return Answer::nothing();
}

template <class Rows>
Result<void> keep_one(Router& router, const Arguments& a, Rows& rows) {
  if (!a.has("interface")) return {};
  const auto& name = router.vnet().interfaces()[TRY(router.index_of(a["interface"]))].name;
  std::erase_if(rows, [&](const auto& row) { return row.name != name; });
  return {};
}

Result<Answer> show_interfaces(Router& router, const Arguments& a) {
  auto rows = interface_report(router);
  TRY(keep_one(router, a, rows));
  return Answer::of(std::move(rows));
}

Result<Answer> show_addresses(Router& router, const Arguments& a) {
  auto rows = vnet::address_report(router.vnet());
  TRY(keep_one(router, a, rows));
  return Answer::of(std::move(rows));
}

Result<Answer> show_hardware(Router& router, const Arguments&) {
  std::string text;
  nlohmann::json all = nlohmann::json::array();
  for (const auto& port : router.ports()) {
    const auto* device = dynamic_cast<const host::DeviceInterface*>(port->device.get());
    const net::Interface& i = *port->device;
    const bool has_carrier = port->has_carrier();
    text +=
        fmt::format("{:<32}{:<8}{}\n  Ethernet address {}\n  link {}, MTU {}, rx mode {}\n",
                    i.name(), port->index, port->is_open() ? "open" : "gone", to_string(i.mac()),
                    has_carrier ? "up" : "down", i.link_mtu(), mode_name(port->rx_mode));
    nlohmann::json counters = nlohmann::json::object();
    if (device != nullptr) {
      const host::DeviceCounters sums = device_report(router, i.name());
      for (const host::DeviceCounterKind& kind : host::kDeviceCounters) {
        const uint64_t count = sums.*kind.value;
        counters[std::string(kind.text)] = count;
        if (count != 0) text += fmt::format("  {:<24}{:16}\n", kind.text, count);
      }
    }
    all.push_back({{"name", i.name()},
                   {"index", port->index},
                   {"open", port->is_open()},
                   {"mac", to_string(i.mac())},
                   {"carrier", has_carrier},
                   {"link_mtu", i.link_mtu()},
                   {"rx_mode", mode_name(port->rx_mode)},
                   {"counters", counters}});
  }
  return Answer{[text] { return text; }, [all] { return all; }};
}

void list_interfaces(const Router& router, ConfigurationLines& lines) {
  const auto& table = router.vnet().interfaces();
  for (uint16_t i = 1; i < table.size(); ++i) {
    if (table[i].device == nullptr) continue;
    const std::string& name = table[i].name;
    const uint32_t first_mtu = router.first_mtu(i), mtu = router.wanted_mtu(i);
    if (mtu != first_mtu) {
      lines.push_back({fmt::format("set interface mtu packet {} {}", mtu, name),
                       fmt::format("set interface mtu packet {} {}", first_mtu, name)});
    }
    const Router::Port* port = router.port(i);
    if (port != nullptr && port->rx_mode != Router::kFirstRxMode) {
      lines.push_back(
          {fmt::format("set interface rx-mode {} {}", name, mode_name(port->rx_mode)),
           fmt::format("set interface rx-mode {} {}", name, mode_name(Router::kFirstRxMode))});
    }
    if (table[i].is_up() || (port != nullptr && port->was_up)) {
      lines.push_back({.line = fmt::format("set interface state {} up", name),
                       .undo = fmt::format("set interface state {} down", name),
                       .stage = LoadStage::Up});
    }
  }
}

}  // namespace

Feature interface_feature() {
  return {
      {{"show interface [<interface>]", "state, MTU and counters of interfaces", show_interfaces},
       {"show hardware-interfaces", "devices, and what they lost", show_hardware},
       {"show interface address [<interface>]", "addresses of interfaces", show_addresses},
       setting("set interface state <interface> (up|down)", "switch an interface on or off",
               set_state),
       setting("set interface rx-mode <interface> (polling|interrupt|adaptive)",
               "never sleep, sleep at once, or poll on a little where that pays", set_rx_mode),
       setting("set interface mtu [packet] <mtu:68..65535> <interface>",
               "the largest IP packet that leaves by an interface", set_mtu)},
      list_interfaces,
      {},
      LoadStage::Base};
}

}  // namespace wh::router
