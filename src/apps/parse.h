// Reading a command line: CLI11's parser with the house's exit statuses.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "apps/commands.h"
#include "core/result.h"

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

// What an option's text says; an error names the option.
template <class T>
Result<T> named(std::string_view option, Result<T> value) {
  if (!value) return tl::unexpected(std::move(value.error()).within(option));
  return value;
}

// A whole number from 0 up; CLI11 alone would take -1 for the largest there is.
inline const CLI::Validator kWholeNumber(
    [](const std::string& text) {
      return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos
                 ? std::string()
                 : "'" + text + "' is not a whole number; accepted: 0, 1, 2 ...";
    },
    "");

// An empty text is an error, not the same as leaving the option out: `--json "$unset"` is a
// mistake. Not of `--link` and `--flow`, which say more of what is accepted.
inline void refuse_empty(CLI::App& app) {
  const auto refusal = [](const std::string& text) {
    return text.empty() ? std::string("it is empty; accepted: a value, or not to give the option")
                        : std::string();
  };
  for (CLI::Option* option : app.get_options()) {
    const std::string name = option->get_name();
    if (name != "--link" && name != "--flow") option->check(refusal);
  }
}

// As a shell takes it for one word, whatever it holds.
inline std::string in_quotes(std::string_view word) {
  std::string text = "'";
  for (const char c : word) {
    if (c == '\'') {
      text += "'\\''";
    } else {
      text += c;
    }
  }
  return text + "'";
}

// The arguments as a shell would take them again.
inline std::string typed(int argc, char** argv) {
  std::string line;
  for (int i = 0; i < argc; ++i) {
    const std::string_view word = argv[i];
    const bool is_plain =
        !word.empty() && word.find_first_not_of(
                             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                             "0123456789=,.:%/_+-") == std::string_view::npos;
    if (i > 0) line += ' ';
    line += is_plain ? std::string(word) : in_quotes(word);
  }
  return line;
}

}  // namespace wh::apps
