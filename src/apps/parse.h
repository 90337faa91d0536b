// Reading a command line: CLI11's parser with the house's exit statuses.
#pragma once

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "apps/commands.h"
#include "core/result.h"
#include "core/units.h"

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

// A time within bounds.
inline Result<Duration> read_time(std::string_view option, const std::string& text, Duration least,
                                  Duration most) {
  const Duration time = TRY(named(option, parse_duration(text)));
  if (time >= least && time <= most) return time;
  return fail("{} {}: out of range; accepted: {} to {}", option, text, to_string(least),
              to_string(most));
}

// A whole number within bounds, for Option::transform; CLI11 alone would take -1, and what is too
// large, for the largest there is, and 010 for 8.
inline CLI::Validator whole_number(uint64_t least = 0, uint64_t most = UINT64_MAX) {
  return CLI::Validator(
      [least, most](std::string& text) {
        uint64_t number = 0;
        const char* end = text.data() + text.size();
        const auto [stop, error] = std::from_chars(text.data(), end, number);
        const bool is_number = !text.empty() && error == std::errc() && stop == end;
        if (is_number && number >= least && number <= most) {
          text = std::to_string(number);
          return std::string();
        }
        return fmt::format("'{}' is {}; accepted: {} to {}", text,
                           is_number ? "out of range" : "not a whole number", least, most);
      },
      most == UINT64_MAX ? "" : fmt::format("{} to {}", least, most));
}

// An empty text is an error, not the same as leaving the option out: `--json "$unset"` is a
// mistake. `but`: options that say more of what is accepted.
inline void refuse_empty(CLI::App& app, const std::set<std::string>& but = {}) {
  const auto refusal = [](const std::string& text) {
    return text.empty() ? std::string("it is empty; accepted: a value, or not to give the option")
                        : std::string();
  };
  for (CLI::Option* option : app.get_options()) {
    if (!but.contains(option->get_name())) option->check(refusal);
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
