// Reading and printing lab files. toml++ knows where each value stands, so every error names its
// line.
#include <algorithm>
#include <charconv>
#include <set>

#include "lab/spec.h"
#include "lab/toml_values.h"

namespace wh::lab {
namespace {

// What is being read, for errors: "lab.toml:12: rate".
struct Place {
  std::string_view file;
  const LabValues* values = nullptr;  // What `${name}` stands for; null: nothing.
  tl::unexpected<Error> bad(const toml::node& node, std::string_view key, std::string text) const {
    return tl::unexpected(
        Error{std::errc::invalid_argument,
              fmt::format("{}:{}: {}: {}", file, node.source().begin.line, key, text)});
  }
  tl::unexpected<Error> bad(const toml::node& node, std::string_view key, Error error) const {
    return bad(node, key, std::move(error.text));
  }
};

// The text with each `${name}` replaced.
Result<std::string> with_values(std::string text, const LabValues& values) {
  for (size_t at = 0; (at = text.find("${", at)) != std::string::npos;) {
    const size_t end = text.find('}', at);
    const std::string name = text.substr(at + 2, end == std::string::npos ? end : end - at - 2);
    const auto value = values.find(name);
    if (end == std::string::npos || value == values.end()) {
      std::vector<std::string> names;
      for (const auto& [known, unused] : values) names.push_back(known);
      return fail("'{}' names no parameter of the sweep; accepted: {}", text.substr(at),
                  names.empty() ? "none, as it has none" : fmt::to_string(fmt::join(names, ", ")));
    }
    text.replace(at, end + 1 - at, value->second);
    at += value->second.size();
  }
  return text;
}

Result<std::string> text_of(const Place& place, const toml::node& node, std::string_view key) {
  auto text = value_text(node);
  if (text && place.values != nullptr) text = with_values(std::move(*text), *place.values);
  if (!text) return place.bad(node, key, std::move(text.error()));
  return text;
}

// Appends ",key=value" for each entry, tables as "prefix.key".
Result<void> flatten(const Place& place, const toml::table& table, const std::string& prefix,
                     std::string& out) {
  for (const auto& [key, node] : table) {
    const std::string name = prefix + std::string(key.str());
    if (name == "name" || name == "from" || name == "to") continue;
    if (const auto* inner = node.as_table()) {
      TRY(flatten(place, *inner, name + ".", out));
      continue;
    }
    const std::string value = TRY(text_of(place, node, name));
    if (!out.empty()) out += ',';
    out += value == "true" && node.is_boolean() ? name : name + "=" + value;
  }
  return {};
}

Result<HostSpec> read_host(const Place& place, const toml::table& table) {
  HostSpec host;
  for (const auto& [key, node] : table) {
    const std::string value = TRY(text_of(place, node, key.str()));
    if (key == "name") {
      if (auto good = check_name(value); !good)
        return place.bad(node, "name", std::move(good.error()));
      host.name = value;
    } else if (key == "kind" && (value == "vnet" || value == "kernel")) {
      host.kind = value == "kernel" ? HostKind::Kernel : HostKind::Vnet;
    } else if (key == "kind") {
      return place.bad(node, "kind", fmt::format("unknown '{}'; accepted: vnet, kernel", value));
    } else {
      return place.bad(node, key.str(), "unknown key of a host; accepted: name, kind");
    }
  }
  if (host.name.empty()) return place.bad(table, "host", "it has no name");
  return host;
}

Result<LinkSpec> read_link(const Place& place, const toml::table& table, size_t index) {
  LinkSpec link;
  std::string config;
  TRY(flatten(place, table, "", config));
  for (const auto& [key, node] : table) {
    if (key == "name") link.name = TRY(text_of(place, node, "name"));
    if (key == "from") link.from = TRY(text_of(place, node, "from"));
    if (key == "to") link.to = TRY(text_of(place, node, "to"));
  }
  if (link.from.empty()) return place.bad(table, "link", "it has no from = \"HOST\"");
  if (link.to.empty()) return place.bad(table, "link", "it has no to = \"HOST\"");
  if (link.name.empty()) link.name = fmt::format("link{}", index);
  for (const std::string& name : {link.name, link.from, link.to}) {
    if (auto good = check_name(name); !good)
      return place.bad(table, "link", std::move(good.error()));
  }
  auto parsed = net::parse_link_config(config);
  if (!parsed) return place.bad(table, "link", std::move(parsed.error()));
  link.config = std::move(*parsed);
  return link;
}

Result<FlowSpec> read_flow(const Place& place, const toml::table& table) {
  const std::string text = TRY(flow_words(
      table, [&](const auto& node, std::string_view key) { return text_of(place, node, key); }));
  auto flow = parse_flow(text);
  if (!flow) return place.bad(table, "flow", std::move(flow.error()));
  return flow;
}

// Calls read(table) for each table of the array `key`.
template <class T, class Read>
Result<std::vector<T>> read_all(const Place& place, const toml::node& node, std::string_view key,
                                Read read) {
  const toml::array* array = node.as_array();
  std::vector<T> all;
  if (array == nullptr) return place.bad(node, key, fmt::format("write [[{}]]", key));
  for (const toml::node& element : *array) {
    const toml::table* table = element.as_table();
    if (table == nullptr) return place.bad(element, key, fmt::format("write [[{}]]", key));
    all.push_back(TRY(read(*table)));
  }
  return all;
}

Result<void> read_sysctls(const Place& place, const toml::node& node, const std::string& prefix,
                          std::vector<std::string>& out) {
  if (const auto* table = node.as_table()) {
    for (const auto& [key, value] : *table) {
      const std::string name =
          prefix.empty() ? std::string(key.str()) : prefix + "." + std::string(key.str());
      TRY(read_sysctls(place, value, name, out));
    }
    return {};
  }
  out.push_back(prefix + "=" + TRY(text_of(place, node, prefix)));
  return {};
}

Result<void> read_key(const Place& place, std::string_view key, const toml::node& node,
                      LabSpec& spec) {
  if (key == "seed") {
    const std::string text = TRY(text_of(place, node, key));
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, spec.seed);
    if (error != std::errc() || stop != end) {
      return place.bad(node, key, "a whole number, 0 or more");
    }
  } else if (key == "duration" || key == "warmup" || key == "start_jitter") {
    auto d = parse_duration(TRY(text_of(place, node, key)));
    if (!d) return place.bad(node, key, std::move(d.error()));
    (key == "duration" ? spec.duration : key == "warmup" ? spec.warmup : spec.start_jitter) = *d;
  } else if (key == "sysctl") {
    if (!node.is_table()) {
      return place.bad(node, key, "not a table; accepted: [sysctl], and NAME = VALUE below it");
    }
    TRY(read_sysctls(place, node, "", spec.sysctls));
  } else if (key == "host") {
    spec.hosts = TRY(read_all<HostSpec>(place, node, key,
                                        [&](const toml::table& t) { return read_host(place, t); }));
  } else if (key == "link") {
    size_t index = 0;
    spec.links = TRY(read_all<LinkSpec>(
        place, node, key, [&](const toml::table& t) { return read_link(place, t, index++); }));
  } else if (key == "flow") {
    spec.flows = TRY(read_all<FlowSpec>(place, node, key,
                                        [&](const toml::table& t) { return read_flow(place, t); }));
  } else if (key != "sweep" || place.values == nullptr) {
    return place.bad(node, key,
                     "unknown key; accepted: seed, duration, warmup, start_jitter, sysctl, host, "
                     "link, flow");
  }
  return {};
}

// The hosts that links name, for a file that gives none.
std::vector<HostSpec> hosts_of(const std::vector<LinkSpec>& links) {
  std::vector<HostSpec> hosts;
  std::set<std::string> known;
  for (const LinkSpec& link : links) {
    for (const std::string& end : {link.from, link.to}) {
      if (known.insert(end).second) hosts.push_back({.name = end});
    }
  }
  return hosts;
}

std::string in_quotes(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out + '"';
}

// "net.inet.tcp.cc" as a dotted key; parts in quotes where they must be.
std::string dotted_key(std::string_view name) {
  const auto is_bare = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  };
  std::string key;
  for (;;) {
    const std::string_view part = name.substr(0, name.find('.'));
    key += !part.empty() && std::all_of(part.begin(), part.end(), is_bare) ? std::string(part)
                                                                           : in_quotes(part);
    if (part.size() == name.size()) return key;
    name.remove_prefix(part.size() + 1);
    key += '.';
  }
}

// "key=value,rev.key=value" as lines of TOML; words without a value are true.
std::string config_lines(std::string_view config) {
  std::string lines;
  while (!config.empty()) {
    const size_t comma = config.find(',');
    const std::string_view word = config.substr(0, comma);
    config = comma == std::string_view::npos ? std::string_view{} : config.substr(comma + 1);
    const size_t equals = word.find('=');
    lines += equals == std::string_view::npos ? fmt::format("{} = true\n", word)
                                              : fmt::format("{} = {}\n", word.substr(0, equals),
                                                            in_quotes(word.substr(equals + 1)));
  }
  return lines;
}

// A number of TOML has a sign; a larger one is a text.
std::string seed_text(uint64_t seed) {
  const std::string text = std::to_string(seed);
  return seed <= INT64_MAX ? text : in_quotes(text);
}

}  // namespace

Result<LabSpec> parse_lab(std::string_view text, std::string_view where, const LabValues* values) {
  const Place place{where, values};
  LabSpec spec;
  try {
    const toml::table table = toml::parse(text, where);
    for (const auto& [key, node] : table) TRY(read_key(place, key.str(), node, spec));
    if (!table.contains("host")) spec.hosts = hosts_of(spec.links);
  } catch (const toml::parse_error& e) {
    return fail("{}:{}: {}", where, e.source().begin.line, e.description());
  }
  if (auto checked = check_lab(spec); !checked) {
    return tl::unexpected(std::move(checked.error()).within(where));
  }
  return spec;
}

std::string print_lab(const LabSpec& spec) {
  std::string out = fmt::format("seed = {}\nduration = {}\n", seed_text(spec.seed),
                                in_quotes(to_string(spec.duration)));
  if (spec.warmup != 0s) out += fmt::format("warmup = {}\n", in_quotes(to_string(spec.warmup)));
  if (spec.start_jitter != 0s) {
    out += fmt::format("start_jitter = {}\n", in_quotes(to_string(spec.start_jitter)));
  }
  if (!spec.sysctls.empty()) {
    out += "\n[sysctl]\n";
    for (const std::string& s : spec.sysctls) {
      const size_t at = s.find('=');
      out += fmt::format("{} = {}\n", dotted_key(s.substr(0, at)), in_quotes(s.substr(at + 1)));
    }
  }
  for (const HostSpec& host : spec.hosts) {
    out += fmt::format("\n[[host]]\nname = {}\n", in_quotes(host.name));
    if (host.kind == HostKind::Kernel) out += "kind = \"kernel\"\n";
  }
  for (const LinkSpec& link : spec.links) {
    out += fmt::format("\n[[link]]\nname = {}\nfrom = {}\nto = {}\n", in_quotes(link.name),
                       in_quotes(link.from), in_quotes(link.to));
    out += config_lines(net::to_string(link.config));
  }
  for (const FlowSpec& flow : spec.flows) {
    out +=
        fmt::format("\n[[flow]]\nfrom = {}\nto = {}\n", in_quotes(flow.from), in_quotes(flow.to));
    out += config_lines(print_flow_without_ends(flow));
  }
  return out;
}

}  // namespace wh::lab
