// Bridge domains: their members, what they learn, their BVI.
#include <algorithm>

#include "graph/show.h"
#include "router/command.h"

namespace wh::router {
namespace {

using graph::centred;
using graph::trimmed;
using std::chrono::minutes;

uint32_t domain_number(const Arguments& a) {
  return static_cast<uint32_t>(a.number("bridge-domain"));
}

Result<Answer> create_domain(Router& router, const Arguments& a) {
  vnet::BridgeConfig config{.id = static_cast<uint32_t>(a.number("id"))};
  config.learn = a.number("learn", config.learn) != 0;
  config.forward = a.number("forward", config.forward) != 0;
  config.flood = a.number("flood", config.flood) != 0;
  if (a.has("mac-age")) config.age = minutes(a.number("mac-age"));
  config.max_entries = static_cast<uint32_t>(a.number("learn-limit", config.max_entries));
  TRY(router.vnet().bridges().add(config));
  return Answer::of_text(fmt::format("bridge-domain {}", config.id));
}

Result<Answer> remove_domain(Router& router, const Arguments& a) {
  TRY(router.vnet().bridges().remove(domain_number(a)));
  return Answer::nothing();
}

Result<Answer> change_domain(Router& router, const Arguments& a) {
  vnet::BridgeTable& bridges = router.vnet().bridges();
  vnet::BridgeConfig config = bridges.find(domain_number(a))->config();  // Its type was checked.
  const bool is_on = !a.has("disable");
  if (a.has("learn")) config.learn = is_on;
  if (a.has("forward")) config.forward = is_on;
  if (a.has("flood")) config.flood = is_on;
  if (a.has("age")) config.age = minutes(a.number("age"));
  TRY(bridges.change(config));
  return Answer::nothing();
}

// Any address that is given, which could not be given again while it is in the bridge.
Result<void> check_addresses(const Router& router, const vnet::BridgeMember& member) {
  const vnet::InterfaceEntry& entry = router.vnet().interfaces()[member.interface];
  for (const vnet::InterfaceAddress& a : entry.addresses) {
    if (member.is_bvi || a.is_automatic) continue;
    return fail("interface {}: has address {}, which a bridge would take from it", entry.name,
                to_string(a.prefix));
  }
  return {};
}

Result<Answer> join_domain(Router& router, const Arguments& a) {
  const vnet::BridgeMember member{.interface = TRY(router.index_of(a["interface"])),
                                  .group = static_cast<uint8_t>(a.number("shg")),
                                  .is_bvi = a.has("bvi")};
  TRY(check_addresses(router, member));
  TRY(router.vnet().bridges().add_member(domain_number(a), member));
  return Answer::nothing();
}

Result<Answer> leave_domain(Router& router, const Arguments& a) {
  TRY(router.vnet().bridges().remove_member(TRY(router.index_of(a["interface"]))));
  return Answer::nothing();
}

Result<Answer> add_entry(Router& router, const Arguments& a) {
  TRY(router.vnet().bridges().add_static(domain_number(a), TRY(net::parse_mac(a["mac"])),
                                         TRY(router.index_of(a["interface"]))));
  return Answer::nothing();
}

Result<Answer> remove_entry(Router& router, const Arguments& a) {
  TRY(router.vnet().bridges().remove_static(domain_number(a), TRY(net::parse_mac(a["mac"]))));
  return Answer::nothing();
}

Result<Answer> flush_entries(Router& router, const Arguments& a) {
  for (const vnet::BridgeDomain* domain : router.vnet().bridges().domains()) {
    const uint32_t id = domain->config().id;
    if (a.has("all") || id == domain_number(a)) router.vnet().bridges().flush(id);
  }
  return Answer::nothing();
}

std::string name_of(const Router& router, uint16_t index) {
  return router.vnet().interfaces()[index].name;
}

// "-" when a domain has none.
std::string bvi_of(const Router& router, const vnet::BridgeDomain& domain) {
  for (const vnet::BridgeMember& m : domain.members()) {
    if (m.is_bvi) return name_of(router, m.interface);
  }
  return "N/A";
}

std::string age_text(Duration age) {
  return age == 0s ? "off" : std::to_string(age / minutes(1));
}

const char* on_off(bool is_on) {
  return is_on ? "on" : "off";
}

std::string domain_text(const Router& router, const vnet::BridgeDomain& domain) {
  const vnet::BridgeConfig& c = domain.config();
  return trimmed(centred(std::to_string(c.id), 8) + centred(age_text(c.age), 10) +
                 centred(on_off(c.learn), 10) + centred(on_off(c.forward), 10) +
                 centred(on_off(c.flood), 10) +
                 centred(std::to_string(domain.entries().size()), 10) +
                 centred(std::to_string(c.max_entries), 12) + centred(bvi_of(router, domain), 16));
}

std::string members_text(const Router& router, const vnet::BridgeDomain& domain) {
  std::string text = "\n" + trimmed(centred("Interface", 28) + centred("If-idx", 8) +
                                    centred("SHG", 6) + centred("BVI", 6));
  for (const vnet::BridgeMember& m : domain.members()) {
    text += trimmed(centred(name_of(router, m.interface), 28) +
                    centred(std::to_string(m.interface), 8) + centred(std::to_string(m.group), 6) +
                    centred(m.is_bvi ? "*" : "-", 6));
  }
  return text;
}

nlohmann::json domain_json(const Router& router, const vnet::BridgeDomain& domain) {
  const vnet::BridgeConfig& c = domain.config();
  nlohmann::json members = nlohmann::json::array();
  for (const vnet::BridgeMember& m : domain.members()) {
    members.push_back(
        {{"interface", name_of(router, m.interface)}, {"shg", m.group}, {"bvi", m.is_bvi}});
  }
  return {{"id", c.id},
          {"mac_age_s", c.age / std::chrono::seconds(1)},
          {"learn", c.learn},
          {"forward", c.forward},
          {"flood", c.flood},
          {"entries", domain.entries().size()},
          {"learn_limit", c.max_entries},
          {"members", members}};
}

Result<Answer> show_domains(Router& router, const Arguments& a) {
  std::string text =
      trimmed(centred("BD-ID", 8) + centred("Age(min)", 10) + centred("Learning", 10) +
              centred("U-Forwrd", 10) + centred("Flooding", 10) + centred("Learn-co", 10) +
              centred("Learn-limit", 12) + centred("BVI-Intf", 16));
  nlohmann::json all = nlohmann::json::array();
  for (const vnet::BridgeDomain* domain : router.vnet().bridges().domains()) {
    if (a.has("bridge-domain") && domain->config().id != domain_number(a)) continue;
    text += domain_text(router, *domain);
    if (a.has("detail")) text += members_text(router, *domain);
    all.push_back(domain_json(router, *domain));
  }
  return Answer::of_both(std::move(text), std::move(all));
}

// A domain's entries by address, so that a page shows the same twice.
auto sorted_entries(const vnet::BridgeDomain& domain) {
  return std::map<net::MacAddress, vnet::BridgeDomain::Entry>(domain.entries().begin(),
                                                              domain.entries().end());
}

Result<Answer> show_entries(Router& router, const Arguments& a) {
  std::string text =
      trimmed(centred("Mac-Address", 19) + centred("BD-ID", 8) + centred("If-Idx", 8) +
              centred("Age(min)", 10) + centred("static", 8) + "Interface-Name");
  nlohmann::json all = nlohmann::json::array();
  for (const vnet::BridgeDomain* domain : router.vnet().bridges().domains()) {
    const uint32_t id = domain->config().id;
    if (a.has("bridge-domain") && id != domain_number(a)) continue;
    for (const auto& [mac, entry] : sorted_entries(*domain)) {
      const Duration age = router.loop().now() - entry.seen;
      const std::string name = name_of(router, entry.interface);
      text += trimmed(centred(to_string(mac), 19) + centred(std::to_string(id), 8) +
                      centred(std::to_string(entry.interface), 8) +
                      centred(entry.is_static ? "-" : std::to_string(age / minutes(1)), 10) +
                      centred(entry.is_static ? "*" : "-", 8) + name);
      all.push_back({{"mac", to_string(mac)},
                     {"bridge_domain", id},
                     {"interface", name},
                     {"static", entry.is_static},
                     {"age_s", to_seconds(age)}});
    }
  }
  return Answer::of_both(std::move(text), std::move(all));
}

void list_bridges(const Router& router, ConfigurationLines& lines) {
  const vnet::BridgeConfig usual;
  for (const vnet::BridgeDomain* domain : router.vnet().bridges().domains()) {
    const vnet::BridgeConfig& c = domain->config();
    std::string text = fmt::format("create bridge-domain {}", c.id);
    for (const auto& [name, now, first] : {std::tuple("learn", c.learn, usual.learn),
                                           std::tuple("forward", c.forward, usual.forward),
                                           std::tuple("flood", c.flood, usual.flood)}) {
      if (now != first) text += fmt::format(" {} {}", name, now ? 1 : 0);
    }
    if (c.age != usual.age) text += fmt::format(" mac-age {}", c.age / minutes(1));
    if (c.max_entries != usual.max_entries) text += fmt::format(" learn-limit {}", c.max_entries);
    lines.push_back({std::move(text), fmt::format("delete bridge-domain {}", c.id)});
    for (const vnet::BridgeMember& m : domain->members()) {
      const std::string name = name_of(router, m.interface);
      lines.push_back({.line = fmt::format("set interface l2 bridge {} {}{}{}", name, c.id,
                                           m.is_bvi ? " bvi" : "",
                                           m.group == 0 ? "" : fmt::format(" {}", m.group)),
                       .undo = fmt::format("set interface l3 {}", name),
                       .stage = LoadStage::Filter});
    }
    for (const auto& [mac, entry] : sorted_entries(*domain)) {
      if (!entry.is_static) continue;
      lines.push_back({.line = fmt::format("l2fib add {} {} {} static", to_string(mac), c.id,
                                           name_of(router, entry.interface)),
                       .undo = fmt::format("l2fib del {} {}", to_string(mac), c.id)});
    }
  }
}

}  // namespace

Feature bridge_feature() {
  return {
      {setting(
           "create bridge-domain <id:1..16777215> [learn <learn:0..1> | forward <forward:0..1> | "
           "flood <flood:0..1> | mac-age <mac-age:0..255> | learn-limit "
           "<learn-limit:1..16777215>]*",
           "a bridge domain; what it learns is forgotten after so many minutes, 0 for never",
           create_domain),
       setting("delete bridge-domain <bridge-domain>", "remove one; its members leave it",
               remove_domain),
       setting("set bridge-domain (learn|forward|flood) <bridge-domain> [disable]",
               "switch one of these on or off", change_domain),
       setting("set bridge-domain mac-age <bridge-domain> <age:0..255>",
               "after how many minutes what was learnt is forgotten", change_domain),
       setting("set interface l2 bridge <interface> <bridge-domain> [bvi] [<shg:0..255>]",
               "put an interface into a bridge domain; a loopback as its BVI", join_domain),
       setting("set interface l3 <interface>", "take it out again", leave_domain),
       setting("l2fib add <mac> <bridge-domain> <interface> [static]",
               "where an address is, which is not to be learnt", add_entry),
       setting("l2fib del <mac> <bridge-domain>", "take that back", remove_entry),
       {"l2fib flush-mac (all | bridge-domain <bridge-domain>)", "forget what was learnt",
        flush_entries},
       {"show bridge-domain [<bridge-domain> [detail]]", "bridge domains and their members",
        show_domains},
       {"show l2fib [all | bd_id <bridge-domain>]", "which address is behind which member",
        show_entries}},
      list_bridges,
      {},
      LoadStage::Filter};
}

}  // namespace wh::router
