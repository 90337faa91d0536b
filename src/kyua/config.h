// kyua.conf(5): what the runner may do and what the suites are told.
//
// Lua with nothing but syntax() and assignments. `architecture`, `platform`, `parallelism`,
// `unprivileged_user` and `execenvs` are the runner's; `test_suites.SUITE.NAME` are handed to the
// programs of a suite. Unknown variables are accepted and dropped.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace wh::kyua {

struct User {
  std::string name;
  uint32_t uid = 0, gid = 0;
};

struct Config {
  std::string architecture, platform;  // Of this machine, as uname(1) has them.
  std::vector<std::string> execenvs = {"host", "jail"};
  int64_t parallelism = 1;
  std::optional<User> unprivileged_user;
  std::map<std::string, std::map<std::string, std::string>> suites;

  // What the programs of a suite get: its variables, and unprivileged_user under both spellings.
  std::map<std::string, std::string> variables_of(const std::string& suite) const;
  // Everything, by full name, as `kyua config` prints it.
  std::map<std::string, std::string> flattened() const;
  // Sets one variable by its full name, as -v does. Errors: not a value for it.
  Result<void> set(std::string_view name, std::string_view value);
};

Config default_config();
// Errors: "Load of 'kyua.conf' failed: ...".
Result<Config> load_config(const std::string& path);

}  // namespace wh::kyua
