// Addresses, routes and neighbours of both families.
#include "router/command.h"
#include "vnet/show.h"

namespace wh::router {
namespace {

using net::Family;

Result<Answer> set_address(Router& router, const Arguments& a) {
  const uint16_t index = TRY(router.index_of(a["interface"]));
  const net::Prefix prefix = TRY(net::parse_prefix(a["prefix"]));
  if (a.has("del")) {
    TRY_VOID(router.vnet().remove_address(index, prefix.address));
  } else {
    TRY_VOID(router.add_address(index, prefix));
  }
  return Answer::nothing();
}

Result<Answer> add_route(Router& router, const Arguments& a) {
  const net::Prefix prefix = TRY(net::parse_prefix(a["prefix"]));
  if (a.has("drop")) {
    TRY_VOID(router.vnet().add_blackhole(prefix));
    return Answer::nothing();
  }
  const uint16_t index = a.has("interface") ? TRY(router.index_of(a["interface"])) : uint16_t{0};
  TRY_VOID(router.vnet().add_route(prefix, TRY(net::parse_ip(a["next-hop"])), index));
  return Answer::nothing();
}

Result<Answer> remove_route(Router& router, const Arguments& a) {
  TRY_VOID(router.vnet().remove_route(TRY(net::parse_prefix(a["prefix"]))));
  return Answer::nothing();
}

Result<Answer> set_neighbour(Router& router, const Arguments& a) {
  const uint16_t index = TRY(router.index_of(a["interface"]));
  const net::IpAddress address = TRY(net::parse_ip(a["address"]));
  if (a.has("del")) {
    TRY_VOID(router.vnet().remove_neighbour(index, address));
  } else {
    TRY_VOID(router.vnet().add_neighbour(index, address, TRY(net::parse_mac(a["mac"]))));
  }
  return Answer::nothing();
}

auto show_fib(Family family) {
  return [family](Router& router, const Arguments& a) -> Result<Answer> {
    if (!a.has("address")) return Answer::of(vnet::fib_report(router.vnet(), family));
    return Answer::of(vnet::fib_report(router.vnet(), TRY(net::parse_ip(a["address"]))));
  };
}

auto show_neighbours(Family family) {
  return [family](Router& router, const Arguments&) -> Result<Answer> {
    return Answer::of(vnet::neighbour_report(router.vnet(), family));
  };
}

void list_addresses(const Router& router, std::vector<ConfigurationLine>& lines) {
  const auto& table = router.vnet().interfaces();
  for (uint16_t i = 1; i < table.size(); ++i) {
    if (table[i].device == nullptr) continue;
    const net::Ip6 own = net::Ip6::link_local(table[i].device->mac());
    for (const auto& address : table[i].addresses) {
      // The link-local address comes by itself.
      if (address.prefix.address == net::IpAddress(own)) continue;
      const std::string rest = fmt::format("{} {}", table[i].name, to_string(address.prefix));
      lines.push_back({"set interface ip address " + rest, "set interface ip address del " + rest});
    }
  }
}

void list_neighbours(const Router& router, std::vector<ConfigurationLine>& lines) {
  for (const Family family : {Family::V4, Family::V6}) {
    for (const auto& row : vnet::neighbour_report(router.vnet(), family)) {
      if (!row.is_static || !row.mac) continue;
      const std::string rest =
          fmt::format("{} {} {}", row.interface, to_string(row.address), to_string(*row.mac));
      lines.push_back({"set ip neighbor " + rest, "set ip neighbor del " + rest});
    }
  }
}

void list_routes(const Router& router, std::vector<ConfigurationLine>& lines) {
  for (const auto& route : router.vnet().static_routes()) {
    const std::string prefix = to_string(route.prefix);
    std::string via = route.next_hops.empty() ? "drop" : "";
    for (const vnet::NextHop& hop : route.next_hops) {
      if (!via.empty()) via += " via ";
      via += to_string(hop.address);
      if (hop.interface == 0) continue;
      via += " " + router.vnet().interfaces()[hop.interface].name;
    }
    lines.push_back({fmt::format("ip route add {} via {}", prefix, via),
                     fmt::format("ip route del {}", prefix)});
  }
}

void list(const Router& router, std::vector<ConfigurationLine>& lines) {
  list_addresses(router, lines);
  list_neighbours(router, lines);
  list_routes(router, lines);
}

}  // namespace

Feature ip_feature() {
  return {{setting("set interface ip address [del] <interface> <prefix>",
                   "give an interface an address, or take it back", set_address),
           setting("ip route add <prefix> via (drop | <next-hop:address> [<interface>])",
                   "send a prefix to a next hop, or nowhere", add_route),
           setting("ip route del <prefix> [via [drop | <next-hop:address>] [<interface>]]",
                   "take a route back", remove_route),
           setting("set ip neighbor [del] <interface> <address> <mac>",
                   "the link address of a neighbour that is not to be asked", set_neighbour),
           {"show ip fib [<address:ip4>]", "routes, or the one that an address takes",
            show_fib(Family::V4)},
           {"show ip6 fib [<address:ip6>]", "the same of IPv6", show_fib(Family::V6)},
           {"show ip neighbors", "link addresses learnt by ARP", show_neighbours(Family::V4)},
           {"show ip6 neighbors", "link addresses learnt by neighbour discovery",
            show_neighbours(Family::V6)}},
          list};
}

}  // namespace wh::router
