#include "jail/params.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "core/sysctl.h"

namespace wh::jail {
namespace {

constexpr std::array kDocs = {
    ParamDoc{"allow.mount",
             "keeps CAP_SYS_ADMIN and the mount(2) family; the kernel still limits "
             "what may be mounted to its user namespace",
             true},
    ParamDoc{"allow.raw_sockets", "keeps CAP_NET_RAW; a vnet has it unless told otherwise", true},
    ParamDoc{"children.cur", "read-only: how many jails are below this one", false},
    ParamDoc{"children.max", "how many jails may be below; above 0, namespaces may be made inside",
             true},
    ParamDoc{"command", "the program to run inside; the rest of the line is its arguments", false},
    ParamDoc{"devfs.unhide",
             "devices of `wh dev mount`, by absolute path, that its /dev has, too; implies "
             "devfs_ruleset=4",
             false},
    ParamDoc{"devfs_ruleset",
             "0: the parent's /dev; 4: a small /dev of its own (null, zero, full, "
             "random, urandom, tty); 5: that and net/tun",
             false},
    ParamDoc{"enforce_statfs",
             "1, always: the mount namespace shows what is below the jail's root "
             "(0 with path=/); 2 cannot be had",
             false},
    ParamDoc{"exec.clean", "commands get HOME, PATH, SHELL, TERM and USER only", true},
    ParamDoc{"exec.start", "a shell command, run inside after the jail is made", false},
    ParamDoc{"exec.stop", "a shell command, run inside before the jail is removed", true},
    ParamDoc{"host.hostname", "the UTS namespace's host name", true},
    ParamDoc{"ip4",
             "inherit: the parent's network namespace; new: one of its own; disable: one of its "
             "own, and no IPv4 socket can be made",
             false},
    ParamDoc{"ip4.addr",
             "addresses of its own network namespace, put on lo or, as IF|ADDRESS, on an "
             "interface; implies ip4=new",
             false},
    ParamDoc{"ip6", "as ip4", false},
    ParamDoc{"ip6.addr", "as ip4.addr", false},
    ParamDoc{"name", "the name; unique below one parent", false},
    ParamDoc{"path", "the root, by pivot_root(2)", false},
    ParamDoc{"persist", "the jail stays when its last process has gone, and its maker too", false},
    ParamDoc{"securelevel",
             "1: immutable files and raw device access are out of reach; 2: mount(2) "
             "too; 3: and network configuration",
             true},
    ParamDoc{"vnet", "a network namespace of its own that may be configured (keeps CAP_NET_ADMIN)",
             false},
    ParamDoc{"vnet.interface", "interfaces that move into the jail's network namespace", true},
};

std::vector<std::string> split(std::string_view text, char between) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const size_t end = std::min(text.find(between), text.size());
    if (end > 0) parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

Result<int64_t> number(std::string_view name, std::string_view text, int64_t least, int64_t most) {
  int64_t value = 0;
  const auto end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  if (parsed.ec != std::errc() || parsed.ptr != end || value < least || value > most) {
    return fail("{}: '{}' is not a number from {} to {}", name, text, least, most);
  }
  return value;
}

// A boolean parameter that the word names, and what it says: {"vnet", true}, {"allow.mount",
// false}.
struct Flag {
  bool* where;
  bool value;
};
std::optional<Flag> find_flag(JailParams& p, std::string_view word) {
  // A parameter of three values on FreeBSD; "disable" cannot be had there either.
  if (word == "vnet=new") return Flag{&p.is_vnet, true};
  if (word == "vnet=inherit") return Flag{&p.is_vnet, false};
  const std::pair<std::string_view, bool*> flags[] = {{"vnet", &p.is_vnet},
                                                      {"persist", &p.is_persistent},
                                                      {"allow.raw_sockets", &p.allows_raw_sockets},
                                                      {"allow.mount", &p.allows_mount},
                                                      {"exec.clean", &p.is_exec_clean}};
  for (const auto& [name, where] : flags) {
    if (word == name || word == fmt::format("{}=true", name) || word == fmt::format("{}=1", name)) {
      return Flag{where, true};
    }
    const size_t dot = name.rfind('.');
    const size_t leaf = dot == name.npos ? 0 : dot + 1;
    if (word == fmt::format("{}no{}", name.substr(0, leaf), name.substr(leaf)) ||
        word == fmt::format("{}=false", name) || word == fmt::format("{}=0", name)) {
      return Flag{where, false};
    }
  }
  return std::nullopt;
}

Result<void> unknown(std::string_view name) {
  std::vector<std::string> names;
  for (const ParamDoc& doc : kDocs) names.emplace_back(doc.name);
  const std::string near = nearest(std::string(name), names);
  return fail("unknown parameter: {}{}", name,
              near.empty() ? "" : fmt::format(" (did you mean {}?)", near));
}

Result<void> check_name(std::string_view name) {
  // A dot separates a jail from its parent, a slash would leave the registry's folder.
  const bool is_plain = !name.empty() && name.size() <= 255 && name != "." && name != ".." &&
                        name.find_first_of("/.\n") == name.npos;
  if (!is_plain) return fail("name: '{}' must be one word without dots and slashes", name);
  return {};
}

Result<void> set_ip(std::string& ip, std::string_view name, std::string_view value) {
  if (value != "inherit" && value != "new" && value != "disable") {
    return fail("{}: '{}' is not inherit, new or disable", name, value);
  }
  ip = value;
  return {};
}

}  // namespace

bool is_boolean(std::string_view name) {
  JailParams scratch;
  return name != "vnet" && find_flag(scratch, name).has_value();
}

std::span<const ParamDoc> param_docs() {
  return kDocs;
}

Network JailParams::network() const {
  if (is_vnet) return Network::Own;
  return ip4 == "inherit" || ip6 == "inherit" ? Network::Inherit : Network::Own;
}

Result<void> JailParams::set(std::string_view word) {
  if (const auto flag = find_flag(*this, word)) {
    *flag->where = flag->value;
    if (flag->where == &allows_raw_sockets) denies_raw_sockets = !flag->value;
    return {};
  }
  const size_t equals = word.find('=');
  const std::string_view key = word.substr(0, equals);
  const bool is_known =
      std::any_of(kDocs.begin(), kDocs.end(), [&](const ParamDoc& doc) { return doc.name == key; });
  if (!is_known) return unknown(key);
  if (equals == word.npos) return fail("{}: expected {}=VALUE", key, key);
  const std::string_view value = word.substr(equals + 1);
  if (key == "name") {
    TRY(check_name(value));
    name = value;
  } else if (key == "path") {
    if (!value.starts_with('/')) return fail("path: '{}' is not absolute", value);
    path = value;
  } else if (key == "host.hostname") {
    if (value.size() > 64) return fail("host.hostname: longer than 64 bytes");
    hostname = value;
  } else if (key == "vnet.interface") {
    for (std::string& i : split(value, ',')) vnet_interfaces.push_back(std::move(i));
  } else if (key == "ip4") {
    TRY(set_ip(ip4, key, value));
  } else if (key == "ip6") {
    TRY(set_ip(ip6, key, value));
  } else if (key == "ip4.addr" || key == "ip6.addr") {
    for (std::string& a : split(value, ',')) addresses.push_back(std::move(a));
    (key == "ip4.addr" ? ip4 : ip6) = "new";
  } else if (key == "children.max") {
    children_max = TRY(number(key, value, 0, 999'999));
  } else if (key == "securelevel") {
    securelevel = static_cast<int>(TRY(number(key, value, -1, 3)));
  } else if (key == "devfs_ruleset") {
    const int64_t n = TRY(number(key, value, 0, 5));
    if (n != 0 && n != 4 && n != 5)
      return fail("devfs_ruleset: {} is not known; accepted: 0, 4, 5", n);
    devfs_ruleset = static_cast<int>(n);
  } else if (key == "devfs.unhide") {
    for (std::string& device : split(value, ',')) {
      if (!device.starts_with('/')) return fail("devfs.unhide: '{}' is not absolute", device);
      devices.push_back(std::move(device));
    }
    if (devfs_ruleset == 0) devfs_ruleset = 4;
  } else if (key == "enforce_statfs") {
    if (TRY(number(key, value, 0, 2)) == 2) {
      return fail(
          "enforce_statfs: Linux cannot hide the mount points below a jail's root; accepted: "
          "0, 1");
    }
  } else if (key == "exec.start") {
    exec_start.emplace_back(value);
  } else if (key == "exec.stop") {
    exec_stop.emplace_back(value);
  } else if (key == "command") {
    command = {std::string(value)};
  } else {
    return fail("{} cannot be set", key);
  }
  return {};
}

std::vector<std::string> JailParams::words() const {
  std::vector<std::string> all = {"name=" + name,
                                  "path=" + path,
                                  "host.hostname=" + hostname,
                                  fmt::format("children.max={}", children_max),
                                  fmt::format("securelevel={}", securelevel),
                                  fmt::format("devfs_ruleset={}", devfs_ruleset)};
  const auto flag = [&](const char* word, bool is_on) {
    if (is_on) all.emplace_back(word);
  };
  flag("vnet", is_vnet);
  flag("persist", is_persistent);
  flag("allow.raw_sockets", allows_raw_sockets);
  flag("allow.noraw_sockets", denies_raw_sockets);
  flag("allow.mount", allows_mount);
  flag("exec.clean", is_exec_clean);
  if (!vnet_interfaces.empty()) {
    all.push_back(fmt::format("vnet.interface={}", fmt::join(vnet_interfaces, ",")));
  }
  if (!devices.empty()) all.push_back(fmt::format("devfs.unhide={}", fmt::join(devices, ",")));
  for (const std::string& a : addresses) {
    all.push_back((a.find(':') == a.npos ? "ip4.addr=" : "ip6.addr=") + a);
  }
  if (!ip4.empty()) all.push_back("ip4=" + ip4);
  if (!ip6.empty()) all.push_back("ip6=" + ip6);
  for (const std::string& c : exec_start) all.push_back("exec.start=" + c);
  for (const std::string& c : exec_stop) all.push_back("exec.stop=" + c);
  return all;
}

std::optional<std::string> JailParams::get(std::string_view wanted) const {
  std::string copy(wanted);
  JailParams scratch = *this;
  if (wanted == "vnet") return is_vnet ? "new" : "inherit";
  if (wanted == "allow.raw_sockets" && is_vnet && !denies_raw_sockets) return "true";
  if (const auto flag = find_flag(scratch, wanted)) return *flag->where ? "true" : "false";
  if (wanted == "enforce_statfs") return path == "/" ? "0" : "1";
  std::vector<std::string> values;
  for (const std::string& word : words()) {
    if (word.starts_with(copy + "=")) values.push_back(word.substr(copy.size() + 1));
  }
  if (!values.empty()) return fmt::format("{}", fmt::join(values, ","));
  const bool is_known = std::any_of(kDocs.begin(), kDocs.end(),
                                    [&](const ParamDoc& doc) { return doc.name == wanted; });
  return is_known ? std::optional<std::string>("") : std::nullopt;
}

Result<JailParams> parse_params(const std::vector<std::string>& words) {
  JailParams params;
  for (size_t i = 0; i < words.size(); ++i) {
    TRY(params.set(words[i]));
    if (!words[i].starts_with("command=")) continue;
    params.command.insert(params.command.end(), words.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                          words.end());
    break;
  }
  if (!params.name.empty() && params.name.find_first_not_of("0123456789") == std::string::npos) {
    return fail("name: '{}' is a number, as only a jid may be", params.name);
  }
  if (!params.vnet_interfaces.empty() && params.network() == Network::Inherit) {
    return fail("vnet.interface: the jail shares its parent's network; add vnet");
  }
  if (!params.addresses.empty() && params.network() == Network::Inherit) {
    return fail("ip4.addr, ip6.addr: the jail shares its parent's network");
  }
  return params;
}

}  // namespace wh::jail
