// Reading a command line: CLI11's parser with the house's exit statuses.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>

#include "apps/commands.h"

namespace wh::apps {

// Nothing when the program should go on; otherwise the exit status: help was printed, or an error.
inline std::optional<int> parse(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? kYes : kUsage;
  }
  return std::nullopt;
}

}  // namespace wh::apps
