// The help texts, from the tables of commands and options.
#pragma once

#include <string>
#include <vector>

#include "kyua/cli/cli.h"

namespace wh::kyua::cli {

// "kyua (Wheelhouse) 0.1.0", and which Kyua its command line follows.
std::string version_line();

// `help` itself, which is not among commands(): it needs no configuration.
CommandSpec help_command();

std::vector<std::string> general_help(const std::string& program, const std::string& default_log);
std::vector<std::string> command_help(const CommandSpec& command, const std::string& program,
                                      const std::string& default_log);

}  // namespace wh::kyua::cli
