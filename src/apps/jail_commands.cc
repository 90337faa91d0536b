#include "apps/jail_commands.h"

#include <csignal>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "jail/jail.h"

namespace wh::apps {
namespace {

using jail::Entry;
using jail::Jail;
using jail::Registry;

std::vector<std::string> words_after(int argc, char** argv, int first) {
  return std::vector<std::string>(argv + std::min(first, argc), argv + argc);
}

// A status for an error: no such jail is an answer, everything else a failure.
int report(std::string_view command, const Error& error) {
  fmt::print(stderr, "{}: {}\n", command, error.text);
  return error.code == std::errc::no_such_file_or_directory ? kNo : kUsage;
}

int jail_help() {
  fmt::print(
      "usage: jail [-q] -c PARAMETER[=VALUE] ... [command=PROGRAM ARGUMENT ...]\n"
      "       jail [-q] -m name=NAME PARAMETER[=VALUE] ...\n"
      "       jail [-q] -r NAME ...\n\nparameters:\n");
  for (const jail::ParamDoc& doc : jail::param_docs()) {
    fmt::print("  {:<18} {}{}\n", doc.name, doc.maps_to, doc.can_be_modified ? " (-m)" : "");
  }
  fmt::print(
      "\nexample:\n  jail -c name=router persist vnet vnet.interface=epair0a\n"
      "  jexec router ifconfig epair0a 192.0.2.1/24 up\n  jail -r router\n");
  return 0;
}

struct JailLine {
  bool creates = false, modifies = false, removes = false, is_quiet = false;
  std::vector<std::string> words;
};

Result<JailLine> parse_jail_line(const std::vector<std::string>& words) {
  JailLine line;
  size_t i = 0;
  for (; i < words.size() && words[i].size() > 1 && words[i][0] == '-'; ++i) {
    for (const char letter : words[i].substr(1)) {
      switch (letter) {
        case 'c': line.creates = true; break;
        case 'm': line.modifies = true; break;
        case 'r': line.removes = true; break;
        case 'q': line.is_quiet = true; break;
        default: return fail("unknown option -{}; accepted: -c, -m, -r, -q, --help", letter);
      }
    }
  }
  line.words.assign(words.begin() + static_cast<std::ptrdiff_t>(i), words.end());
  if (line.creates + line.modifies + line.removes != 1) return fail("give one of -c, -m and -r");
  if (line.words.empty()) return fail("nothing to do; see jail --help");
  return line;
}

Result<int> run_shell_commands(const Jail& inside, const std::vector<std::string>& commands) {
  for (const std::string& command : commands) {
    const int status = TRY(jail::run_inside(inside, {"/bin/sh", "-c", command}));
    if (status != 0) return status;
  }
  return 0;
}

Result<int> create(const JailLine& line) {
  auto params = TRY(jail::parse_params(line.words));
  if (!params.is_persistent && params.command.empty()) {
    return fail("give persist or command=...: the jail would have no process");
  }
  auto registry = TRY(Registry::open());
  const bool is_named = !params.name.empty(), has_command = !params.command.empty();
  const std::vector<std::string> command = params.command, start = params.exec_start;
  const bool is_persistent = params.is_persistent;
  auto made = TRY(Jail::create(registry, std::move(params), {.dies_with_maker = !is_persistent}));
  auto status = run_shell_commands(made, start);
  if (!status || *status != 0) {
    (void)made.remove();  // The first failure is the one to report.
    if (!status) return status;
    return fail("exec.start: exit status {}", *status);
  }
  if (is_named && !has_command && !line.is_quiet) fmt::print("{}: created\n", made.entry().name);
  if (has_command) status = jail::run_inside(made, command);
  if (!is_persistent) TRY(made.remove());
  return status;
}

Result<int> remove(const JailLine& line) {
  auto registry = TRY(Registry::open());
  int status = 0;
  for (const std::string& name : line.words) {
    auto entry = registry.find(name);
    if (!entry) {
      if (!line.is_quiet) fmt::print(stderr, "jail: {}\n", entry.error().text);
      status = kNo;
      continue;
    }
    Jail going = TRY(Jail::open(*std::move(entry)));
    (void)run_shell_commands(going, going.entry().params.exec_stop);
    TRY(going.remove());
    if (!line.is_quiet) fmt::print("{}: removed\n", name);
  }
  return status;
}

bool can_modify(const std::string& word) {
  for (const jail::ParamDoc& doc : jail::param_docs()) {
    if (!doc.can_be_modified) continue;
    const size_t dot = doc.name.rfind('.');
    const size_t leaf = dot == doc.name.npos ? 0 : dot + 1;
    const std::string negated =
        fmt::format("{}no{}", doc.name.substr(0, leaf), doc.name.substr(leaf));
    if (word.substr(0, word.find('=')) == doc.name || word == negated) return true;
  }
  return false;
}

Result<int> modify(const JailLine& line) {
  auto registry = TRY(Registry::open());
  std::string name;
  for (const std::string& word : line.words) {
    if (word.starts_with("name=") || word.starts_with("jid="))
      name = word.substr(word.find('=') + 1);
  }
  if (name.empty()) return fail("-m needs name=NAME");
  Jail changed = TRY(Jail::open(TRY(registry.find(name))));
  jail::JailParams& params = changed.entry().params;
  const auto before = params;
  for (const std::string& word : line.words) {
    if (word.starts_with("name=") || word.starts_with("jid=")) continue;
    TRY(params.set(word));  // An unknown name first.
    if (!can_modify(word)) return fail("{} cannot be changed while the jail runs", word);
  }
  if (params.securelevel < before.securelevel) return fail("securelevel can only be raised");
  if (params.children_max > before.children_max)
    TRY(registry.check_children_max(params.children_max));
  for (size_t i = before.vnet_interfaces.size(); i < params.vnet_interfaces.size(); ++i) {
    TRY(changed.take_interface(params.vnet_interfaces[i]));
  }
  if (params.hostname != before.hostname) TRY(changed.set_hostname(params.hostname));
  TRY(Registry::save(changed.entry()));
  return 0;
}

Result<std::string> table_row(const Entry& entry) {
  const std::string address = entry.params.addresses.empty() ? "" : entry.params.addresses[0];
  const size_t bar = address.find('|');
  return fmt::format("{:>6}  {:<15.15} {:<29.29} {:.74}\n", entry.jid,
                     bar == address.npos ? address : address.substr(bar + 1), entry.params.hostname,
                     entry.params.path);
}

Result<std::string> value_of(const Entry& entry, const std::string& name, Registry& registry) {
  if (name == "jid") return fmt::format("{}", entry.jid);
  if (name == "name") return entry.name;
  if (name == "children.cur") {
    int64_t count = 0;
    for (const Entry& other : TRY(registry.list()))
      count += other.name.starts_with(entry.name + ".");
    return fmt::format("{}", count);
  }
  const auto value = entry.params.get(name);
  if (!value) return fail("unknown parameter: {}", name);
  return *value;
}

struct JlsLine {
  bool has_names = false, has_header = false, is_json = false;
  std::string only;
  std::vector<std::string> parameters;
};

Result<JlsLine> parse_jls_line(const std::vector<std::string>& words) {
  JlsLine line;
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "-j" && i + 1 < words.size()) {
      line.only = words[++i];
    } else if (words[i] == "-n") {
      line.has_names = true;
    } else if (words[i] == "-h") {
      line.has_header = true;
    } else if (words[i] == "--json") {
      line.is_json = true;
    } else if (words[i].starts_with('-')) {
      return fail("unknown option {}; accepted: -j JAIL, -n, -h, --json, --help", words[i]);
    } else {
      line.parameters.push_back(words[i]);
    }
  }
  return line;
}

Result<int> show_jails(const JlsLine& line) {
  auto registry = TRY(Registry::open());
  std::vector<Entry> entries;
  if (line.only.empty()) {
    entries = TRY(registry.list());
  } else {
    entries.push_back(TRY(registry.find(line.only)));
  }
  std::string text;
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  const bool is_table = line.parameters.empty() && !line.is_json;
  if (is_table) text = "   JID  IP Address      Hostname                      Path\n";
  if (!is_table && line.has_header) text = fmt::format("{}\n", fmt::join(line.parameters, " "));
  std::vector<std::string> names = line.parameters;
  if (names.empty()) names = {"jid", "name", "path", "host.hostname", "vnet", "children.max"};
  for (const Entry& entry : entries) {
    if (is_table) {
      text += TRY(table_row(entry));
      continue;
    }
    std::vector<std::string> values;
    nlohmann::ordered_json object;
    for (const std::string& name : names) {
      const std::string value = TRY(value_of(entry, name, registry));
      object[name] = value;
      values.push_back(line.has_names ? fmt::format("{}={}", name, value) : value);
    }
    all.push_back(object);
    text += fmt::format("{}\n", fmt::join(values, " "));
  }
  fmt::print("{}", line.is_json ? all.dump(2) + "\n" : text);
  return 0;
}

}  // namespace

int jail_main(int argc, char** argv) {
  const auto words = words_after(argc, argv, 1);
  if (words.size() == 1 && (words[0] == "--help" || words[0] == "-h")) return jail_help();
  const auto line = parse_jail_line(words);
  if (!line) return report("jail", line.error());
  const auto status = line->creates ? create(*line) : line->removes ? remove(*line) : modify(*line);
  return status ? *status : report("jail", status.error());
}

int jls_main(int argc, char** argv) {
  const auto words = words_after(argc, argv, 1);
  if (words.size() == 1 && words[0] == "--help") {
    fmt::print(
        "usage: jls [-n] [-h] [--json] [-j JAIL] [PARAMETER ...]\n\nexample:\n"
        "  jls -n name host.hostname children.cur\n");
    return 0;
  }
  const auto line = parse_jls_line(words);
  if (!line) return report("jls", line.error());
  const auto status = show_jails(*line);
  return status ? *status : report("jls", status.error());
}

int jexec_main(int argc, char** argv) {
  auto words = words_after(argc, argv, 1);
  if (words.size() == 1 && words[0] == "--help") {
    fmt::print(
        "usage: jexec [-l] JAIL [COMMAND ARGUMENT ...]\n\n  -l  a clean environment\n\nexample:\n"
        "  jexec router ip route\n");
    return 0;
  }
  bool is_clean = false;
  if (!words.empty() && words[0] == "-l") {
    is_clean = true;
    words.erase(words.begin());
  }
  if (words.empty() || words[0].starts_with('-')) {
    return report("jexec", Error{std::errc::invalid_argument,
                                 "give a jail's name or jid and a command; see jexec --help"});
  }
  const auto run = [&]() -> Result<int> {
    auto registry = TRY(Registry::open());
    Jail inside = TRY(Jail::open(TRY(registry.find(words[0]))));
    inside.entry().params.is_exec_clean |= is_clean;
    std::vector<std::string> command(words.begin() + 1, words.end());
    const char* shell = std::getenv("SHELL");
    if (command.empty()) command = {shell != nullptr ? shell : "/bin/sh"};
    return jail::run_inside(inside, command);
  };
  const auto status = run();
  return status ? *status : report("jexec", status.error());
}

}  // namespace wh::apps
