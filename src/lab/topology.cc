// Reading a topology: a table of keys for each kind of table in the file.
#include "lab/topology.h"

#include <algorithm>
#include <charconv>
#include <functional>

#include "core/sysctl.h"
#include "lab/paths.h"
#include "lab/toml_values.h"

namespace wh::lab {
namespace {

struct Setter {
  std::string_view name;
  std::function<Result<void>(const std::string& value)> set;
  bool takes_list = false;  // Or one value; set() is called for each.
};

constexpr uint64_t kMostFlows = 10'000;  // Each has ports of its own (World::build_flow).

class TopologyReader {
 public:
  explicit TopologyReader(std::string_view file) : file_(file) {}

  Result<Topology> read(const toml::table& table) {
    const std::vector<Setter> keys = {
        {"name", [&](const auto& v) { return set_name(topology_.name, v); }},
        {"seed", [&](const auto& v) { return set_number(topology_.seed, v); }},
        {"duration", [&](const auto& v) { return set_duration(topology_.duration, v); }},
        {"warmup", [&](const auto& v) { return set_warmup(v); }},  // Of wh pace.
    };
    for (const auto& [key, node] : table) {
      if (key == "sysctl") {
        TRY(read_sysctls(node, ""));
      } else if (node.is_array() || node.is_table()) {
        TRY(read_tables(std::string(key.str()), node));
      } else {
        TRY(apply(keys, key.str(), node, "lab"));
      }
    }
    TRY(check());
    return std::move(topology_);
  }

 private:
  tl::unexpected<Error> bad(const toml::node& node, std::string_view key, std::string_view text) {
    return tl::unexpected(
        Error{std::errc::invalid_argument,
              fmt::format("{}:{}: {}: {}", file_, node.source().begin.line, key, text)});
  }

  Result<void> apply(const std::vector<Setter>& keys, std::string_view name, const toml::node& node,
                     std::string_view what) {
    const auto at =
        std::find_if(keys.begin(), keys.end(), [&](const Setter& k) { return k.name == name; });
    if (at == keys.end()) {
      std::vector<std::string> names;
      for (const Setter& k : keys) names.emplace_back(k.name);
      return bad(node, name,
                 fmt::format("unknown key of a {}; accepted: {}", what, fmt::join(names, ", ")));
    }
    const auto set = [&](const toml::node& one) -> Result<void> {
      auto value = value_text(one);
      if (!value) return bad(one, name, value.error().text);
      if (auto done = at->set(*value); !done) return bad(one, name, done.error().text);
      return {};
    };
    const auto* list = node.as_array();
    if (list == nullptr) return set(node);
    if (!at->takes_list) return bad(node, name, "a list; accepted: one value");
    for (const toml::node& one : *list) TRY(set(one));
    return {};
  }

  Result<void> read_tables(const std::string& kind, const toml::node& node) {
    using Read = Result<void> (TopologyReader::*)(const toml::table&);
    const std::pair<std::string_view, Read> kinds[] = {
        {"host", &TopologyReader::read_host},        {"link", &TopologyReader::read_link},
        {"interface", &TopologyReader::read_device}, {"program", &TopologyReader::read_program},
        {"check", &TopologyReader::read_check},      {"flow", &TopologyReader::read_flow}};
    for (const auto& [name, read] : kinds) {
      if (name != kind) continue;
      const toml::array* list = node.as_array();
      if (list == nullptr) return bad(node, kind, fmt::format("write [[{}]]", kind));
      for (const toml::node& one : *list) {
        if (!one.is_table()) return bad(one, kind, fmt::format("write [[{}]]", kind));
        TRY((this->*read)(*one.as_table()));
      }
      return {};
    }
    return bad(node, kind,
               "unknown table; accepted: host, link, interface, program, check, flow, sysctl");
  }

  Result<void> read_host(const toml::table& table) {
    PlaceSpec host;
    const std::vector<Setter> keys = {
        {"name", [&](const auto& v) { return set_name(host.name, v); }},
        {"kind", [&](const auto& v) { return set_kind(host.kind, v); }},
        {"parameter", [&](const auto& v) { return push(host.parameters, v); }, true},
        {"command", [&](const auto& v) { return push(host.commands, v); }, true},
        {"route", [&](const auto& v) { return add_route(host.routes, v); }, true},
        {"forward", [&](const auto& v) { return set_flag(host.forwards, v); }}};
    for (const auto& [key, node] : table) TRY(apply(keys, key.str(), node, "host"));
    if (host.name.empty()) return bad(table, "host", "it has no name");
    if (topology_.host(host.name) != nullptr) {
      return bad(table, "name", fmt::format("two hosts are named '{}'", host.name));
    }
    if (host.kind == PlaceKind::Router) host.forwards = true;
    if (host.kind == PlaceKind::Vnet && !host.commands.empty()) {
      return bad(table, "command", "a vnet takes none; kind = \"router\" takes VPP's");
    }
    if (host.kind != PlaceKind::Jail && !host.parameters.empty()) {
      return bad(table, "parameter", "only a jail has them");
    }
    topology_.hosts.push_back(std::move(host));
    return {};
  }

  Result<void> read_link(const toml::table& table) {
    CableSpec link;
    const std::vector<Setter> keys = {
        {"name", [&](const auto& v) { return set_name(link.name, v); }},
        {"from", [&](const auto& v) { return set_text(link.from.host, v); }},
        {"to", [&](const auto& v) { return set_text(link.to.host, v); }},
        {"from_interface", [&](const auto& v) { return set_interface(link.from.interface, v); }},
        {"to_interface", [&](const auto& v) { return set_interface(link.to.interface, v); }},
        {"from_address", [&](const auto& v) { return add_address(link.from.addresses, v); }, true},
        {"to_address", [&](const auto& v) { return add_address(link.to.addresses, v); }, true}};
    for (const auto& [key, node] : table) {
      const bool is_ours =
          std::any_of(keys.begin(), keys.end(),
                      [&, k = key.str()](const Setter& one) { return one.name == k; });
      if (is_ours) {
        TRY(apply(keys, key.str(), node, "link"));
      } else {
        TRY(take_config(link.config, std::string(key.str()), node));
      }
    }
    if (auto parsed = net::parse_link_config(link.config); !parsed) {
      return bad(table, "link", parsed.error().text);
    }
    if (link.from.host.empty()) return bad(table, "link", "it has no from = \"HOST\"");
    if (link.to.host.empty()) return bad(table, "link", "it has no to = \"HOST\"");
    if (link.from.host == link.to.host) return bad(table, "link", "both ends are at one host");
    name_link(link);
    topology_.links.push_back(std::move(link));
    return {};
  }

  // What the file leaves out: names, and addresses as wh pace gives them.
  void name_link(CableSpec& link) {
    const size_t n = topology_.links.size();
    if (link.name.empty()) link.name = fmt::format("link{}", n);
    if (link.from.interface.empty()) link.from.interface = fmt::format("epair{}a", n);
    if (link.to.interface.empty()) link.to.interface = fmt::format("epair{}b", n);
    if (!link.from.addresses.empty() || !link.to.addresses.empty()) return;
    link.from.addresses = {{Paths::address(n, 1, 4), 24}};
    link.to.addresses = {{Paths::address(n, 2, 4), 24}};
  }

  Result<void> take_config(std::string& config, const std::string& key, const toml::node& node) {
    if (const auto* inner = node.as_table()) {
      for (const auto& [name, value] : *inner) {
        TRY(take_config(config, key + "." + std::string(name.str()), value));
      }
      return {};
    }
    auto value = value_text(node);
    if (!value) return bad(node, key, value.error().text);
    if (!config.empty()) config += ',';
    config += *value == "true" && node.is_boolean() ? key : key + "=" + *value;
    return {};
  }

  Result<void> read_device(const toml::table& table) {
    DeviceSpec device;
    const std::vector<Setter> keys = {
        {"name", [&](const auto& v) { return set_interface(device.name, v); }},
        {"host", [&](const auto& v) { return set_text(device.host, v); }},
        {"address", [&](const auto& v) { return add_address(device.addresses, v); }, true}};
    for (const auto& [key, node] : table) TRY(apply(keys, key.str(), node, "interface"));
    if (device.name.empty()) return bad(table, "interface", "it has no name");
    topology_.devices.push_back(std::move(device));
    return {};
  }

  Result<void> read_program(const toml::table& table) {
    ProgramSpec program;
    const std::vector<Setter> keys = {
        {"host", [&](const auto& v) { return set_text(program.host, v); }},
        {"command", [&](const auto& v) { return set_text(program.command, v); }},
        {"ready", [&](const auto& v) { return set_text(program.ready, v); }},
        {"within", [&](const auto& v) { return set_duration(program.within, v); }}};
    for (const auto& [key, node] : table) TRY(apply(keys, key.str(), node, "program"));
    if (program.command.empty()) return bad(table, "program", "it has no command");
    topology_.programs.push_back(std::move(program));
    return {};
  }

  Result<void> read_check(const toml::table& table) {
    CheckSpec check;
    const std::vector<Setter> keys = {
        {"host", [&](const auto& v) { return set_text(check.host, v); }},
        {"command", [&](const auto& v) { return set_text(check.command, v); }},
        {"output", [&](const auto& v) { return set_text(check.output, v); }},
        {"ping", [&](const auto& v) { return set_address(check.ping, v); }},
        {"count", [&](const auto& v) { return set_count(check.count, v); }},
        {"flow", [&](const auto& v) { return set_text(check.flow, v); }},
        {"goodput", [&](const auto& v) { return set_rate(check.goodput, v); }},
        {"within", [&](const auto& v) { return set_duration(check.within, v); }}};
    for (const auto& [key, node] : table) TRY(apply(keys, key.str(), node, "check"));
    const int ways =
        (check.command.empty() ? 0 : 1) + (check.ping ? 1 : 0) + (check.flow.empty() ? 0 : 1);
    if (ways != 1) return bad(table, "check", "give one of command, ping and flow");
    topology_.checks.push_back(std::move(check));
    return {};
  }

  Result<void> read_flow(const toml::table& table) {
    const auto text = [&](const toml::node& node, std::string_view key) -> Result<std::string> {
      auto value = value_text(node);
      if (!value) return bad(node, key, value.error().text);
      return value;
    };
    auto flow = parse_flow(TRY(flow_words(table, text)));
    if (!flow) return bad(table, "flow", flow.error().text);
    topology_.flows.push_back(*std::move(flow));
    return {};
  }

  Result<void> read_sysctls(const toml::node& node, const std::string& prefix) {
    if (const auto* table = node.as_table()) {
      for (const auto& [key, value] : *table) {
        const std::string name(key.str());
        TRY(read_sysctls(value, prefix.empty() ? name : prefix + "." + name));
      }
      return {};
    }
    auto value = value_text(node);
    if (!value) return bad(node, prefix, value.error().text);
    topology_.sysctls.push_back(prefix + "=" + *value);
    return {};
  }

  Result<void> check_host(std::string_view what, std::string_view name) const {
    if (topology_.host(name) != nullptr) return {};
    std::vector<std::string> names;
    for (const PlaceSpec& host : topology_.hosts) names.push_back(host.name);
    const std::string near = nearest(name, names);
    return fail("{}: {}: there is no host '{}'{}", file_, what, name,
                near.empty() ? "" : fmt::format(" (did you mean {}?)", near));
  }
  Result<void> check_kind(std::string_view what, std::string_view name,
                          std::initializer_list<PlaceKind> accepted) const {
    TRY(check_host(what, name));
    const PlaceKind kind = topology_.host(name)->kind;
    if (std::find(accepted.begin(), accepted.end(), kind) != accepted.end()) return {};
    std::vector<std::string_view> names;
    for (const PlaceKind k : accepted) names.push_back(name_of(k));
    return fail("{}: {}: '{}' is a {}; accepted: {}", file_, what, name, name_of(kind),
                fmt::join(names, ", "));
  }

  // What only the whole file shows.
  Result<void> check() {
    if (topology_.hosts.empty()) return fail("{}: it has no [[host]]", file_);
    using enum PlaceKind;
    std::vector<std::pair<std::string, std::string>> taken;
    const auto take = [&](const std::string& host, const std::string& interface) -> Result<void> {
      const std::pair<std::string, std::string> both(host, interface);
      if (std::find(taken.begin(), taken.end(), both) != taken.end()) {
        return fail("{}: host '{}' has two interfaces named '{}'", file_, host, interface);
      }
      taken.push_back(both);
      return {};
    };
    for (const CableSpec& link : topology_.links) {
      for (const CableEnd* end : {&link.from, &link.to}) {
        TRY(check_host(link.name, end->host));
        TRY(take(end->host, end->interface));
      }
    }
    for (const DeviceSpec& device : topology_.devices) {
      TRY(check_kind("interface", device.host, {Jail, Router}));
      TRY(take(device.host, device.name));
    }
    for (const ProgramSpec& p : topology_.programs) TRY(check_kind("program", p.host, {Jail}));
    for (const CheckSpec& c : topology_.checks) {
      if (!c.command.empty()) TRY(check_kind("check", c.host, {Jail}));
      if (c.ping) TRY(check_host("check", c.host));
    }
    uint64_t connections = 0;
    for (const FlowSpec& flow : topology_.flows) {
      TRY(check_kind("flow", flow.from, {Vnet}));
      TRY(check_kind("flow", flow.to, {Vnet}));
      if (auto good = check_flow(flow, topology_.duration); !good) {
        return tl::unexpected(std::move(good.error()).within(file_));
      }
      connections += flow.count;
    }
    if (connections > kMostFlows) {
      return fail("{}: {} connections; one lab takes at most {}", file_, connections, kMostFlows);
    }
    if (topology_.links.size() > kMaxLinks) {
      return fail("{}: {} links; one lab takes at most {}", file_, topology_.links.size(),
                  kMaxLinks);
    }
    return {};
  }

  static Result<void> set_name(std::string& into, const std::string& value) {
    const bool is_plain =
        !value.empty() && std::all_of(value.begin(), value.end(), [](unsigned char c) {
          return std::isalnum(c) != 0 || c == '_' || c == '-';
        });
    if (!is_plain) return fail("'{}' is not a name; accepted: letters, digits, _ and -", value);
    into = value;
    return {};
  }
  static Result<void> set_text(std::string& into, const std::string& value) {
    into = value;
    return {};
  }
  static Result<void> push(std::vector<std::string>& into, const std::string& value) {
    into.push_back(value);
    return {};
  }
  static Result<void> set_interface(std::string& into, const std::string& value) {
    constexpr size_t kLongest = 15;  // IFNAMSIZ less its end.
    const bool is_plain = std::all_of(value.begin(), value.end(), [](unsigned char c) {
      return c > ' ' && c != 0x7f && c != '/' && c != ':';  // As Linux has it.
    });
    if (value.empty() || value.size() > kLongest || !is_plain) {
      return fail("'{}' is not an interface's name; accepted: 1 to {} characters, no space, / or :",
                  value, kLongest);
    }
    into = value;
    return {};
  }
  static Result<void> set_kind(PlaceKind& into, const std::string& value) {
    using enum PlaceKind;
    for (const PlaceKind kind : {Vnet, Router, Jail}) {
      if (value != name_of(kind)) continue;
      into = kind;
      return {};
    }
    return fail("unknown '{}'; accepted: vnet, router, jail", value);
  }
  static Result<void> set_flag(bool& into, const std::string& value) {
    if (value != "true" && value != "false") return fail("'{}' is neither true nor false", value);
    into = value == "true";
    return {};
  }
  static Result<void> set_number(uint64_t& into, const std::string& value) {
    const auto end = value.data() + value.size();
    const auto parsed = std::from_chars(value.data(), end, into);
    if (parsed.ec == std::errc() && parsed.ptr == end) return {};
    return fail("'{}' is not a whole number", value);
  }
  static Result<void> set_count(uint64_t& into, const std::string& value) {
    TRY(set_number(into, value));
    if (into > 0) return {};
    return fail("0 of them show nothing; accepted: 1, 2 ...");
  }
  static Result<void> set_duration(Duration& into, const std::string& value) {
    into = TRY(parse_duration(value));
    if (into > 0s && into <= kLongestRun) return {};
    return fail("{} is out of range; accepted: above 0s, at most a year", value);
  }
  static Result<void> set_warmup(const std::string& value) {
    TRY(parse_duration(value));
    return {};
  }
  static Result<void> set_rate(Rate& into, const std::string& value) {
    into = TRY(parse_rate(value));
    return {};
  }
  static Result<void> set_address(std::optional<net::IpAddress>& into, const std::string& value) {
    into = TRY(net::parse_ip(value));
    return {};
  }
  static Result<void> add_address(std::vector<net::Prefix>& into, const std::string& value) {
    into.push_back(TRY(net::parse_prefix(value)));
    return {};
  }
  static Result<void> add_route(std::vector<RouteSpec>& into, const std::string& value) {
    const size_t via = value.find(" via ");
    if (via == value.npos) {
      return fail("'{}' is not a route; accepted: 10.2.0.0/24 via 10.1.0.1", value);
    }
    RouteSpec route{{}, TRY(net::parse_ip(value.substr(via + 5)))};
    const std::string to = value.substr(0, via);
    const bool is_v4 = route.gateway.is_v4();
    route.destination = to != "default" ? TRY(net::parse_prefix(to))
                        : is_v4         ? net::Prefix{net::Ip4{}, 0}
                                        : net::Prefix{net::Ip6{}, 0};
    into.push_back(route);
    return {};
  }

  std::string_view file_;
  Topology topology_;
};

// "examples/router.toml" is the lab "router".
std::string name_of_file(std::string_view where) {
  where = where.substr(where.rfind('/') + 1);
  return std::string(where.substr(0, where.rfind('.')));
}

}  // namespace

std::string_view name_of(PlaceKind kind) {
  switch (kind) {
    case PlaceKind::Vnet: return "vnet";
    case PlaceKind::Router: return "router";
    case PlaceKind::Jail: return "jail";
  }
  UNREACHABLE();
}

std::string CheckSpec::text() const {
  if (ping) return fmt::format("{}: ping {}", host, net::to_string(*ping));
  if (!flow.empty()) return fmt::format("flow {} gets {}", flow, to_string(goodput));
  return fmt::format("{}: {}", host, command);
}

bool Topology::is_real() const {
  return !devices.empty() || std::any_of(hosts.begin(), hosts.end(), [](const PlaceSpec& host) {
    return host.kind == PlaceKind::Jail;
  });
}

const PlaceSpec* Topology::host(std::string_view wanted) const {
  const auto at = std::find_if(hosts.begin(), hosts.end(),
                               [&](const PlaceSpec& h) { return h.name == wanted; });
  return at == hosts.end() ? nullptr : &*at;
}

Result<Topology> parse_topology(std::string_view text, std::string_view where) {
  try {
    const toml::table table = toml::parse(text, where);
    Topology topology = TRY(TopologyReader(where).read(table));
    if (topology.name.empty()) topology.name = name_of_file(where);
    // The lab's folder is called so (lab/keeper.h).
    if (topology.name.empty() || topology.name == "." || topology.name == "..") {
      return fail("{}: name: the file's makes none for the lab; accepted: name = \"LAB\"", where);
    }
    return topology;
  } catch (const toml::parse_error& e) {
    return fail("{}:{}: {}", where, e.source().begin.line, e.description());
  }
}

}  // namespace wh::lab
