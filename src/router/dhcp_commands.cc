// DHCP for IPv4: an interface as client, a link's clients relayed, pools that this router serves.
#include <algorithm>

#include "router/command.h"

namespace wh::router {
namespace {

using net::Ip4;
using std::chrono::seconds;

// --- client ---

Result<Answer> set_client(Router& router, const Arguments& a) {
  const uint16_t index = TRY(router.index_of(a["interface"]));
  vnet::DhcpClients& clients = router.vnet().dhcp_clients();
  TRY(a.has("del") ? clients.remove(index) : clients.add(index));
  return Answer::nothing();
}

nlohmann::json texts_of(const std::vector<Ip4>& addresses) {
  nlohmann::json all = nlohmann::json::array();
  for (const Ip4 address : addresses) all.push_back(to_string(address));
  return all;
}

std::string join_addresses(std::string_view before, const std::vector<Ip4>& addresses) {
  std::string text;
  for (const Ip4 address : addresses) text += fmt::format("{}{}", before, to_string(address));
  return text;
}

Result<Answer> show_clients(Router& router, const Arguments&) {
  std::string text;
  nlohmann::json all = nlohmann::json::array();
  for (const vnet::DhcpClient* client : router.vnet().dhcp_clients().clients()) {
    const std::string& name = router.vnet().interfaces()[client->interface()].name;
    const auto address = client->address();
    text += fmt::format("[{}] {} state {}", all.size(), name, to_string(client->state()));
    nlohmann::json row = {{"interface", name}, {"state", to_string(client->state())}};
    if (address) {
      const double left = to_seconds(client->expires() - router.loop().now());
      text +=
          fmt::format(" addr {} gw {} server {} lease {:.0f} s{}", to_string(*address),
                      client->router() ? to_string(*client->router()) : "none",
                      to_string(client->server()), left, join_addresses(" dns ", client->dns()));
      row["address"] = to_string(*address);
      row["server"] = to_string(client->server());
      row["dns"] = texts_of(client->dns());
      row["lease_s"] = left;
      if (client->router()) row["router"] = to_string(*client->router());
    } else {
      text += " no address";
    }
    text += "\n";
    all.push_back(std::move(row));
  }
  return Answer::of_both(std::move(text), std::move(all));
}

// --- relay ---

Result<Answer> set_relay(Router& router, const Arguments& a) {
  std::vector<Ip4> servers;
  for (const Arguments& one : a.list("servers")) {
    servers.push_back(TRY(net::parse_ip4(one["server"])));
  }
  TRY(router.vnet().dhcp().set_relay(TRY(router.index_of(a["interface"])), servers));
  return Answer::nothing();
}

Result<Answer> remove_relay(Router& router, const Arguments& a) {
  TRY(router.vnet().dhcp().remove_relay(TRY(router.index_of(a["interface"]))));
  return Answer::nothing();
}

Result<Answer> show_relays(Router& router, const Arguments&) {
  const vnet::DhcpService::Counters& c = router.vnet().dhcp().counters();
  std::string text = fmt::format("relayed to servers {}, to clients {}, refused {}\n", c.relayed_up,
                                 c.relayed_down, c.relay_refused);
  nlohmann::json all = nlohmann::json::array();
  for (const auto& [index, servers] : router.vnet().dhcp().relays()) {
    const std::string& name = router.vnet().interfaces()[index].name;
    const bool waits = router.vnet().interfaces()[index].source_for(servers[0]) == nullptr;
    text += fmt::format("{}{}{}\n", name, join_addresses(" server ", servers),
                        waits ? " (waits for an IPv4 address)" : "");
    all.push_back({{"interface", name}, {"servers", texts_of(servers)}, {"waits", waits}});
  }
  return Answer::of_both(std::move(text), std::move(all));
}

// --- server ---

Result<Answer> add_pool(Router& router, const Arguments& a) {
  vnet::DhcpPool pool{.name = a["name"],
                      .network = TRY(net::parse_prefix(a["network"])),
                      .first = TRY(net::parse_ip4(a["first"])),
                      .last = TRY(net::parse_ip4(a["last"]))};
  if (a.has("router")) pool.router = TRY(net::parse_ip4(a["router"]));
  if (a.has("lease")) pool.lease = seconds(a.number("lease"));
  for (const Arguments& one : a.list("name-servers")) {
    pool.dns.push_back(TRY(net::parse_ip4(one["dns"])));
  }
  for (const Arguments& one : a.list("hosts")) {
    pool.fixed[TRY(net::parse_mac(one["host"]))] = TRY(net::parse_ip4(one["address"]));
  }
  TRY(router.vnet().dhcp().add_pool(std::move(pool)));
  return Answer::nothing();
}

Result<Answer> remove_pool(Router& router, const Arguments& a) {
  TRY(router.vnet().dhcp().remove_pool(a["pool"]));
  return Answer::nothing();
}

std::string pool_text(const vnet::DhcpPool& pool) {
  std::string text =
      fmt::format("{} network {} range {} {}", quote_word(pool.name), to_string(pool.network),
                  to_string(pool.first), to_string(pool.last));
  if (pool.router) text += " router " + to_string(*pool.router);
  text += fmt::format(" lease {}", pool.lease / seconds(1));
  text += join_addresses(" dns ", pool.dns);
  for (const auto& [mac, address] : pool.fixed) {
    text += fmt::format(" host {} {}", to_string(mac), to_string(address));
  }
  return text;
}

const char* state_name(vnet::DhcpLease::State state) {
  switch (state) {
    case vnet::DhcpLease::State::Offered: return "offered";
    case vnet::DhcpLease::State::Bound: return "bound";
    case vnet::DhcpLease::State::Free: return "free";
    case vnet::DhcpLease::State::Declined: return "declined";
  }
  UNREACHABLE();
}

Result<Answer> show_server(Router& router, const Arguments& a) {
  const vnet::DhcpService& dhcp = router.vnet().dhcp();
  std::string text = fmt::format("received {}, answered {}, unanswered {}, malformed {}\n",
                                 dhcp.counters().received, dhcp.counters().answered,
                                 dhcp.counters().unanswered, dhcp.counters().malformed);
  nlohmann::json all = nlohmann::json::array();
  for (const vnet::DhcpPool* pool : dhcp.server().pools()) {
    if (a.has("pool") && pool->name != a["pool"]) continue;
    text += fmt::format("pool {}\n", pool_text(*pool));
    nlohmann::json leases = nlohmann::json::array();
    for (const vnet::DhcpLease& lease : dhcp.server().leases(pool->name)) {
      // An offer that nobody took, or a lease given back, may have ended long ago.
      const double left = std::max(0.0, to_seconds(lease.expires - router.loop().now()));
      text += fmt::format("  {:<16}{:<20}{:<10}{:.0f} s\n", to_string(lease.address),
                          to_string(lease.mac), state_name(lease.state), left);
      leases.push_back({{"address", to_string(lease.address)},
                        {"mac", to_string(lease.mac)},
                        {"state", state_name(lease.state)},
                        {"ends_in_s", left}});
    }
    all.push_back({{"name", pool->name},
                   {"network", to_string(pool->network)},
                   {"first", to_string(pool->first)},
                   {"last", to_string(pool->last)},
                   {"lease_s", pool->lease / seconds(1)},
                   {"dns", texts_of(pool->dns)},
                   {"leases", leases}});
  }
  return Answer::of_both(std::move(text), std::move(all));
}

// --- what is set ---

void list_dhcp(const Router& router, ConfigurationLines& lines) {
  auto name = [&](uint16_t index) { return router.vnet().interfaces()[index].name; };
  for (const vnet::DhcpPool* pool : router.vnet().dhcp().server().pools()) {
    lines.push_back({"dhcp server add pool " + pool_text(*pool),
                     "dhcp server del pool " + quote_word(pool->name)});
  }
  for (const auto& [index, servers] : router.vnet().dhcp().relays()) {
    lines.push_back(
        {fmt::format("dhcp relay add {}{}", name(index), join_addresses(" server ", servers)),
         fmt::format("dhcp relay del {}", name(index))});
  }
  for (const vnet::DhcpClient* client : router.vnet().dhcp_clients().clients()) {
    const std::string text = "intfc " + name(client->interface());
    lines.push_back({"set dhcp client " + text, "set dhcp client del " + text});
  }
}

}  // namespace

Feature dhcp_feature() {
  return {
      {setting("set dhcp client [del] [intfc] <interface>",
               "ask a DHCP server for an interface's address, or give it back", set_client),
       {"show dhcp client", "what the clients were given", show_clients},
       setting("dhcp relay add <interface> {servers: server <server:ip4>}",
               "what clients on an interface's link ask goes to these servers", set_relay),
       setting("dhcp relay del <interface>", "and no more", remove_relay),
       {"show dhcp relay", "whose clients are relayed, and to whom", show_relays},
       setting("dhcp server add pool <name:word> network <network:prefix> range <first:ip4> "
               "<last:ip4> [router <router:ip4> | lease <lease:1..4294967295> | {name-servers: dns "
               "<dns:ip4>} | {hosts: host <host:mac> <address:ip4>}]*",
               "lease addresses of a network; the lease is in seconds", add_pool),
       setting("dhcp server del pool <pool>", "lease no more of them", remove_pool),
       {"show dhcp server [<pool>]", "pools and leases", show_server}},
      list_dhcp};
}

}  // namespace wh::router
