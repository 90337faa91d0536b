// Addresses and neighbours of both families.
#include "router/command.h"
#include "router/reports.h"

namespace wh::router {
namespace {

using net::Family;

Result<Answer> set_address(Router& router, const Arguments& a) {
  const uint16_t index = TRY(router.index_of(a["interface"]));
  const net::Prefix prefix = TRY(net::parse_prefix(a["prefix"]));
  if (a.has("del")) {
    const vnet::InterfaceEntry& entry = router.vnet().interfaces()[index];
    const vnet::InterfaceAddress* known = entry.find(prefix.address);
    if (known != nullptr && known->prefix != prefix) {
      return fail("interface {}: has {}, not {}", entry.name, to_string(known->prefix),
                  to_string(prefix));
    }
    TRY(router.remove_address(index, prefix.address));
  } else {
    TRY(router.add_address(index, prefix));
  }
  return Answer::nothing();
}

Result<Answer> set_neighbour(Router& router, const Arguments& a) {
  const uint16_t index = TRY(router.index_of(a["interface"]));
  const net::IpAddress address = TRY(net::parse_ip(a["address"]));
  if (a.has("del")) {
    TRY(router.vnet().remove_neighbour(index, address));
  } else {
    TRY(router.vnet().add_neighbour(index, address, TRY(net::parse_mac(a["mac"]))));
  }
  return Answer::nothing();
}

auto show_neighbours(Family family) {
  return [family](Router& router, const Arguments&) -> Result<Answer> {
    return Answer::of(vnet::neighbour_report(router.vnet(), family));
  };
}

auto show_local(Family family) {
  return [family](Router& router, const Arguments&) -> Result<Answer> {
    return Answer::of(local_report(router, family));
  };
}

void list_addresses(const Router& router, ConfigurationLines& lines) {
  const auto& table = router.vnet().interfaces();
  for (uint16_t i = 1; i < table.size(); ++i) {
    if (table[i].device == nullptr) continue;
    for (const auto& address : table[i].addresses) {
      if (address.is_automatic || address.is_leased) continue;  // They come by themselves.
      const std::string rest = fmt::format("{} {}", table[i].name, to_string(address.prefix));
      lines.push_back({"set interface ip address " + rest, "set interface ip address del " + rest,
                       fmt::format("{} {}", table[i].name, address.prefix.address.is_v4())});
    }
  }
}

void list_neighbours(const Router& router, ConfigurationLines& lines) {
  for (const Family family : {Family::V4, Family::V6}) {
    for (const auto& row : vnet::neighbour_report(router.vnet(), family)) {
      if (!row.is_static || !row.mac) continue;
      const std::string rest =
          fmt::format("{} {} {}", row.interface, to_string(row.address), to_string(*row.mac));
      lines.push_back({"set ip neighbor " + rest, "set ip neighbor del " + rest});
    }
  }
}

void list_ip(const Router& router, ConfigurationLines& lines) {
  list_addresses(router, lines);
  list_neighbours(router, lines);
}

}  // namespace

Feature ip_feature() {
  return {{setting("set interface ip address [del] <interface> <prefix>",
                   "give an interface an address, or take it back", set_address),
           setting("set ip neighbor [del] <interface> <address> <mac> [static]",
                   "the link address of a neighbour that is not to be asked", set_neighbour),
           {"show ip local", "what goes to the local stack", show_local(Family::V4)},
           {"show ip6 local", "the same of IPv6", show_local(Family::V6)},
           {"show ip neighbors", "link addresses learnt by ARP", show_neighbours(Family::V4)},
           {"show ip6 neighbors", "link addresses learnt by neighbour discovery",
            show_neighbours(Family::V6)}},
          list_ip};
}

}  // namespace wh::router
