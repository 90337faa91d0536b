// What the commands around devices share.
#pragma once

#include <string>
#include <vector>

#include "core/result.h"
#include "core/units.h"

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

struct TestFlags {
  std::string driver;  // A name, a shared object, or a source file to build first.
  std::vector<std::string> paths;
  std::string check;     // One check only.
  std::string sanitize;  // "address", "thread", or none.
  uint64_t seed = 1;
  uint32_t seeds = 50;
  Duration time = 2s;       // Of the check on threads.
  Duration patience = 60s;  // For a check to come back.
  bool json = false;
  bool threads_only = false;
};
// The conformance suite over a driver. Prints a table; returns the exit status.
Result<int> run_driver_tests(TestFlags flags);

// A folder NAME with a driver that compiles and passes the suite.
Result<void> make_driver(const std::string& name);

// The compiler's flags that make a driver.
std::vector<std::string> driver_flags();

}  // namespace wh::apps
