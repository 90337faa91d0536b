#include "apps/control_client.h"

#include <cstdlib>

#include "host/question.h"
#include "packetdrill/control.h"

namespace wh::apps {
namespace {

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const size_t end = text.find(separator);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return parts;
}

}  // namespace

std::optional<std::string> control_name() {
  const char* name = std::getenv(packetdrill::kControlVariable);
  if (name == nullptr || *name == '\0') return std::nullopt;
  return name;
}

std::vector<std::string> fields_of(std::string_view line) {
  return split(line, '\t');
}
std::vector<std::string> lines_of(std::string_view text) {
  return split(text, '\n');
}

Result<std::string> ask_control(const std::string& name, const std::vector<std::string>& words) {
  std::string question;
  for (const std::string& word : words) question += word + "\n";
  const std::string answer = TRY(host::ask(name, question));
  const size_t end = std::min(answer.find('\n'), answer.size());
  const std::string rest = end == answer.size() ? "" : answer.substr(end + 1);
  if (answer.substr(0, end) != "ok") return fail("{}", rest);
  return rest;
}

Result<std::vector<SysctlTree::Leaf>> list_remote(const std::string& name,
                                                  const std::string& prefix) {
  std::vector<SysctlTree::Leaf> leaves;
  const std::string answer = TRY(ask_control(name, {"sysctl", "list", prefix}));
  for (const std::string& text : split(answer, '\0')) {
    const auto f = fields_of(text);
    if (f.size() != 9) return fail("{}: an answer of {} fields instead of 9", name, f.size());
    SysctlTree::Leaf leaf;
    leaf.name = f[0];
    leaf.value = f[1];
    leaf.default_value = f[2];
    leaf.unit = f[3];
    leaf.description = f[4];
    leaf.writable = f[5] == "1";
    leaf.is_int = f[6] == "1";
    leaf.min = std::strtoll(f[7].c_str(), nullptr, 10);
    leaf.max = std::strtoll(f[8].c_str(), nullptr, 10);
    leaves.push_back(std::move(leaf));
  }
  return leaves;
}

Result<std::string> set_remote(const std::string& name, const std::string& assignment) {
  return ask_control(name, {"sysctl", "set", assignment});
}

}  // namespace wh::apps
