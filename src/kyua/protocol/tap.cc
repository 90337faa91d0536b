#include "kyua/protocol/tap.h"

#include <algorithm>
#include <charconv>

namespace wh::kyua {
namespace {

struct Plan {
  uint64_t first = 0, last = 0;
  std::string_view rest;
};

std::optional<Plan> parse_plan(std::string_view line) {
  Plan plan;
  const char* end = line.data() + line.size();
  const auto first = std::from_chars(line.data(), end, plan.first);
  if (first.ec != std::errc() || end - first.ptr < 3 || first.ptr[0] != '.' ||
      first.ptr[1] != '.') {
    return std::nullopt;
  }
  const auto last = std::from_chars(first.ptr + 2, end, plan.last);
  if (last.ec != std::errc()) return std::nullopt;
  plan.rest = std::string_view(last.ptr, static_cast<size_t>(end - last.ptr));
  return plan;
}

std::string lower(std::string_view text) {
  std::string copy(text);
  std::transform(copy.begin(), copy.end(), copy.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return copy;
}

// What stands after "# SKIP" or "# Skipped:" in a plan; nothing when it is no such plan.
std::optional<std::string> skip_reason(std::string_view rest) {
  const size_t at = lower(rest).find("skip");
  if (at == rest.npos || rest.find('#') > at) return std::nullopt;
  const size_t blank = std::min(rest.find_first_of(" \t:", at), rest.size());
  std::string_view reason = trim(rest.substr(blank));
  if (reason.starts_with(':')) reason = trim(reason.substr(1));
  return reason.empty() ? "No reason specified" : std::string(reason);
}

// "ok" or "not ok" at the start, then nothing, a blank, a tab or a dash.
bool starts_point(std::string_view line, std::string_view word) {
  if (!line.starts_with(word)) return false;
  return line.size() == word.size() ||
         std::string_view(" \t-").find(line[word.size()]) != line.npos;
}

}  // namespace

Result<TapSummary> parse_tap(std::string_view text) {
  TapSummary summary;
  std::optional<Plan> plan;
  for (const std::string_view line : split_lines(text)) {
    if (line.starts_with("Bail out!")) {
      summary.has_bailed_out = true;
      return summary;
    }
    if (const auto found = parse_plan(line)) {
      if (plan) {
        return fail("Found duplicate plan {}..{} (saw {}..{} earlier)", found->first, found->last,
                    plan->first, plan->last);
      }
      plan = found;
      const auto reason = skip_reason(found->rest);
      const bool is_empty = found->first == 1 && found->last == 0;
      if (reason && !is_empty) return fail("Skipped plan must be 1..0");
      if (found->first > found->last && !reason) {
        return fail("Found reversed plan {}..{}", found->first, found->last);
      }
      summary.skip_all = reason;
    } else if (starts_point(line, "not ok")) {
      const std::string words = lower(line);
      const bool is_expected = words.find("todo") != words.npos || words.find("skip") != words.npos;
      ++(is_expected ? summary.ok_count : summary.not_ok_count);
    } else if (starts_point(line, "ok")) {
      ++summary.ok_count;
    }
  }
  if (!plan) return fail("Output did not contain any TAP plan and the program did not bail out");
  if (plan->last - plan->first + 1 != summary.ok_count + summary.not_ok_count) {
    return fail("Reported plan differs from actual executed tests");
  }
  return summary;
}

TestResult TapProtocol::judge(const Ended& ended, std::string_view out,
                              const std::optional<std::string>&) const {
  if (ended.has_timed_out) return {Verdict::Broken, "Test case timed out"};
  if (ended.signal != 0) return {Verdict::Broken, fmt::format("Received signal {}", ended.signal)};
  const auto summary = parse_tap(out);
  if (!summary) {
    return {Verdict::Broken,
            fmt::format("TAP test program yielded invalid data: Load of 'stdout.txt' failed: {}",
                        summary.error().text)};
  }
  if (summary->has_bailed_out) return {Verdict::Failed, "Bailed out"};
  if (summary->skip_all) return {Verdict::Skipped, *summary->skip_all};
  if (summary->not_ok_count > 0) {
    return {Verdict::Failed, fmt::format("{} of {} tests failed", summary->not_ok_count,
                                         summary->ok_count + summary->not_ok_count)};
  }
  if (ended.code != 0) {
    return {Verdict::Broken,
            fmt::format("Dubious test program: reported all tests as passed but returned exit "
                        "code {}",
                        ended.code)};
  }
  return {Verdict::Passed};
}

}  // namespace wh::kyua
