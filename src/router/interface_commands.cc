// set interface, show interface: state, MTU, counters.
#include "router/command.h"
#include "vnet/show.h"

namespace wh::router {
namespace {

Result<Answer> set_state(Router& router, const Arguments& a) {
  TRY_VOID(router.vnet().set_up(TRY(router.index_of(a["interface"])), a.has("up")));
  return Answer::nothing();
}

Result<Answer> set_mtu(Router& router, const Arguments& a) {
  const auto mtu = static_cast<uint32_t>(a.number("mtu"));
  TRY_VOID(router.vnet().set_mtu(TRY(router.index_of(a["interface"])), mtu));
  return Answer::nothing();
}

template <class Rows>
Result<void> keep_one(Router& router, const Arguments& a, Rows& rows) {
  if (!a.has("interface")) return {};
  const auto& name = router.vnet().interfaces()[TRY(router.index_of(a["interface"]))].name;
  std::erase_if(rows, [&](const auto& row) { return row.name != name; });
  return {};
}

Result<Answer> show(Router& router, const Arguments& a) {
  auto rows = vnet::interface_report(router.vnet());
  TRY_VOID(keep_one(router, a, rows));
  return Answer::of(std::move(rows));
}

Result<Answer> show_addresses(Router& router, const Arguments& a) {
  auto rows = vnet::address_report(router.vnet());
  TRY_VOID(keep_one(router, a, rows));
  return Answer::of(std::move(rows));
}

void list(const Router& router, std::vector<ConfigurationLine>& lines) {
  for (const auto& port : router.ports()) {
    const std::string& name = port->device->name();
    if (port->device->mtu() != port->first_mtu) {
      lines.push_back({fmt::format("set interface mtu packet {} {}", port->device->mtu(), name),
                       fmt::format("set interface mtu packet {} {}", port->first_mtu, name)});
    }
    if (port->device->is_up()) {
      lines.push_back({fmt::format("set interface state {} up", name),
                       fmt::format("set interface state {} down", name)});
    }
  }
}

}  // namespace

Feature interface_feature() {
  return {
      {{"show interface [<interface>]", "state, MTU and counters of interfaces", show},
       {"show interface address [<interface>]", "addresses of interfaces", show_addresses},
       {"set interface state <interface> (up|down)", "switch an interface on or off", set_state},
       {"set interface mtu [packet] <mtu:68..65535> <interface>",
        "the largest IP packet that leaves by an interface", set_mtu}},
      list};
}

}  // namespace wh::router
