// The kyua(1) command line: `kyua [general options] command [command options] [arguments]`.
//
// Flags, output and exit statuses are Kyua's: 0 success, 1 a controlled failure (bad tests, an
// unmatched filter), 2 any other error, 3 a usage error. What Kyua does not have is marked in the
// help of its command.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "kyua/calendar.h"
#include "kyua/cli/options.h"
#include "kyua/cli/ui.h"
#include "kyua/config.h"
#include "kyua/store/layout.h"

namespace wh::kyua::cli {

// What a command works with.
struct Context {
  Ui& ui;
  Config config;
  Layout layout;
  std::string home;       // Empty when unset.
  std::string temporary;  // $TMPDIR or /tmp.
  ParsedOptions options;
  const std::vector<std::string>& arguments() const { return options.rest(); }
};

struct CommandSpec {
  std::string name, summary;
  enum class Group : uint8_t { Generic, Reporting, Workspace } group;
  std::string arguments;  // For the usage line.
  size_t least_arguments, most_arguments;
  std::vector<OptionSpec> options;
  // Yields the exit status. Errors end with status 2, or 1 where Kyua has it so.
  std::function<Result<int>(Context&)> run;
};
const std::vector<CommandSpec>& commands();
const std::vector<OptionSpec>& general_options();

// The whole program; argv[0] names it in messages.
int main(int argc, char** argv);

// Commands, one file each.
Result<int> about(Context& context);
Result<int> config(Context& context);
Result<int> db_exec(Context& context);
Result<int> db_migrate(Context& context);
Result<int> debug(Context& context);
Result<int> diff(Context& context);
Result<int> merge(Context& context);
Result<int> report_html(Context& context);
Result<int> list(Context& context);
Result<int> report(Context& context);
Result<int> report_junit(Context& context);
Result<int> test(Context& context);

}  // namespace wh::kyua::cli
