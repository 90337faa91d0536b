#include "net/link/trace.h"

#include <algorithm>
#include <charconv>

namespace wh::net {

Result<Trace> Trace::parse(std::string_view text) {
  constexpr std::string_view kAccepted = "accepted: whole milliseconds, not decreasing, one a line";
  Trace trace;
  size_t line = 0;
  while (!text.empty()) {
    ++line;
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view word = text.substr(0, end);
    if (word.ends_with('\r')) word.remove_suffix(1);  // Lines as other systems end them.
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line > kMaxLines) {
      return fail("line {}: the trace is too long; accepted: up to {} lines", line, kMaxLines);
    }
    if (word.empty()) return fail("line {}: empty; {}", line, kAccepted);
    uint32_t ms = 0;
    const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), ms);
    if (error == std::errc::result_out_of_range || (error == std::errc() && ms > kMaxMs)) {
      return fail("line {}: '{}' is too large; accepted: 0 to {}", line, word.substr(0, 40),
                  kMaxMs);
    }
    if (error != std::errc() || stop != word.data() + word.size()) {
      return fail("line {}: '{}' is not a whole number; {}", line, word.substr(0, 40), kAccepted);
    }
    if (!trace.ms_.empty() && ms < trace.ms_.back()) {
      return fail("line {}: {} after {}; {}", line, ms, trace.ms_.back(), kAccepted);
    }
    trace.ms_.push_back(ms);
  }
  if (trace.ms_.empty()) return fail("the trace is empty; {}", kAccepted);
  if (trace.ms_.back() == 0) {
    return fail(
        "line {}: the trace ends at 0, so its period is zero; accepted: a last line above 0", line);
  }
  return trace;
}

size_t Trace::first_after(Duration offset) const {
  const auto ms = std::chrono::floor<std::chrono::milliseconds>(offset).count();
  const auto it = std::upper_bound(ms_.begin(), ms_.end(), ms,
                                   [](int64_t bound, uint32_t at) { return bound < int64_t{at}; });
  return static_cast<size_t>(it - ms_.begin());
}

uint64_t Trace::count_until(Duration elapsed) const {
  if (elapsed < 0ns) return 0;
  const auto periods = static_cast<uint64_t>(elapsed / period());
  return periods * size() + first_after(elapsed % period());
}

}  // namespace wh::net
