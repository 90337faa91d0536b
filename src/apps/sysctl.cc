// wh sysctl: the tunables of a network stack as it starts, under FreeBSD's own names.
#include <CLI/CLI.hpp>

#include "apps/commands.h"
#include "apps/control_client.h"
#include "apps/json.h"
#include "apps/parse.h"
#include "core/virtual_loop.h"
#include "jail/sysctl.h"
#include "lab/host.h"

namespace wh::apps {
namespace {

constexpr const char* kSysctlFooter =
    "Examples:\n"
    "  wh sysctl net.inet.tcp.hpts            all leaves below a name, with their values\n"
    "  wh sysctl -d net.inet.tcp.hpts.min_sleep\n"
    "  wh sysctl net.inet.tcp.hpts.min_sleep=500   check a name and a value (also NAME = VALUE)\n"
    "\nA stack's values live as long as the stack: give NAME=VALUE to `wh pace --sysctl` or to a "
    "lab file's [sysctl].\nIn a shell line of a packetdrill script it reads and sets the stack "
    "under "
    "test.";

// Where the leaves are: a stack made for the occasion, or one that runs.
class Source {
 public:
  virtual ~Source() = default;
  virtual Result<std::vector<SysctlTree::Leaf>> list(const std::string& prefix) = 0;
  virtual Result<std::string> set(const std::string& assignment) = 0;  // The value before.
};

struct SysctlOptions {
  std::vector<std::string> names;
  bool quiet = false, write = false, ignore = false;
  bool all = false, describe = false, json = false, names_only = false, values_only = false;
};

void print_text(const SysctlTree::Leaf& leaf, const SysctlOptions& o) {
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

class FreshStack final : public Source {
 public:
  FreshStack() { jail::add_sysctls(host_.sysctl()); }
  Result<std::vector<SysctlTree::Leaf>> list(const std::string& prefix) override {
    return host_.sysctl().list(prefix);
  }
  Result<std::string> set(const std::string& assignment) override {
    const std::string before =
        TRY(host_.sysctl().get(assignment.substr(0, assignment.find_first_of(" ="))));
    TRY(host_.sysctl().assign(assignment));
    return before;
  }

 private:
  VirtualLoop loop_;
  net::PacketPool pool_;
  lab::Host host_{loop_, pool_, "host", Random(1)};
};

class RunningStack final : public Source {
 public:
  explicit RunningStack(std::string name) : name_(std::move(name)) {}
  Result<std::vector<SysctlTree::Leaf>> list(const std::string& prefix) override {
    return list_remote(name_, prefix);
  }
  Result<std::string> set(const std::string& assignment) override {
    return set_remote(name_, assignment);
  }

 private:
  std::string name_;
};

Result<void> show(Source& source, const SysctlOptions& o) {
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  const std::vector<std::string> everything = {""};
  for (const std::string& name : o.names.empty() ? everything : joined(o.names)) {
    const std::string wanted = name.substr(0, name.find_first_of(" ="));
    if (o.ignore && !source.list(wanted)) continue;
    if (name.find('=') != std::string::npos) {
      const std::string old = TRY(source.set(name));
      if (!o.json && !o.quiet)
        fmt::print("{}: {} -> {}\n", wanted, old, TRY(source.list(wanted)).front().value);
      continue;
    }
    for (const SysctlTree::Leaf& leaf : TRY(source.list(name))) {
      if (o.json) {
        all.push_back(to_json(leaf));
      } else {
        print_text(leaf, o);
      }
    }
  }
  if (o.json) fmt::print("{}", to_text(all));
  return {};
}

}  // namespace

int sysctl_main(int argc, char** argv) {
  CLI::App app("Lists and explains the tunables and counters of a network stack.", "sysctl");
  SysctlOptions options;
  app.footer(kSysctlFooter);
  app.add_option("name", options.names, "NAME, a prefix of names, or NAME=VALUE [everything]");
  app.add_flag("-w", options.write, "Write; NAME=VALUE does so anyway");
  app.add_flag("-q", options.quiet, "Say nothing of what was set");
  app.add_flag("-i,-e", options.ignore, "Ignore names that are not known");
  app.add_flag("-a", options.all, "Everything (the default)");
  app.add_flag("-d", options.describe, "Describe: text, unit, default and bounds");
  app.add_flag("-n", options.values_only, "Values only");
  app.add_flag("-N", options.names_only, "Names only");
  app.add_flag("--json", options.json, "A JSON array of leaves");
  if (const auto status = parse(app, argc, argv)) return *status;
  const auto control = control_name();
  std::unique_ptr<Source> source;
  if (control) {
    source = std::make_unique<RunningStack>(*control);
  } else {
    source = std::make_unique<FreshStack>();
  }
  if (auto done = show(*source, options); !done) {
    fmt::print(stderr, "sysctl: {}\n", done.error().text);
    return kUsage;
  }
  return kYes;
}

}  // namespace wh::apps
