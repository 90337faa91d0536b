#include "kyua/cli/help.h"

#include <algorithm>

namespace wh::kyua::cli {
namespace {

using Group = CommandSpec::Group;

OptionSpec build_root() {
  return {0, "build-root", "path", "Where the test programs are, if not beside the Kyuafiles"};
}
OptionSpec kyuafile() {
  return {'k', "kyuafile", "file", "The definition of the test suite", "Kyuafile", true};
}
OptionSpec results_file() {
  return {'r', "results-file", "file", "A results file, an id, or a suite's folder", "LATEST",
          true};
}
OptionSpec results_filter() {
  return {0,
          "results-filter",
          "types",
          "Which of broken,failed,passed,skipped,xfail to show; empty for all",
          "skipped,xfail,broken,failed",
          true};
}

std::vector<OptionSpec> test_options() {
  return {
      build_root(),
      kyuafile(),
      {'r', "results-file", "file", "The results file to make", "NEW", true},
      {0, "shard", "I/N", "Run only the I-th of N parts of the suite"},
      {0, "retry", "N", "Try a bad case up to N times more; good at last is flaky", "0", true},
      {0, "fail-fast", "", "Stop at the first bad case"},
      {0, "rerun-failed", "", "Run only what was bad in the last results"},
      {0, "slowest-first", "", "Start with what took longest in the last results"},
      {0, "json", "file",
       "Write a JSON line for each event as it happens ('-': to standard output, which nothing "
       "else then goes to)"},
  };
}

std::vector<CommandSpec> make_commands() {
  const size_t kAny = static_cast<size_t>(-1);
  return {
      {"about",
       "Shows the program's authors, licence and version.",
       Group::Generic,
       "[authors|license|version]",
       0,
       1,
       {},
       about},
      {"config",
       "Shows the values of configuration variables.",
       Group::Generic,
       "[variable ...]",
       0,
       kAny,
       {},
       config},
      {"db-exec",
       "Runs an SQL statement on a results file and prints the table it yields.",
       Group::Generic,
       "sql-statement",
       1,
       kAny,
       {results_file(), {0, "no-headers", "", "Leave out the line with the columns' names"}},
       db_exec},
      {"db-migrate",
       "Brings an old results file to the present schema, keeping a backup.",
       Group::Generic,
       "",
       0,
       0,
       {results_file()},
       db_migrate},
      {"diff",
       "Shows what changed between two results files.",
       Group::Reporting,
       "before after",
       2,
       2,
       {},
       diff},
      {"merge",
       "Puts results files together, such as those of shards.",
       Group::Reporting,
       "results-file ...",
       1,
       kAny,
       {{'o', "output", "file", "The results file to make"}},
       merge},
      {"report",
       "Reports the results of a run.",
       Group::Reporting,
       "[filter ...]",
       0,
       kAny,
       {results_file(),
        {0, "verbose", "", "Include the context, and each case's metadata and output"},
        {0, "output", "path", "Where the report goes", "/dev/stdout", true},
        results_filter()},
       report},
      {"report-html",
       "Writes a report as a folder of web pages; index.html alone has it all.",
       Group::Reporting,
       "",
       0,
       0,
       {results_file(),
        {0, "force", "", "Replace the output folder if there is one"},
        {0, "output", "path", "The folder to make", "html", true},
        results_filter()},
       report_html},
      {"report-junit",
       "Writes a report in JUnit's XML.",
       Group::Reporting,
       "",
       0,
       0,
       {results_file(), {0, "output", "path", "Where the report goes", "/dev/stdout", true}},
       report_junit},
      {"debug",
       "Runs one test case with its output on the terminal.",
       Group::Workspace,
       "test-case",
       1,
       1,
       {build_root(),
        kyuafile(),
        {0, "stdout", "path", "Where its standard output goes", "/dev/stdout", true},
        {0, "stderr", "path", "Where its standard error goes", "/dev/stderr", true},
        {'p', "pause-before-cleanup-upon-fail", "", "Wait for a key before a bad test's cleanup"},
        {0, "pause-before-cleanup", "", "Wait for a key before the cleanup"}},
       debug},
      {"list",
       "Lists test cases and their metadata.",
       Group::Workspace,
       "[filter ...]",
       0,
       kAny,
       {build_root(), kyuafile(), {'v', "verbose", "", "Show the metadata too"}},
       list},
      {"test", "Runs tests.", Group::Workspace, "[filter ...]", 0, kAny, test_options(), test},
  };
}

void add_options(std::vector<std::string>& lines, std::string_view title,
                 const std::vector<OptionSpec>& options, const std::string& default_log) {
  lines.push_back(fmt::format("Available {} options:", title));
  size_t width = 0;
  for (const OptionSpec& o : options) width = std::max(width, to_string(o).size());
  for (const OptionSpec& o : options) {
    std::string text = o.help;
    const std::string fallback = o.name == "logfile" ? default_log : o.fallback;
    if (!fallback.empty()) text += fmt::format(" (default: {})", fallback);
    lines.push_back(fmt::format("  {:<{}}  {}.", to_string(o), width, text));
  }
  lines.push_back("");
}

}  // namespace

std::string version_line() {
  return "kyua (Wheelhouse) 0.1.0, following Kyua 0.14.1";
}

const std::vector<CommandSpec>& commands() {
  static const std::vector<CommandSpec> all = make_commands();
  return all;
}

const std::vector<OptionSpec>& general_options() {
  static const std::vector<OptionSpec> all = {
      {'c', "config", "file",
       "The configuration file; 'none' for none (default: ~/.kyua/kyua.conf or "
       "/etc/kyua/kyua.conf)"},
      {'v', "variable", "K=V", "Overrides one configuration variable"},
      {0, "loglevel", "level", "What to log: error, warning, info or debug", "info", true},
      {0, "logfile", "file", "The log file"},
      {0, "help", "", "Shows this"},
  };
  return all;
}

CommandSpec help_command() {
  return {"help", "Shows how to use a command.", Group::Generic, "[command]", 0, 1, {}, nullptr};
}

std::vector<std::string> general_help(const std::string& program, const std::string& default_log) {
  std::vector<std::string> lines = {
      version_line(), "",
      fmt::format("Usage: {} [general_options] command [command_options] [args]", program), ""};
  add_options(lines, "general", general_options(), default_log);
  const std::pair<Group, const char*> groups[] = {{Group::Generic, "Generic"},
                                                  {Group::Reporting, "Reporting"},
                                                  {Group::Workspace, "Workspace"}};
  size_t width = 4;
  for (const CommandSpec& c : commands()) width = std::max(width, c.name.size());
  for (const auto& [group, title] : groups) {
    lines.push_back(fmt::format("{} commands:", title));
    for (const CommandSpec& c : commands()) {
      if (c.group == group) lines.push_back(fmt::format("  {:<{}}  {}", c.name, width, c.summary));
    }
    if (group == Group::Generic) {
      lines.push_back(fmt::format("  {:<{}}  {}", "help", width, help_command().summary));
    }
    lines.push_back("");
  }
  lines.push_back(fmt::format("Example: {} -v parallelism=8 test -k tests/Kyuafile net", program));
  return lines;
}

std::vector<std::string> command_help(const CommandSpec& command, const std::string& program,
                                      const std::string& default_log) {
  std::vector<std::string> lines = {
      version_line(),
      "",
      fmt::format("Usage: {} [general_options] {}{}{}{}", program, command.name,
                  command.options.empty() ? "" : " [command_options]",
                  command.arguments.empty() ? "" : " ", command.arguments),
      "",
      command.summary,
      ""};
  add_options(lines, "general", general_options(), default_log);
  if (!command.options.empty()) add_options(lines, "command", command.options, default_log);
  lines.pop_back();
  return lines;
}

}  // namespace wh::kyua::cli
