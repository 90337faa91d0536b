// A whole configuration: read, tried, compared, and applied at once or not at all.
//
// A configuration is a text of setting commands, one a line. It is tried on a router of paper ports
// (same grammar, same commands, same checks) before anything real is touched; what that paper
// router then says of itself is the target. Applying takes back what the target does not have, last
// set first, sets what is missing, and looks again, since taking back one thing may take others
// along. If the target cannot be reached, the way back is walked the same way.
#pragma once

#include "core/steps.h"
#include "router/command_line.h"

namespace wh::router {

struct ConfigurationDifference {
  ConfigurationLines to_remove, to_add;  // In the order in which they stand in a configuration.
  bool is_empty() const { return to_remove.empty() && to_add.empty(); }
  bool operator==(const ConfigurationDifference&) const = default;
};
std::string format(const ConfigurationDifference& difference);  // "- line" and "+ line"
nlohmann::json to_json(const ConfigurationDifference& difference);
ConfigurationDifference difference(const ConfigurationLines& from, const ConfigurationLines& to);

// What a router would be after these lines and nothing else. `name` stands for the text in errors.
// Errors: file, line, column, the word, and what was expected, of the first line that is wrong.
Result<ConfigurationLines> try_configuration(Router& like, std::string_view text,
                                             std::string_view name);

// Makes the router what `target` says, and tells what that changed. `place` says where a line of it
// was read, if given. Error: what could not be done, and where it stands; the router is as before.
using PlaceOf = std::function<Steps(const std::string& line, std::string& place)>;
Result<ConfigurationDifference> apply_configuration(CommandLine& line,
                                                    const ConfigurationLines& target,
                                                    PlaceOf place = {});

// --- the same in steps, so that packets pass between; what they are given must outlive them ---
Steps list_configuration(const CommandLine& line, ConfigurationLines& lines);
Steps compare(const ConfigurationLines& from, const ConfigurationLines& to,
              ConfigurationDifference& difference);
Steps try_configuration(Router& like, std::string_view text, std::string_view name,
                        Result<ConfigurationLines>& result);
// `changes`: between what was and the target. Once begun, it is to be brought to its end; nothing
// else may be set meanwhile.
Steps apply_configuration(CommandLine& line, const ConfigurationLines& target, PlaceOf place,
                          ConfigurationDifference& changes, Result<void>& result);
// Many lines go with time of their own.
Steps drop(ConfigurationLines& lines);

// Which line of a text brings a line of the configuration that it makes: "name:3"; "" when none
// does. Tries parts of the text, so it is for what has gone wrong.
Steps find_place(Router& like, std::string_view text, std::string_view name,
                 const std::string& line, std::string& place);

// The text without the byte order mark that some editors put in front.
std::string_view without_mark(std::string_view text);

std::string to_text(const ConfigurationLines& lines);

}  // namespace wh::router
