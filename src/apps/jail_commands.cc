#include "apps/jail_commands.h"

#include <cstdlib>
#include <filesystem>
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

int jail_help() {
  fmt::print(
      "usage: jail [-ilq] [-n NAME] [-s LEVEL] -c PARAMETER[=VALUE] ... [command=PROGRAM ...]\n"
      "       jail [-q] -m name=NAME PARAMETER[=VALUE] ...\n"
      "       jail [-q] -cm | -rc name=NAME PARAMETER[=VALUE] ...\n"
      "       jail [-q] -r | -R NAME ... | '*'\n\n"
      "  -c  create    -m  modify    -cm  whichever it takes    -rc  remove what there is, create\n"
      "  -r  remove    -R  remove without exec.stop\n"
      "  -i  print the jid of the jail made    -l  exec.clean    -q  say less\n"
      "  -n  name=NAME    -s  securelevel=LEVEL\n\nparameters:\n");
  for (const jail::ParamDoc& doc : jail::param_docs()) {
    fmt::print("  {:<18} {}{}\n", doc.name, doc.maps_to, doc.can_be_modified ? " (-m)" : "");
  }
  fmt::print(
      "\nexample:\n  jail -c name=router persist vnet vnet.interface=epair0a\n"
      "  jexec router ifconfig epair0a 192.0.2.1/24 up\n  jail -r router\n");
  return 0;
}

struct JailLine {
  bool creates = false, modifies = false, removes = false;
  bool is_quiet = false, prints_jid = false, runs_stop = true;
  std::vector<std::string> words;
};

// One letter of an option; `next` is the word after it, for those that take one.
Result<bool> take_letter(JailLine& line, char letter, const std::string* next) {
  switch (letter) {
    case 'c': line.creates = true; return false;
    case 'm': line.modifies = true; return false;
    case 'R': line.runs_stop = false; [[fallthrough]];
    case 'r': line.removes = true; return false;
    case 'q': line.is_quiet = true; return false;
    case 'v': return false;  // Of commands that jail(8) runs and we do not.
    case 'i': line.prints_jid = line.is_quiet = true; return false;
    case 'l': line.words.emplace_back("exec.clean"); return false;
    case 'n':
    case 's':
      if (next == nullptr) return fail("-{} needs a value", letter);
      line.words.push_back((letter == 'n' ? "name=" : "securelevel=") + *next);
      return true;
    default:
      return fail("unknown option -{}; accepted: -c, -i, -l, -m, -n, -q, -r, -R, -s, -v, --help",
                  letter);
  }
}

Result<JailLine> parse_jail_line(const std::vector<std::string>& words) {
  JailLine line;
  size_t i = 0;
  for (; i < words.size() && words[i].size() > 1 && words[i][0] == '-'; ++i) {
    const std::string letters = words[i].substr(1);
    if (letters == "-") {
      ++i;
      break;
    }
    for (const char letter : letters) {
      if (TRY(take_letter(line, letter, i + 1 < words.size() ? &words[i + 1] : nullptr))) ++i;
    }
  }
  line.words.insert(line.words.end(), words.begin() + static_cast<std::ptrdiff_t>(i), words.end());
  const int verbs = line.creates + line.modifies + line.removes;
  if (verbs != 1 && !(verbs == 2 && line.creates)) {
    return fail("give one of -c, -m, -r and -R, or -cm or -rc");
  }
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

// The jail that the words name; empty when they name none.
std::string named_in(const std::vector<std::string>& words) {
  std::string name;
  for (const std::string& word : words) {
    if (word.starts_with("command=")) break;
    if (word.starts_with("name=") || word.starts_with("jid="))
      name = word.substr(word.find('=') + 1);
  }
  return name;
}

// "outer.inner": made by the jail outer, which is asked to.
Result<int> create_below(const JailLine& line, const std::string& name) {
  const size_t dot = name.rfind('.');
  auto registry = TRY(Registry::open());
  const Jail outer = TRY(Jail::open(TRY(registry.find(name.substr(0, dot)))));
  std::error_code failed;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", failed);
  std::vector<std::string> command = {self.string(), "jail", "-qc"};
  bool has_command = false;
  for (const std::string& word : line.words) {
    has_command = has_command || word.starts_with("command=");
    const bool names_it = !has_command && word.starts_with("name=");
    command.push_back(names_it ? "name=" + name.substr(dot + 1) : word);
  }
  const int status = TRY(jail::run_inside(outer, command));
  if (status != 0 || has_command) return status;
  if (line.prints_jid) fmt::print("{}\n", TRY(registry.find(name)).jid);
  if (!line.is_quiet) fmt::print("{}: created\n", name);
  return 0;
}

Result<int> create(const JailLine& line) {
  if (const std::string name = named_in(line.words); name.find('.') != name.npos) {
    return create_below(line, name);
  }
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
  if (line.prints_jid) fmt::print("{}\n", made.entry().jid);
  if (is_named && !has_command && !line.is_quiet) fmt::print("{}: created\n", made.entry().name);
  if (has_command) status = jail::run_inside(made, command);
  if (!is_persistent) TRY(made.remove());
  return status;
}

Result<void> remove_one(Entry entry, const JailLine& line) {
  Jail going = TRY(Jail::open(std::move(entry)));
  if (line.runs_stop) (void)run_shell_commands(going, going.entry().params.exec_stop);
  const std::string name = going.entry().name;
  TRY(going.remove());
  if (!line.is_quiet) fmt::print("{}: removed\n", name);
  return {};
}

// Every jail of this registry; those below them go with them.
Result<int> remove_all(const JailLine& line) {
  auto registry = TRY(Registry::open());
  for (Entry& entry : TRY(registry.list())) {
    if (entry.name.find('.') == entry.name.npos) TRY(remove_one(std::move(entry), line));
  }
  return 0;
}

Result<int> remove(const JailLine& line) {
  auto registry = TRY(Registry::open());
  int status = 0;
  for (const std::string& word : line.words) {
    if (word == "*") {
      TRY(remove_all(line));
      continue;
    }
    auto entry = registry.find(word.starts_with("name=") ? word.substr(5) : word);
    if (!entry) {
      if (!line.is_quiet) fmt::print(stderr, "jail: {}\n", entry.error().text);
      status = kNo;
      continue;
    }
    TRY(remove_one(*std::move(entry), line));
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
  const std::string name = named_in(line.words);
  if (name.empty()) return fail("-m needs name=NAME");
  Jail changed = TRY(Jail::open(TRY(registry.find(name))));
  jail::JailParams& params = changed.entry().params;
  const auto before = params;
  for (const std::string& word : line.words) {
    if (word.starts_with("name=") || word.starts_with("jid=")) continue;
    const std::vector<std::string> old = params.words();
    TRY(params.set(word));  // An unknown name first.
    if (params.words() != old && !can_modify(word))
      return fail("{} cannot be changed while the jail runs", word);
  }
  if (params.securelevel < before.securelevel) return fail("securelevel can only be raised");
  if (params.children_max > before.children_max)
    TRY(registry.check_children_max(params.children_max));
  if (params.children_max != before.children_max) {
    TRY(changed.limit_children(params.children_max));
  }
  for (size_t i = before.vnet_interfaces.size(); i < params.vnet_interfaces.size(); ++i) {
    TRY(changed.take_interface(params.vnet_interfaces[i]));
  }
  if (params.hostname != before.hostname) TRY(changed.set_hostname(params.hostname));
  TRY(Registry::save(changed.entry()));
  return 0;
}

// -cm and -rc: what is done first depends on whether there is such a jail.
Result<int> create_or(const JailLine& line) {
  auto registry = TRY(Registry::open());
  const std::string name = named_in(line.words);
  if (name.empty()) return fail("-cm and -rc need name=NAME");
  auto entry = registry.find(name);
  if (!entry) return create(line);
  if (line.modifies) return modify(line);
  TRY(remove_one(*std::move(entry), line));
  return create(line);
}

Result<int> do_line(const JailLine& line) {
  if (line.creates) return line.modifies || line.removes ? create_or(line) : create(line);
  return line.removes ? remove(line) : modify(line);
}

struct JexecLine {
  bool is_clean = false;
  jail::RunOptions options;
  std::vector<std::string> words;  // The jail, the command.
};

Result<JexecLine> parse_jexec_line(const std::vector<std::string>& words) {
  JexecLine line;
  size_t i = 0;
  for (; i < words.size() && words[i].starts_with('-'); ++i) {
    const std::string& option = words[i];
    if (option == "-l") {
      line.is_clean = true;
      continue;
    }
    if (option != "-d" && option != "-u" && option != "-U") {
      return fail("unknown option {}; accepted: -l, -d FOLDER, -u USER, -U USER, --help", option);
    }
    if (++i == words.size()) return fail("{} needs a value", option);
    if (option == "-d") line.options.folder = words[i];
    if (option == "-U") line.options.user = words[i];
    if (option != "-u") continue;
    line.options.account = jail::find_account(words[i]);
    if (!line.options.account) return fail("-u: there is no user {} outside", words[i]);
  }
  line.words.assign(words.begin() + static_cast<std::ptrdiff_t>(i), words.end());
  if (line.words.empty()) return fail("give a jail's name or jid and a command; see jexec --help");
  return line;
}

}  // namespace

int report_jail_error(std::string_view command, const Error& error) {
  fmt::print(stderr, "{}: {}\n", command, error.text);
  return error.code == std::errc::no_such_file_or_directory ? kNo : kUsage;
}

int jail_main(int argc, char** argv) {
  const auto words = words_after(argc, argv, 1);
  if (words.size() == 1 && (words[0] == "--help" || words[0] == "-h")) return jail_help();
  const auto line = parse_jail_line(words);
  if (!line) return report_jail_error("jail", line.error());
  const auto status = do_line(*line);
  return status ? *status : report_jail_error("jail", status.error());
}

int jexec_main(int argc, char** argv) {
  const auto words = words_after(argc, argv, 1);
  if (words.size() == 1 && words[0] == "--help") {
    fmt::print(
        "usage: jexec [-l] [-d FOLDER] [-u USER | -U USER] JAIL [COMMAND ARGUMENT ...]\n\n"
        "  -l  a clean environment    -d  where to work\n"
        "  -u  as a user of the machine    -U  as a user of the jail's own /etc/passwd\n\n"
        "example:\n  jexec router ip route\n");
    return 0;
  }
  const auto line = parse_jexec_line(words);
  if (!line) return report_jail_error("jexec", line.error());
  const auto run = [&]() -> Result<int> {
    auto registry = TRY(Registry::open());
    Jail inside = TRY(Jail::open(TRY(registry.find(line->words[0]))));
    inside.entry().params.is_exec_clean |= line->is_clean;
    std::vector<std::string> command(line->words.begin() + 1, line->words.end());
    const char* shell = std::getenv("SHELL");
    if (command.empty()) command = {shell != nullptr ? shell : "/bin/sh"};
    return jail::run_inside(inside, command, line->options);
  };
  const auto status = run();
  return status ? *status : report_jail_error("jexec", status.error());
}

}  // namespace wh::apps
