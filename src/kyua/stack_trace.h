// What a core dump tells: which file it is, and how to ask gdb for the stacks in it.
#pragma once

#include <optional>
#include <string>

#include "kyua/protocol/protocol.h"

namespace wh::kyua {

// The core dump in a folder, told by its contents: /proc/sys/kernel/core_pattern may name it in any
// way. Nothing: there is none, or the machine puts them elsewhere.
std::optional<std::string> find_core(const std::string& folder);
// Prints the stacks of all threads.
Command trace_command(const std::string& program, const std::string& core);

}  // namespace wh::kyua
