#include "kyua/text.h"

#include <array>
#include <charconv>
#include <ctime>

namespace wh::kyua {
namespace {

constexpr int64_t kMicrosecond = 1'000'000;
constexpr std::string_view kBlanks = " \t\r\n";

std::tm broken_down(WallTime t) {
  const std::time_t seconds = t.us / kMicrosecond;
  std::tm parts{};
  // Cannot fail before the year 2^31.
  ::gmtime_r(&seconds, &parts);
  return parts;
}

std::string strftime_text(const char* format, const std::tm& parts) {
  std::array<char, 64> text;
  return std::string(text.data(), std::strftime(text.data(), text.size(), format, &parts));
}

}  // namespace

WallTime operator+(WallTime t, Duration d) {
  return {t.us + d.count() / 1000};
}
Duration operator-(WallTime a, WallTime b) {
  return std::chrono::microseconds(a.us - b.us);
}

std::string to_iso8601(WallTime t) {
  return fmt::format("{}.{:06}Z", strftime_text("%Y-%m-%dT%H:%M:%S", broken_down(t)),
                     t.us % kMicrosecond);
}

std::string to_compact(WallTime t) {
  return fmt::format("{}-{:06}", strftime_text("%Y%m%d-%H%M%S", broken_down(t)),
                     t.us % kMicrosecond);
}

std::string to_seconds_text(Duration d) {
  // From whole microseconds, by way of a double: as Kyua rounds.
  return fmt::format("{:.3f}s", static_cast<double>(d.count() / 1000) / 1e6);
}

std::string format_size(Bytes size) {
  constexpr std::string_view kLetters = "KMGT";
  if (size.count() < 1024) return fmt::format("{}", size.count());
  double value = static_cast<double>(size.count()) / 1024;
  size_t letter = 0;
  for (; value >= 1024 && letter + 1 < kLetters.size(); ++letter) value /= 1024;
  return fmt::format("{:.2f}{}", value, kLetters[letter]);
}

Result<Bytes> parse_size(std::string_view text) {
  constexpr std::string_view kLetters = "KMGT";
  std::string_view number = text;
  double unit = 1;
  if (!number.empty()) {
    const size_t letter = kLetters.find(static_cast<char>(std::toupper(number.back())));
    if (letter != kLetters.npos) {
      number.remove_suffix(1);
      for (size_t i = 0; i <= letter; ++i) unit *= 1024;
    }
  }
  const bool is_framed =
      !number.empty() && std::isdigit(number.front()) && std::isdigit(number.back());
  double value = 0;
  const auto end = number.data() + number.size();
  const auto parsed = std::from_chars(number.data(), end, value, std::chars_format::fixed);
  if (!is_framed || parsed.ec != std::errc() || parsed.ptr != end || value * unit > 9e18) {
    return fail("Invalid bytes quantity '{}'", text);
  }
  return Bytes(static_cast<int64_t>(value * unit));
}

std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> words;
  for (size_t at = text.find_first_not_of(kBlanks); at != text.npos;
       at = text.find_first_not_of(kBlanks, at)) {
    const size_t end = std::min(text.find_first_of(kBlanks, at), text.size());
    words.emplace_back(text.substr(at, end - at));
    at = end;
  }
  return words;
}

std::string join(const std::vector<std::string>& parts, std::string_view between) {
  return fmt::format("{}", fmt::join(parts, between));
}

std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::string_view trim(std::string_view text) {
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

Result<int64_t> parse_int(std::string_view text) {
  int64_t value = 0;
  const auto end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  if (text.empty() || parsed.ec != std::errc() || parsed.ptr != end) return fail("Not an integer");
  return value;
}

std::string join_path(std::string_view folder, std::string_view name) {
  if (name.starts_with('/') || folder.empty() || folder == ".") return std::string(name);
  return fmt::format("{}{}{}", folder, folder.ends_with('/') ? "" : "/", name);
}

std::string leaf_name(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  const size_t slash = path.rfind('/');
  return std::string(slash == path.npos || path == "/" ? path : path.substr(slash + 1));
}

std::string branch_path(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  const size_t slash = path.rfind('/');
  if (slash == path.npos) return ".";
  return std::string(slash == 0 ? "/" : path.substr(0, slash));
}

std::string absolute_path(std::string_view path, std::string_view cwd) {
  const std::string whole = path.starts_with('/') ? std::string(path) : join_path(cwd, path);
  std::vector<std::string> parts;
  for (size_t at = 0; at < whole.size();) {
    const size_t end = std::min(whole.find('/', at), whole.size());
    const std::string part = whole.substr(at, end - at);
    at = end + 1;
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      parts.push_back(part);
    } else if (!parts.empty()) {
      parts.pop_back();
    }
  }
  return "/" + join(parts, "/");
}

}  // namespace wh::kyua
