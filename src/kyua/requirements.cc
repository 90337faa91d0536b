#include "kyua/requirements.h"

#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <set>

#include "host/system.h"
#include "kyua/text.h"

namespace wh::kyua {
namespace {

using Reason = std::optional<std::string>;

bool has_word(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

Reason check_configs(const Metadata& m, const Config& config, const std::string& suite) {
  const auto variables = config.variables_of(suite);
  for (const std::string& name : m.words("required_configs")) {
    if (!variables.contains(name)) {
      return fmt::format("Required configuration property '{}' not defined", name);
    }
  }
  return std::nullopt;
}

Reason check_kind(const Metadata& m, std::string_view property, const std::string& ours,
                  std::string_view what) {
  const auto allowed = m.words(property);
  if (allowed.empty() || has_word(allowed, ours)) return std::nullopt;
  return fmt::format("Current {} '{}' not supported", what, ours);
}

Reason check_execenv(const Metadata& m, const Config& config, const Machine& machine) {
  const std::string name = m.get("execenv").empty() ? "host" : m.get("execenv");
  const bool is_known = name == "host" || (name == "jail" && machine.has_jails);
  if (is_known && has_word(config.execenvs, name)) return std::nullopt;
  return fmt::format(
      "'{}' execenv is not supported or not allowed by the runtime user configuration", name);
}

Reason check_user(const Metadata& m, const Config& config, const Machine& machine) {
  const std::string user = m.get("required_user");
  if (user == "root" && !machine.is_root) return "Requires root privileges";
  if (user == "unprivileged" && machine.is_root && !config.unprivileged_user) {
    return "Requires an unprivileged user but the unprivileged-user configuration variable is not "
           "defined";
  }
  return std::nullopt;
}

bool is_in_path(const std::string& program, const std::string& path) {
  for (size_t at = 0; at <= path.size();) {
    const size_t end = std::min(path.find(':', at), path.size());
    const std::string folder = path.substr(at, end - at);
    if (!folder.empty() && ::access(join_path(folder, program).c_str(), X_OK) == 0) return true;
    at = end + 1;
  }
  return false;
}

Reason check_files(const Metadata& m, const Machine& machine) {
  for (const std::string& file : m.words("required_files")) {
    // A relative one would have to be in the work folder, which is empty.
    if (file.starts_with('/') && ::access(file.c_str(), F_OK) == 0) continue;
    return fmt::format("Required file '{}' not found", file);
  }
  for (const std::string& program : m.words("required_programs")) {
    if (program.starts_with('/')) {
      if (::access(program.c_str(), X_OK) == 0) continue;
      return fmt::format("Required program '{}' not found", program);
    }
    if (!is_in_path(program, machine.path)) {
      return fmt::format("Required program '{}' not found in PATH", program);
    }
  }
  return std::nullopt;
}

Reason check_space(const Metadata& m, const Machine& machine) {
  const Bytes memory = m.size("required_memory");
  if (memory > machine.memory) {
    return fmt::format("Requires {} bytes of physical memory but only {} available",
                       format_size(memory), format_size(machine.memory));
  }
  const Bytes disk = m.size("required_disk_space");
  struct statvfs fs {};
  if (disk.count() == 0 || ::statvfs(machine.work_folder.c_str(), &fs) != 0) return std::nullopt;
  const Bytes free(static_cast<int64_t>(fs.f_bavail * fs.f_frsize));
  if (disk <= free) return std::nullopt;
  return fmt::format("Requires {} bytes of free disk space but only {} available",
                     format_size(disk), format_size(free));
}

// "a-b" and "a_b" are one module to Linux.
std::string module_name(std::string_view text) {
  std::string name(text);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

Reason check_modules(const Metadata& m) {
  const auto wanted = m.words("required_kmods");
  if (wanted.empty()) return std::nullopt;
  std::set<std::string> present;
  const auto loaded = host::read_file("/proc/modules").value_or("");
  for (const auto line : split_lines(loaded)) {
    present.insert(module_name(line.substr(0, line.find(' '))));
  }
  utsname machine{};
  ::uname(&machine);
  const auto builtin =
      host::read_file(fmt::format("/lib/modules/{}/modules.builtin", machine.release)).value_or("");
  for (const auto line : split_lines(builtin)) {
    const std::string file = leaf_name(line);
    present.insert(module_name(std::string_view(file).substr(0, file.find('.'))));
  }
  std::vector<std::string> missing;
  for (const std::string& name : wanted) {
    if (!present.contains(module_name(name))) missing.push_back(name);
  }
  if (missing.empty()) return std::nullopt;
  return fmt::format("Required kmods are not loaded: {}.", join(missing, " "));
}

}  // namespace

Machine this_machine(std::string work_folder) {
  Machine machine;
  machine.is_root = ::geteuid() == 0;
  const char* path = std::getenv("PATH");
  machine.path = path != nullptr ? path : "";
  machine.work_folder = std::move(work_folder);
  struct sysinfo info {};
  if (::sysinfo(&info) == 0) {
    machine.memory = Bytes(static_cast<int64_t>(info.totalram * info.mem_unit));
  }
  return machine;
}

std::optional<std::string> unmet_requirement(const Metadata& m, const Config& config,
                                             const std::string& suite, const Machine& machine) {
  if (auto reason = check_configs(m, config, suite)) return reason;
  if (auto reason = check_kind(m, "allowed_architectures", config.architecture, "architecture")) {
    return reason;
  }
  if (auto reason = check_execenv(m, config, machine)) return reason;
  if (auto reason = check_kind(m, "allowed_platforms", config.platform, "platform")) return reason;
  if (auto reason = check_user(m, config, machine)) return reason;
  if (auto reason = check_files(m, machine)) return reason;
  if (auto reason = check_space(m, machine)) return reason;
  return check_modules(m);
}

}  // namespace wh::kyua
