// jls(8): the jails there are, as a table, as a summary of lines, or parameter by parameter.
#include <string>
#include <vector>

#include "apps/commands.h"
#include "apps/jail_commands.h"
#include "apps/json.h"
#include "apps/parse.h"
#include "jail/jail.h"

namespace wh::apps {
namespace {

using jail::Entry;
using jail::Registry;

struct JlsLine {
  bool has_names = false, has_header = false, is_json = false, is_quoted = false;
  bool is_for_jail = false;  // -s: what jail(8) would take.
  bool is_verbose = false, shows_name = false;
  std::string only;
  std::vector<std::string> parameters;
};

Result<bool> take_letter(JlsLine& line, char letter) {
  switch (letter) {
    case 'd': return false;  // Of jails that are dying: there are none here, they die at once.
    case 'h': line.has_header = true; return false;
    case 'j': return true;
    case 'N': line.shows_name = true; return false;
    case 'n': line.has_names = true; return false;
    case 'q': line.is_quoted = true; return false;
    case 's': line.is_for_jail = line.has_names = line.is_quoted = true; return false;
    case 'v': line.is_verbose = true; return false;
    default:
      return fail(
          "unknown option -{}; accepted: -d, -h, -j JAIL, -N, -n, -q, -s, -v, --json, "
          "--help",
          letter);
  }
}

std::vector<std::string> all_parameters() {
  std::vector<std::string> names = {"jid"};
  for (const jail::ParamDoc& doc : jail::param_docs()) {
    const bool is_of_the_tool = doc.name == "command" || doc.name.starts_with("exec.");
    if (!is_of_the_tool) names.emplace_back(doc.name);
  }
  return names;
}

Result<JlsLine> parse_jls_line(const std::vector<std::string>& words) {
  JlsLine line;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--json") {
      line.is_json = true;
    } else if (word == "all") {
      line.parameters = all_parameters();
    } else if (word.size() < 2 || word[0] != '-') {
      line.parameters.push_back(word);
    } else {
      for (const char letter : word.substr(1)) {
        if (!TRY(take_letter(line, letter))) continue;
        if (++i == words.size() || words[i].empty()) return fail("-{} needs a value", letter);
        line.only = words[i];
      }
    }
  }
  const bool is_by_parameter = line.has_names || line.has_header;
  if (line.parameters.empty() && is_by_parameter) line.parameters = all_parameters();
  return line;
}

std::string first_address(const Entry& entry) {
  const std::string address = entry.params.addresses.empty() ? "" : entry.params.addresses[0];
  const size_t bar = address.find('|');
  return bar == address.npos ? address : address.substr(bar + 1);
}

std::string table_head(const JlsLine& line) {
  if (line.is_verbose) {
    return "   JID  Hostname                      Path\n"
           "        Name                          State\n"
           "        IP Address(es)\n";
  }
  return line.shows_name ? " JID             IP Address      Hostname                      Path\n"
                         : "   JID  IP Address      Hostname                      Path\n";
}

std::string table_row(const JlsLine& line, const Entry& entry) {
  const std::string host =
      fmt::format("{:<29.29} {:.74}\n", entry.params.hostname, entry.params.path);
  if (line.shows_name && !line.is_verbose) {
    return fmt::format(" {:<15} {:<15.15} {}", entry.name, first_address(entry), host);
  }
  if (!line.is_verbose) {
    return fmt::format("{:>6}  {:<15.15} {}", entry.jid, first_address(entry), host);
  }
  std::string rows =
      fmt::format("{:>6}  {}{:>6}  {:<29.29} ACTIVE\n", entry.jid, host, "", entry.name);
  for (const std::string& address : entry.params.addresses) {
    rows += fmt::format("{:>6}  {}\n", "", address.substr(address.find('|') + 1));
  }
  return rows;
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

// As a shell takes it for one word.
std::string quoted(const std::string& value) {
  if (value.empty()) return "\"\"";
  if (value.find_first_of(" \t\n\"'\\$`*?[]{}()<>|&;~#!") == value.npos) return value;
  return in_quotes(value);
}

std::string negated(const std::string& name) {
  const size_t dot = name.rfind('.');
  const size_t leaf = dot == name.npos ? 0 : dot + 1;
  return name.substr(0, leaf) + "no" + name.substr(leaf);
}

// One parameter as it is asked for; nothing when -s leaves it out.
std::optional<std::string> shown(const JlsLine& line, const std::string& name,
                                 const std::string& value) {
  const bool is_read_only = name == "children.cur" || name == "jid";
  if (line.is_for_jail && (is_read_only || value.empty())) return std::nullopt;
  if (line.has_names && jail::is_boolean(name)) return value == "true" ? name : negated(name);
  const bool is_nothing = value.empty() && !line.is_quoted && !line.has_names;
  const std::string text = line.is_quoted ? quoted(value) : is_nothing ? "-" : value;
  return line.has_names ? fmt::format("{}={}", name, text) : text;
}

Result<int> show_jails(const JlsLine& line) {
  auto registry = TRY(Registry::open());
  std::vector<Entry> entries;
  if (line.only.empty()) {
    entries = TRY(registry.list());
  } else {
    entries.push_back(TRY(registry.find(line.only)));
  }
  const bool is_table = line.parameters.empty() && !line.is_json;
  std::string text = is_table ? table_head(line) : "";
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  if (!is_table && line.has_header) text = fmt::format("{}\n", fmt::join(line.parameters, " "));
  std::vector<std::string> names = line.parameters;
  if (names.empty()) names = {"jid", "name", "path", "host.hostname", "vnet", "children.max"};
  for (const Entry& entry : entries) {
    if (is_table) {
      text += table_row(line, entry);
      continue;
    }
    std::vector<std::string> values;
    nlohmann::ordered_json object;
    for (const std::string& name : names) {
      const std::string value = TRY(value_of(entry, name, registry));
      object[name] = value;
      if (auto word = shown(line, name, value)) values.push_back(*std::move(word));
    }
    all.push_back(object);
    text += fmt::format("{}\n", fmt::join(values, " "));
  }
  fmt::print("{}", line.is_json ? to_text(all) : text);
  return 0;
}

}  // namespace

int jls_main(int argc, char** argv) {
  const std::vector<std::string> words(argv + std::min(1, argc), argv + argc);
  if (words.size() == 1 && words[0] == "--help") {
    fmt::print(
        "usage: jls [-dhNnqsv] [--json] [-j JAIL] [PARAMETER ...]\n\n"
        "  -v  a summary of several lines    -N  names in the first column\n"
        "  -n  NAME=VALUE    -h  a line of names first    -q  quoted for a shell\n"
        "  -s  what jail -c would take    all, or none after -h, -n or -s: every parameter\n\n"
        "example:\n  jls -n name host.hostname children.cur\n");
    return 0;
  }
  const auto line = parse_jls_line(words);
  if (!line) return report_jail_error("jls", line.error());
  const auto status = show_jails(*line);
  return status ? *status : report_jail_error("jls", status.error());
}

}  // namespace wh::apps
