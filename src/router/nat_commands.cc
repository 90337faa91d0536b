// NAT44: which interfaces are inside and outside, addresses, forwarded ports, what is mapped now.
#include "net/ip_service.h"
#include "router/command.h"
#include "router/values.h"

namespace wh::router {
namespace {

using net::Ip4;
using std::chrono::seconds;
using vnet::Nat44;
using vnet::NatRole;
using vnet::NatStatic;

Result<Answer> enable_nat(Router& router, const Arguments& a) {
  TRY(router.vnet().nat44().set_max_mappings(a.number("sessions", Nat44::kUsualMappings)));
  return Answer::nothing();
}

Result<Answer> disable_nat(Router& router, const Arguments&) {
  Nat44& nat = router.vnet().nat44();
  for (uint16_t i = 1; i < router.vnet().interfaces().size(); ++i) nat.forget(i);
  while (!nat.statics().empty()) TRY(nat.remove_static(NatStatic(nat.statics().back())));
  while (!nat.addresses().empty()) TRY(nat.remove_address(nat.addresses().back()));
  nat.clear();
  nat.set_timeouts({});
  return enable_nat(router, {});
}

// Both ends of a range, or one address twice. Nothing is changed when an address is refused.
Result<Answer> set_nat_addresses(Router& router, const Arguments& a) {
  Nat44& nat = router.vnet().nat44();
  const Ip4 first = TRY(net::parse_ip4(a["first"]));
  const Ip4 last = a.has("last") ? TRY(net::parse_ip4(a["last"])) : first;
  if (last < first || last.value - first.value >= Nat44::kMaxAddresses) {
    return fail("{} - {}; accepted: 1 to {} addresses", a["first"], a["last"],
                Nat44::kMaxAddresses);
  }
  const bool is_removal = a.has("del");
  for (uint32_t value = first.value; value <= last.value; ++value) {
    auto done = is_removal ? nat.remove_address({value}) : nat.add_address({value});
    if (done) continue;
    while (value-- > first.value) {
      // It was as this makes it again a moment ago.
      MUST(is_removal ? nat.add_address({value}) : nat.remove_address({value}));
    }
    return tl::unexpected(std::move(done.error()));
  }
  return Answer::nothing();
}

Result<Answer> set_nat_interface_address(Router& router, const Arguments& a) {
  const uint16_t index = TRY(router.index_of(a["interface"]));
  Nat44& nat = router.vnet().nat44();
  TRY(a.has("del") ? nat.remove_interface_addresses(index) : nat.add_interface_addresses(index));
  return Answer::nothing();
}

// All of them or none.
Result<Answer> set_nat_roles(Router& router, const Arguments& a) {
  Nat44& nat = router.vnet().nat44();
  std::map<uint16_t, NatRole> wanted;
  for (const Arguments& one : a.list("roles")) {
    const uint16_t index = TRY(router.index_of(one["interface"]));
    const NatRole role = one.has("in") ? NatRole::Inside : NatRole::Outside;
    const NatRole now = nat.role(index);
    if (!wanted.emplace(index, role).second) return fail("{}: given twice", one["interface"]);
    if (a.has("del") && now != role) {
      return fail("{}: is not {}", one["interface"],
                  role == NatRole::Inside ? "inside" : "outside");
    }
    if (!a.has("del") && now != role && now != NatRole::None) {
      return fail("{}: is {}", one["interface"], now == NatRole::Inside ? "inside" : "outside");
    }
  }
  for (const auto& [index, role] : wanted) {
    const NatRole next = a.has("del") ? NatRole::None : role;
    if (nat.role(index) != next) TRY(nat.set_role(index, next));
  }
  return Answer::nothing();
}

Result<Answer> set_nat_static(Router& router, const Arguments& a) {
  NatStatic mapping{.outside = TRY(net::parse_ip4(a["external"])),
                    .outside_port = static_cast<uint16_t>(a.number("external-port")),
                    .inside = TRY(net::parse_ip4(a["local"])),
                    .inside_port = static_cast<uint16_t>(a.number("local-port"))};
  if (a.has("vrf")) {
    mapping.vrf = TRY(router.vnet().table_of(static_cast<uint32_t>(a.number("vrf"))));
  }
  for (const char* name : {"tcp", "udp", "icmp"}) {
    if (a.has(name)) mapping.protocol = TRY(parse_protocol(name));
  }
  Nat44& nat = router.vnet().nat44();
  TRY(a.has("del") ? nat.remove_static(mapping) : nat.add_static(mapping));
  return Answer::nothing();
}

Result<Answer> set_nat_timeouts(Router& router, const Arguments& a) {
  vnet::NatTimeouts timeouts;
  if (!a.has("reset")) {
    timeouts = router.vnet().nat44().timeouts();
    auto take = [&](const char* name, Duration& into) {
      if (a.has(name)) into = seconds(a.number(name));
    };
    take("udp", timeouts.udp);
    take("tcp-established", timeouts.tcp_established);
    take("tcp-transitory", timeouts.tcp_transitory);
    take("icmp", timeouts.icmp);
  }
  router.vnet().nat44().set_timeouts(timeouts);
  return Answer::nothing();
}

// --- show ---

std::string name_of_interface(const Router& router, uint16_t index) {
  return router.vnet().interfaces()[index].name;
}

Result<Answer> show_nat_interfaces(Router& router, const Arguments&) {
  std::string text = "NAT44 interfaces:\n";
  nlohmann::json all = nlohmann::json::array();
  for (uint16_t i = 1; i < router.vnet().interfaces().size(); ++i) {
    const NatRole role = router.vnet().nat44().role(i);
    if (role == NatRole::None) continue;
    const char* word = role == NatRole::Inside ? "in" : "out";
    text += fmt::format(" {} {}\n", name_of_interface(router, i), word);
    all.push_back({{"interface", name_of_interface(router, i)}, {"role", word}});
  }
  return Answer::of_both(std::move(text), std::move(all));
}

Result<Answer> show_nat_addresses(Router& router, const Arguments&) {
  std::string text = "NAT44 pool addresses:\n";
  nlohmann::json all = nlohmann::json::array();
  std::map<Ip4, std::map<uint8_t, size_t>> all_busy;
  for (const auto* m : router.vnet().nat44().mappings()) {
    ++all_busy[m->outside.address][m->outside.protocol];
  }
  for (const Ip4 address : router.vnet().nat44().pool()) {
    std::map<uint8_t, size_t>& busy = all_busy[address];
    text += to_string(address) + "\n";
    nlohmann::json ports = nlohmann::json::object();
    for (const uint8_t p : {net::kProtocolUdp, net::kProtocolTcp, net::kProtocolIcmp}) {
      text += fmt::format("  {} busy {} ports\n", busy[p], protocol_name(p));
      ports[protocol_name(p)] = busy[p];
    }
    all.push_back({{"address", to_string(address)}, {"busy", ports}});
  }
  return Answer::of_both(std::move(text), std::move(all));
}

std::string static_text(const Router& router, const NatStatic& m) {
  const uint32_t id = router.vnet().vrf_of_table(m.vrf);
  const std::string vrf = id == 0 ? "" : fmt::format(" vrf {}", id);
  if (m.protocol == 0) {
    return fmt::format("local {} external {}{}", to_string(m.inside), to_string(m.outside), vrf);
  }
  std::string protocol = protocol_name(m.protocol);
  for (char& c : protocol) c = static_cast<char>(std::tolower(c));
  return fmt::format("{} local {} {} external {} {}{}", protocol, to_string(m.inside),
                     m.inside_port, to_string(m.outside), m.outside_port, vrf);
}

Result<Answer> show_nat_statics(Router& router, const Arguments&) {
  std::string text = "NAT44 static mappings:\n";
  nlohmann::json all = nlohmann::json::array();
  for (const NatStatic& m : router.vnet().nat44().statics()) {
    text += fmt::format(" {}\n", static_text(router, m));
    all.push_back({{"protocol", m.protocol == 0 ? "any" : protocol_name(m.protocol)},
                   {"local", to_string(m.inside)},
                   {"local_port", m.inside_port},
                   {"external", to_string(m.outside)},
                   {"external_port", m.outside_port},
                   {"vrf", router.vnet().vrf_of_table(m.vrf)}});
  }
  return Answer::of_both(std::move(text), std::move(all));
}

nlohmann::json endpoint_json(const vnet::NatEndpoint& e) {
  return {{"address", to_string(e.address)}, {"port", e.port}};
}

Result<Answer> show_nat_sessions(Router& router, const Arguments&) {
  const auto mappings = router.vnet().nat44().mappings();
  std::string text = fmt::format(
      "NAT44 sessions:\n-------- thread 0 vpp_main: {} sessions --------\n", mappings.size());
  nlohmann::json all = nlohmann::json::array();
  for (const vnet::NatMapping* m : mappings) {
    const std::string protocol = protocol_name(m->inside.protocol);
    const uint32_t vrf = router.vnet().vrf_of_table(m->inside.vrf);
    const Duration left =
        std::max(Duration{}, router.vnet().nat44().end_of(*m) - router.loop().now());
    text += fmt::format(
        "    i2o {} proto {} port {} fib {}\n    o2i {} proto {} port {} fib {}\n"
        "       {}, ends in {:.0f} s\n       total pkts {}, total bytes {}\n",
        to_string(m->inside.address), protocol, m->inside.port, vrf, to_string(m->outside.address),
        protocol, m->outside.port, m->outside.vrf, m->is_established ? "established" : "dynamic",
        to_seconds(left), m->packets, m->bytes);
    all.push_back({{"protocol", protocol},
                   {"vrf", vrf},
                   {"inside", endpoint_json(m->inside)},
                   {"outside", endpoint_json(m->outside)},
                   {"established", m->is_established},
                   {"ends_in_s", to_seconds(left)},
                   {"packets", m->packets},
                   {"bytes", m->bytes}});
  }
  return Answer::of_both(std::move(text), std::move(all));
}

Result<Answer> show_nat_summary(Router& router, const Arguments&) {
  const Nat44& nat = router.vnet().nat44();
  std::map<uint8_t, size_t> by_protocol;
  for (const auto* m : nat.mappings()) ++by_protocol[m->inside.protocol];
  std::string text = fmt::format("max translations per thread: {}\ntotal sessions: {}\n",
                                 nat.max_mappings(), nat.size());
  nlohmann::json all = {{"most", nat.max_mappings()}, {"sessions", nat.size()}};
  for (const uint8_t p : {net::kProtocolTcp, net::kProtocolUdp, net::kProtocolIcmp}) {
    text += fmt::format("total {} sessions: {}\n", protocol_name(p), by_protocol[p]);
    all[protocol_name(p)] = by_protocol[p];
  }
  return Answer::of_both(std::move(text), std::move(all));
}

Result<Answer> show_nat_timeouts(Router& router, const Arguments&) {
  const vnet::NatTimeouts& t = router.vnet().nat44().timeouts();
  std::string text;
  nlohmann::json all = nlohmann::json::object();
  for (const auto& [name, time] :
       {std::pair("udp", t.udp), std::pair("tcp-established", t.tcp_established),
        std::pair("tcp-transitory", t.tcp_transitory), std::pair("icmp", t.icmp)}) {
    text += fmt::format("{} timeout: {}sec\n", name, time / seconds(1));
    all[name] = time / seconds(1);
  }
  return Answer::of_both(std::move(text), std::move(all));
}

Result<Answer> clear_nat_sessions(Router& router, const Arguments&) {
  router.vnet().nat44().clear();
  return Answer::nothing();
}

// --- what is set ---

void list_nat(const Router& router, ConfigurationLines& lines) {
  const Nat44& nat = router.vnet().nat44();
  auto add = [&](std::string line) { lines.push_back({line, line + " del"}); };
  if (nat.max_mappings() != Nat44::kUsualMappings) {
    lines.push_back({fmt::format("nat44 plugin enable sessions {}", nat.max_mappings()),
                     "nat44 plugin enable"});
  }
  const vnet::NatTimeouts& t = nat.timeouts();
  if (t != vnet::NatTimeouts{}) {
    lines.push_back({fmt::format("set nat timeout udp {} tcp-established {} tcp-transitory {} "
                                 "icmp {}",
                                 t.udp / seconds(1), t.tcp_established / seconds(1),
                                 t.tcp_transitory / seconds(1), t.icmp / seconds(1)),
                     "set nat timeout reset"});
  }
  for (uint16_t i = 1; i < router.vnet().interfaces().size(); ++i) {
    if (nat.role(i) == NatRole::None) continue;
    add(fmt::format("set interface nat44 {} {}", nat.role(i) == NatRole::Inside ? "in" : "out",
                    name_of_interface(router, i)));
    lines.back().stage = LoadStage::Filter;
  }
  // Which address an inside host gets follows from their order.
  for (const Ip4 address : nat.addresses()) {
    add("nat44 add address " + to_string(address));
    lines.back().order = "nat44 address";
  }
  for (const uint16_t index : nat.address_interfaces()) {
    add("nat44 add interface address " + name_of_interface(router, index));
    lines.back().order = "nat44 interface address";
  }
  for (const NatStatic& m : nat.statics())
    add("nat44 add static mapping " + static_text(router, m));
}

}  // namespace

Feature nat_feature() {
  return {
      {setting("nat44 plugin enable [sessions <sessions:1..100000000>]",
               "NAT44 is always there; this bounds its sessions", enable_nat),
       setting("nat44 plugin disable", "take back all that is set of it, and end its sessions",
               disable_nat),
       setting("set interface nat44 {roles: (in|out) <interface>} [output-feature] [del]",
               "whose hosts are inside, and where outside is", set_nat_roles),
       setting("nat44 add address <first:ip4> [- <last:ip4>] [del]",
               "addresses that inside hosts get outside", set_nat_addresses),
       setting("nat44 add interface address <interface> [del]",
               "the addresses that an interface has at any time are such",
               set_nat_interface_address),
       setting("nat44 add static mapping ((tcp|udp|icmp) local <local:ip4> <local-port:1..65535> "
               "external <external:ip4> <external-port:1..65535> | local <local:ip4> external "
               "<external:ip4>) [vrf <vrf:table>] [del]",
               "forward a port, or a whole address, to an inside host", set_nat_static),
       setting("set nat timeout (reset | udp <udp:1..31536000> | tcp-established "
               "<tcp-established:1..31536000> | tcp-transitory <tcp-transitory:1..31536000> | icmp "
               "<icmp:1..31536000>) [udp <udp:1..31536000> | tcp-established "
               "<tcp-established:1..31536000> | tcp-transitory <tcp-transitory:1..31536000> | icmp "
               "<icmp:1..31536000>]*",
               "after how many seconds an idle session ends", set_nat_timeouts),
       {"show nat44 interfaces", "who is inside and outside", show_nat_interfaces},
       {"show nat44 addresses", "the pool, and how much of it is in use", show_nat_addresses},
       {"show nat44 static mappings", "forwarded ports and addresses", show_nat_statics},
       {"show nat44 sessions", "what is mapped now", show_nat_sessions},
       {"show nat44 summary", "how many sessions there are", show_nat_summary},
       {"show nat timeouts", "after how long idle sessions end", show_nat_timeouts},
       {"clear nat44 sessions", "end all sessions", clear_nat_sessions}},
      list_nat};
}

}  // namespace wh::router
