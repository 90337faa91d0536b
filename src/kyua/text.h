// Texts as Kyua writes and reads them: words, sizes, times.
//
// Sizes are powers of 1024 with one letter ("1.00M"); times are UTC with microseconds
// ("2026-11-21T23:19:15.287331Z"); durations are seconds with three decimals ("0.071s"). WallTime
// is microseconds since the epoch, the unit of the results file; it is for showing and storing
// only, never for waiting (core/loop.h tells when something is due).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "core/units.h"

namespace wh::kyua {

struct WallTime {
  int64_t us = 0;  // Since 1970-01-01 UTC.
  auto operator<=>(const WallTime&) const = default;
};
WallTime operator+(WallTime t, Duration d);
Duration operator-(WallTime a, WallTime b);

std::string to_iso8601(WallTime t);       // 2026-11-21T23:19:15.287331Z
std::string to_compact(WallTime t);       // 20261121-231915-287331
std::string to_seconds_text(Duration d);  // 0.071s

// "512", "1.00M", "900.00T".
std::string format_size(Bytes size);
// A number with an optional K, M, G or T. Errors: anything else.
Result<Bytes> parse_size(std::string_view text);

std::vector<std::string> split_words(std::string_view text);  // At blanks, tabs and line ends.
std::string join(const std::vector<std::string>& parts, std::string_view between);
std::vector<std::string_view> split_lines(std::string_view text);  // Without the line ends.
std::string_view trim(std::string_view text);
Result<int64_t> parse_int(std::string_view text);

// "/a/b" and "c" make "/a/b/c"; an absolute second part replaces the first.
std::string join_path(std::string_view folder, std::string_view name);
std::string leaf_name(std::string_view path);    // As basename(1).
std::string branch_path(std::string_view path);  // As dirname(1).
// The absolute form of a path, with "." and ".." resolved by name only.
std::string absolute_path(std::string_view path, std::string_view cwd);

}  // namespace wh::kyua
