// Access lists and where they are asked.
#include "net/ip_service.h"
#include "router/command.h"
#include "router/reports.h"
#include "router/values.h"

namespace wh::router {
namespace {

using net::Family;
using vnet::AclAction;
using vnet::AclRule;
using vnet::AclTable;

// --- rules ---

const char* action_name(AclAction action) {
  switch (action) {
    case AclAction::Deny: return "deny";
    case AclAction::Permit: return "permit";
    case AclAction::Reflect: return "permit+reflect";
  }
  UNREACHABLE();
}

net::Prefix anywhere(Family family) {
  return {family == Family::V4 ? net::IpAddress(net::Ip4{}) : net::IpAddress(net::Ip6{}), 0};
}

// A side that is not given is any of the other's family.
Result<AclRule> rule_of(const Arguments& a) {
  AclRule rule{.action = a.has("deny")     ? AclAction::Deny
                         : a.has("permit") ? AclAction::Permit
                                           : AclAction::Reflect};
  Family family = a.has("ipv6") ? Family::V6 : Family::V4;
  for (const char* side : {"src", "dst"}) {
    if (a.has(side)) family = TRY(net::parse_prefix(a[side])).address.family;
    const char* other = family == Family::V6 ? "ipv4" : "ipv6";
    if (a.has(other)) return fail("{} {}: not of {}", side, a[side], other);
  }
  rule.source = rule.destination = anywhere(family);
  if (a.has("src")) rule.source = TRY(net::parse_prefix(a["src"])).network();
  if (a.has("dst")) rule.destination = TRY(net::parse_prefix(a["dst"])).network();
  if (a.has("proto")) rule.protocol = TRY(parse_protocol(a["proto"]));
  if (a.has("sport")) rule.source_ports = TRY(parse_ports(a["sport"]));
  if (a.has("dport")) rule.destination_ports = TRY(parse_ports(a["dport"]));
  rule.tcp_flags = static_cast<uint8_t>(a.number("tcpflags"));
  rule.tcp_mask = static_cast<uint8_t>(a.number("mask"));
  return rule;
}

std::string rule_text(const AclRule& rule) {
  std::string text = fmt::format("{} src {} dst {}", action_name(rule.action),
                                 to_string(rule.source), to_string(rule.destination));
  if (rule.protocol != 0) text += fmt::format(" proto {}", rule.protocol);
  if (rule.source_ports != vnet::PortRange{}) text += " sport " + to_string(rule.source_ports);
  if (rule.destination_ports != vnet::PortRange{}) {
    text += " dport " + to_string(rule.destination_ports);
  }
  if (rule.tcp_mask != 0) {
    text += fmt::format(" tcpflags {} mask {}", rule.tcp_flags, rule.tcp_mask);
  }
  return text;
}

// --- lists ---

Result<Answer> set_acl(Router& router, const Arguments& a) {
  std::vector<AclRule> rules;
  for (const Arguments& rule : a.list("rules")) rules.push_back(TRY(rule_of(rule)));
  AclTable& acls = router.vnet().acls();
  const std::string tag = a.get("tag", "");
  if (!a.has("index")) {
    const uint32_t number = TRY(acls.add(std::move(rules), tag));
    return Answer{[=] { return fmt::format("ACL index:{}\n", number); },
                  [=] {
                    return nlohmann::json{{"index", number}};
                  }};
  }
  TRY(acls.put(static_cast<uint32_t>(a.number("index")), std::move(rules), tag));
  return Answer::nothing();
}

Result<Answer> delete_acl(Router& router, const Arguments& a) {
  TRY(router.vnet().acls().remove(static_cast<uint32_t>(a.number("acl"))));
  return Answer::nothing();
}

Result<Answer> bind_acls(Router& router, const Arguments& a) {
  const uint16_t index = TRY(router.index_of(a["interface"]));
  const AclTable::Side side = a.has("input") ? AclTable::kInput : AclTable::kOutput;
  std::vector<uint32_t> bound = router.vnet().acls().bound(index, side);
  for (const Arguments& one : a.list("acls")) {
    const auto acl = static_cast<uint32_t>(one.number("acl"));
    const size_t was = std::erase(bound, acl);
    if (a.has("del") && was == 0) return fail("{}: acl {} is not bound", a["interface"], acl);
    if (!a.has("del")) bound.push_back(acl);
  }
  TRY(router.vnet().acls().bind(index, side, std::move(bound)));
  return Answer::nothing();
}

Result<Answer> show_acls(Router& router, const Arguments& a) {
  std::string text;
  nlohmann::json all = nlohmann::json::array();
  const auto hits = acl_hits(router);
  for (const auto& [number, list] : router.vnet().acls().lists()) {
    if (a.has("acl") && number != a.number("acl")) continue;
    text += fmt::format("acl-index {} count {} tag {{{}}}\n", number, list.rules.size(), list.tag);
    nlohmann::json rules = nlohmann::json::array();
    for (size_t i = 0; i < list.rules.size(); ++i) {
      const AclRule& r = list.rules[i];
      const char* family = r.source.address.is_v4() ? "ipv4" : "ipv6";
      text += fmt::format("{:11}: {} {} src {} dst {} proto {} sport {}-{} dport {}-{}", i, family,
                          action_name(r.action), to_string(r.source), to_string(r.destination),
                          r.protocol, r.source_ports.first, r.source_ports.last,
                          r.destination_ports.first, r.destination_ports.last);
      if (r.tcp_mask != 0) text += fmt::format(" tcpflags {} mask {}", r.tcp_flags, r.tcp_mask);
      text += fmt::format(" hits {}\n", hits.at(number)[i]);
      rules.push_back({{"rule", rule_text(r)}, {"hits", hits.at(number)[i]}});
    }
    all.push_back({{"index", number}, {"tag", list.tag}, {"rules", rules}});
  }
  return Answer::of_both(std::move(text), std::move(all));
}

Result<Answer> show_bindings(Router& router, const Arguments&) {
  std::string text;
  nlohmann::json all = nlohmann::json::array();
  const auto& table = router.vnet().interfaces();
  const AclTable& acls = router.vnet().acls();
  for (uint16_t i = 1; i < table.size(); ++i) {
    const auto& in = acls.bound(i, AclTable::kInput);
    const auto& out = acls.bound(i, AclTable::kOutput);
    if (table[i].device == nullptr || (in.empty() && out.empty())) continue;
    text += fmt::format("sw_if_index {} ({}):\n", i, table[i].name);
    if (!in.empty()) text += fmt::format("   input acl(s): {}\n", fmt::join(in, ", "));
    if (!out.empty()) text += fmt::format("  output acl(s): {}\n", fmt::join(out, ", "));
    all.push_back({{"interface", table[i].name}, {"input", in}, {"output", out}});
  }
  return Answer::of_both(std::move(text), std::move(all));
}

Result<Answer> show_acl_sessions(Router& router, const Arguments&) {
  const AclTable& acls = router.vnet().acls();
  const size_t now = acls.sessions();
  const uint64_t evicted = acls.evicted();
  return Answer{[=] {
                  return fmt::format("Sessions total: {} of at most {}, evicted: {}\n", now,
                                     AclTable::kMaxSessions, evicted);
                },
                [=] {
                  return nlohmann::json{
                      {"sessions", now}, {"most", AclTable::kMaxSessions}, {"evicted", evicted}};
                }};
}

Result<Answer> clear_acl_sessions(Router& router, const Arguments&) {
  router.vnet().acls().clear_sessions();
  return Answer::nothing();
}

void list_acls(const Router& router, ConfigurationLines& lines) {
  const AclTable& acls = router.vnet().acls();
  for (const auto& [number, list] : acls.lists()) {
    std::vector<std::string> rules;
    for (const AclRule& rule : list.rules) rules.push_back(rule_text(rule));
    const std::string tag = list.tag.empty() ? "" : " tag " + quote_word(list.tag);
    lines.push_back({.line = fmt::format("set acl-plugin acl index {} {}{}", number,
                                         fmt::join(rules, ", "), tag),
                     .undo = fmt::format("delete acl-plugin acl index {}", number),
                     .stage = LoadStage::Filter});
  }
  const auto& table = router.vnet().interfaces();
  for (uint16_t i = 1; i < table.size(); ++i) {
    for (const auto side : {AclTable::kInput, AclTable::kOutput}) {
      const auto& bound = acls.bound(i, side);
      if (bound.empty()) continue;
      const std::string text =
          fmt::format("set acl-plugin interface {} {} acl {}", table[i].name,
                      side == AclTable::kInput ? "input" : "output", fmt::join(bound, " acl "));
      lines.push_back({.line = text, .undo = text + " del", .stage = LoadStage::Filter});
    }
  }
}

}  // namespace

Feature acl_feature() {
  return {
      {setting("set acl-plugin acl [index <index:0..4294967295>] {rules,: "
               "(permit|deny|permit+reflect) [ipv4|ipv6] [src <src:prefix> | dst <dst:prefix> | "
               "proto <proto:protocol> | sport <sport:ports> | dport <dport:ports> | tcpflags "
               "<tcpflags:0..255> mask <mask:0..255>]*} [tag <tag:word>]",
               "make an access list, or give one another content; reflect lets answers pass",
               set_acl),
       setting("delete acl-plugin acl index <acl>", "remove an access list", delete_acl),
       setting("set acl-plugin interface <interface> (input|output) {acls: acl <acl>} [del]",
               "hold what comes in or goes out against further lists, or no more", bind_acls),
       {"show acl-plugin acl [index <acl>]", "access lists, and how often each rule matched",
        show_acls},
       {"show acl-plugin interface", "which lists each interface asks", show_bindings},
       {"show acl-plugin sessions", "how many flows pass because of permit+reflect",
        show_acl_sessions},
       {"clear acl-plugin sessions", "end them", clear_acl_sessions}},
      list_acls};
}

}  // namespace wh::router
