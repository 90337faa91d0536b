// A running stack that a command talks to: the object behind packetdrill, found by the environment
// variable that the object set (packetdrill/control.h).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/result.h"
#include "core/sysctl.h"

namespace wh::apps {

// The control name in the environment; nothing when no object runs above this process.
std::optional<std::string> control_name();

// Asks, and yields the answer's text. Errors: nobody answers; the answer is no, with its reason.
Result<std::string> ask_control(const std::string& name, const std::vector<std::string>& words);

// Fields of a line, separated by tabs.
std::vector<std::string> fields_of(std::string_view line);
std::vector<std::string> lines_of(std::string_view text);

// `sysctl list` and `sysctl set` there.
Result<std::vector<SysctlTree::Leaf>> list_remote(const std::string& name,
                                                  const std::string& prefix);
Result<std::string> set_remote(const std::string& name, const std::string& assignment);

}  // namespace wh::apps
