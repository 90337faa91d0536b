// What the commands around devices share.
#pragma once

#include <string>
#include <vector>

#include "core/result.h"

namespace wh::apps {

// The folders in which a driver's name is looked for: those given, then the one beside this
// program (bin/../lib/wheelhouse/dev).
std::vector<std::string> driver_path(const std::vector<std::string>& given);

// A driver's path made absolute, since a server has a working directory of its own; a name stays a
// name.
std::string absolute_driver(const std::string& path_or_name);

struct ShellFlags {
  std::vector<std::string> drivers, paths;
  std::vector<std::string> command;  // Empty: $SHELL.
};
// Runs a program that finds the devices in /dev. Returns its exit status. REQUIRES: one thread.
Result<int> run_dev_shell(ShellFlags flags);

}  // namespace wh::apps
