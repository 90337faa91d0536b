#include "kyua/cli/cli.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>

#include "host/real_loop.h"
#include "kyua/cli/help.h"

namespace wh::kyua::cli {
namespace {

constexpr int kError = 2, kUsage = 3;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

// One invocation.
class Program {
 public:
  Program(std::string name, host::RealLoop& loop)
      : name_(std::move(name)),
        calendar_(loop),
        ui_(name_, [this, &loop] { return calendar_.at(loop.clock()); }),
        started_(calendar_.at(loop.clock())) {
    std::error_code error;
    cwd_ = std::filesystem::current_path(error).string();
    home_ = variable("HOME");
    temporary_ = variable("TMPDIR").empty() ? "/tmp" : variable("TMPDIR");
  }

  int run(const std::vector<std::string>& words) {
    const auto general = ParsedOptions::parse(general_options(), words);
    if (!general) return usage(general.error().text);
    if (const auto status = open_log(*general)) return *status;
    for (const std::string& assignment : general->all("variable")) {
      const size_t equals = assignment.find('=');
      const char* wrong = equals == assignment.npos ? "Argument does not have the form 'K=V'"
                          : equals == 0             ? "Empty property name"
                          : equals + 1 == assignment.size() ? "Empty value"
                                                            : nullptr;
      if (wrong != nullptr) {
        return usage(
            fmt::format("Invalid argument '{}' for option --variable: {}", assignment, wrong));
      }
    }
    if (general->has("help")) return help({});
    if (general->rest().empty()) return usage("No command provided");
    const std::string& name = general->rest()[0];
    const std::vector<std::string> rest(general->rest().begin() + 1, general->rest().end());
    if (name == "help") return help(rest);
    const auto& all = commands();
    const auto command =
        std::find_if(all.begin(), all.end(), [&](const CommandSpec& c) { return c.name == name; });
    if (command == all.end()) return usage(fmt::format("Unknown command '{}'", name));
    return run_command(*command, *general, rest);
  }

 private:
  int usage(std::string_view text, const std::string& command = "") {
    if (command.empty()) {
      ui_.err(fmt::format("Usage error: {}.", text));
      ui_.err(fmt::format("Type '{} help' for usage information.", name_));
    } else {
      ui_.err(fmt::format("Usage error for command {}: {}.", command, text));
      ui_.err(fmt::format("Type '{} help {}' for usage information.", name_, command));
    }
    return kUsage;
  }

  std::string default_log() const {
    const std::string leaf = fmt::format("{}.{}.log", name_, to_compact(started_).substr(0, 15));
    if (!home_.empty()) return join_path(home_, ".kyua/logs/" + leaf);
    return join_path(temporary_, leaf);
  }

  std::optional<int> open_log(const ParsedOptions& general) {
    constexpr std::array<std::string_view, 4> kLevels = {"error", "warning", "info", "debug"};
    const std::string level = general.get("loglevel");
    const auto at = std::find(kLevels.begin(), kLevels.end(), level);
    if (at == kLevels.end()) return usage(fmt::format("Unrecognized log level '{}'", level));
    const std::string path = general.has("logfile") ? general.get("logfile") : default_log();
    // A log that cannot be kept is worth a warning, not the tests.
    if (auto opened = ui_.open_log(path, static_cast<LogLevel>(at - kLevels.begin())); !opened) {
      ui_.warning(opened.error().text);
    }
    return std::nullopt;
  }

  int help(const std::vector<std::string>& words) {
    const auto options = ParsedOptions::parse({{0, "help", "", ""}}, words);
    if (!options) return usage(options.error().text, "help");
    std::vector<std::string> arguments = options->rest();
    if (arguments.empty() && options->has("help")) arguments = {"help"};
    if (arguments.size() > 1) return usage("Too many arguments", "help");
    if (arguments.empty()) {
      for (const std::string& line : general_help(name_, default_log())) ui_.out(line);
      return 0;
    }
    std::vector<CommandSpec> all = commands();
    all.push_back(help_command());
    for (const CommandSpec& command : all) {
      if (command.name != arguments[0]) continue;
      for (const std::string& line : command_help(command, name_, default_log())) ui_.out(line);
      return 0;
    }
    return usage(fmt::format("The command {} does not exist", arguments[0]), "help");
  }

  Result<Config> load(const ParsedOptions& general) {
    Config config = default_config();
    if (general.has("config")) {
      if (general.get("config") != "none") config = TRY(load_config(general.get("config")));
    } else {
      const std::string confdir = variable("KYUA_CONFDIR");
      for (const std::string& path :
           {home_.empty() ? "" : join_path(home_, ".kyua/kyua.conf"),
            join_path(confdir.empty() ? "/etc/kyua" : confdir, "kyua.conf")}) {
        if (path.empty() || ::access(path.c_str(), F_OK) != 0) continue;
        config = TRY(load_config(path));
        break;
      }
    }
    for (const std::string& assignment : general.all("variable")) {
      const size_t equals = assignment.find('=');
      TRY(config.set(assignment.substr(0, equals), assignment.substr(equals + 1)));
    }
    return config;
  }

  int run_command(const CommandSpec& command, const ParsedOptions& general,
                  const std::vector<std::string>& words) {
    std::vector<OptionSpec> specs = command.options;
    specs.push_back({0, "help", "", ""});
    auto options = ParsedOptions::parse(specs, words);
    if (!options) return usage(options.error().text, command.name);
    if (options->has("help")) return help({command.name});
    if (options->rest().size() < command.least_arguments) {
      return usage("Not enough arguments", command.name);
    }
    if (options->rest().size() > command.most_arguments) {
      return usage("Too many arguments", command.name);
    }
    auto config = load(general);
    if (!config) {
      ui_.error(config.error().text);
      return kError;
    }
    const std::string store = home_.empty() ? cwd_ : join_path(home_, ".kyua/store");
    Context context{ui_, *std::move(config), {store, cwd_}, home_, temporary_, *std::move(options)};
    const auto status = command.run(context);
    if (status) return *status;
    // Commands mark a mistake of usage that only they can see with this code.
    if (status.error().code == std::errc::argument_out_of_domain) {
      return usage(status.error().text, command.name);
    }
    ui_.error(status.error().text);
    const bool is_database = command.name.starts_with("db-");
    return is_database ? 1 : kError;
  }

  std::string name_;
  Calendar calendar_;
  Ui ui_;
  WallTime started_;
  std::string cwd_, home_, temporary_;
};

}  // namespace

int main(int argc, char** argv) {
  auto loop = host::RealLoop::make();
  if (!loop) {
    fmt::print(stderr, "kyua: E: {}.\n", loop.error().text);
    return kError;
  }
  const std::string name = argc > 0 ? leaf_name(argv[0]) : "kyua";
  const std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  const int status = Program(name, **loop).run(words);
  std::fflush(stdout);
  return status;
}

}  // namespace wh::kyua::cli
