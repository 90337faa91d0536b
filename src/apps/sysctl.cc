// wh sysctl: the tunables of a network stack as it starts, under FreeBSD's own names.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "apps/commands.h"
#include "apps/parse.h"
#include "core/virtual_loop.h"
#include "jail/sysctl.h"
#include "lab/host.h"

namespace wh::apps {
namespace {

constexpr const char* kFooter =
    "Examples:\n"
    "  wh sysctl net.inet.tcp.hpts            all leaves below a name, with their values\n"
    "  wh sysctl -d net.inet.tcp.hpts.min_sleep\n"
    "  wh sysctl net.inet.tcp.hpts.min_sleep=500   check a name and a value (also NAME = VALUE)\n"
    "\nA stack's values live as long as the stack: give NAME=VALUE to `wh pace --sysctl` or to a "
    "lab file's [sysctl].";

struct Options {
  std::vector<std::string> names;
  bool all = false, describe = false, json = false, names_only = false, values_only = false;
};

void print_text(const SysctlTree::Leaf& leaf, const Options& o) {
  if (o.names_only) {
    fmt::print("{}\n", leaf.name);
  } else if (o.values_only) {
    fmt::print("{}\n", leaf.value);
  } else if (o.describe) {
    std::string range;
    if (leaf.is_int) range = fmt::format(", {}..{}", leaf.min, leaf.max);
    const std::string fallback =
        leaf.default_value.empty() ? "" : fmt::format(", default {}", leaf.default_value);
    fmt::print("{}: {} [{}{}{}{}]\n", leaf.name, leaf.description,
               leaf.unit.empty() ? "number" : leaf.unit, fallback, range,
               leaf.writable ? "" : ", read-only");
  } else {
    fmt::print("{}: {}\n", leaf.name, leaf.value);
  }
}

nlohmann::ordered_json to_json(const SysctlTree::Leaf& leaf) {
  nlohmann::ordered_json json = {{"name", leaf.name},
                                 {"value", leaf.value},
                                 {"default", leaf.default_value},
                                 {"unit", leaf.unit},
                                 {"description", leaf.description},
                                 {"writable", leaf.writable}};
  if (leaf.is_int) json["min"] = leaf.min, json["max"] = leaf.max;
  return json;
}

// "NAME", "=", "VALUE" of a command line that puts spaces round the sign are one assignment.
std::vector<std::string> joined(const std::vector<std::string>& words) {
  std::vector<std::string> names;
  for (const std::string& word : words) {
    const bool goes_on = !names.empty() && (word.starts_with('=') || names.back().ends_with('='));
    if (goes_on) {
      names.back() += word;
    } else {
      names.push_back(word);
    }
  }
  return names;
}

Result<void> show(SysctlTree& tree, const Options& o) {
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  const std::vector<std::string> everything = {""};
  for (const std::string& name : o.names.empty() ? everything : joined(o.names)) {
    if (name.find('=') != std::string::npos) {
      const std::string leaf = name.substr(0, name.find_first_of(" ="));
      const std::string before = TRY(tree.get(leaf));
      TRY_VOID(tree.assign(name));
      if (!o.json) fmt::print("{}: {} -> {}\n", leaf, before, TRY(tree.get(leaf)));
      continue;
    }
    for (const SysctlTree::Leaf& leaf : TRY(tree.list(name))) {
      if (o.json) {
        all.push_back(to_json(leaf));
      } else {
        print_text(leaf, o);
      }
    }
  }
  if (o.json) fmt::print("{}\n", all.dump(2));
  return {};
}

}  // namespace

int sysctl_main(int argc, char** argv) {
  CLI::App app("Lists and explains the tunables and counters of a network stack.", "sysctl");
  Options options;
  app.footer(kFooter);
  app.add_option("name", options.names, "NAME, a prefix of names, or NAME=VALUE [everything]");
  app.add_flag("-a", options.all, "Everything (the default)");
  app.add_flag("-d", options.describe, "Describe: text, unit, default and bounds");
  app.add_flag("-n", options.values_only, "Values only");
  app.add_flag("-N", options.names_only, "Names only");
  app.add_flag("--json", options.json, "A JSON array of leaves");
  if (const auto status = parse(app, argc, argv)) return *status;
  VirtualLoop loop;
  net::PacketPool pool;
  lab::Host host(loop, pool, "host", Random(1));
  jail::add_sysctls(host.sysctl());
  if (auto done = show(host.sysctl(), options); !done) {
    fmt::print(stderr, "sysctl: {}\n", done.error().text);
    return kUsage;
  }
  return kYes;
}

}  // namespace wh::apps
