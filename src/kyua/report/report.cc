#include "kyua/report/report.h"

#include <algorithm>
#include <map>
#include <optional>

namespace wh::kyua {
namespace {

struct Section {
  std::string_view filter;
  Verdict verdict;
  std::string_view title;
};
// In the order in which `kyua report` shows all of them.
constexpr std::array kSections = {
    Section{"passed", Verdict::Passed, "Passed tests"},
    Section{"skipped", Verdict::Skipped, "Skipped tests"},
    Section{"xfail", Verdict::ExpectedFailure, "Expected failures"},
    Section{"broken", Verdict::Broken, "Broken tests"},
    Section{"failed", Verdict::Failed, "Failed tests"},
};

std::string_view title_of(Verdict verdict) {
  for (const Section& section : kSections) {
    if (section.verdict == verdict) return section.title;
  }
  UNREACHABLE();
}

std::string with_line_end(std::string text) {
  if (!text.ends_with('\n')) text += '\n';
  return text;
}

std::string describe_context(const RunContext& context) {
  std::string text = fmt::format("===> Execution context\nCurrent directory: {}\n", context.cwd);
  text += context.environment.empty() ? "No environment variables recorded\n"
                                      : "Environment variables:\n";
  for (const auto& [name, value] : context.environment) {
    std::string indented;
    for (const char c : value) {
      indented += c;
      if (c == '\n') indented += "        ";
    }
    text += fmt::format("    {}={}\n", name, indented);
  }
  return text;
}

Result<std::string> describe_case(ResultsReader& reader, const ReadCase& read) {
  std::string text =
      fmt::format("===> {}\nResult:     {}\nStart time: {}\nEnd time:   {}\nDuration:   {}\n",
                  case_id(read.program, read.name), to_string(read.result), to_iso8601(read.start),
                  to_iso8601(read.end), to_seconds_text(read.duration()));
  text += "\nMetadata:\n";
  for (const std::string& line : metadata_lines(read.metadata)) text += "    " + line + "\n";
  const std::string out = TRY(reader.output(read)), err = TRY(reader.errors(read));
  if (!out.empty()) text += "\nStandard output:\n" + with_line_end(out);
  if (!err.empty()) text += "\nStandard error:\n" + with_line_end(err);
  return text;
}

// What the walk over the cases gathers.
struct Gathered {
  std::map<Verdict, std::vector<std::string>> lines;
  std::map<Verdict, size_t> counts;
  Duration total{};
  std::optional<WallTime> start, end;
  std::string details;
  size_t cases = 0;
};

std::string summary(const Gathered& g, const ReportOptions& options) {
  const auto count = [&](Verdict v) {
    const auto at = g.counts.find(v);
    return at == g.counts.end() ? 0 : at->second;
  };
  std::string text = fmt::format(
      "===> Summary\nResults read from {}\nTest cases: {} total, {} skipped, {} expected failures, "
      "{} broken, {} failed\n",
      options.results_path, g.cases, count(Verdict::Skipped), count(Verdict::ExpectedFailure),
      count(Verdict::Broken), count(Verdict::Failed));
  if (options.is_verbose && g.start) {
    text +=
        fmt::format("Start time: {}\nEnd time:   {}\n", to_iso8601(*g.start), to_iso8601(*g.end));
  }
  return text + fmt::format("Total time: {}\n", to_seconds_text(g.total));
}

}  // namespace

Result<std::vector<Verdict>> parse_results_filter(std::string_view text) {
  std::vector<Verdict> verdicts;
  if (text.empty()) {
    for (const Section& section : kSections) verdicts.push_back(section.verdict);
    return verdicts;
  }
  while (true) {
    const size_t comma = std::min(text.find(','), text.size());
    const std::string_view word = text.substr(0, comma);
    const auto section = std::find_if(kSections.begin(), kSections.end(),
                                      [&](const Section& s) { return s.filter == word; });
    if (section == kSections.end()) {
      return fail(
          "Unknown result type '{}' in --results-filter; expected broken, failed, passed, skipped "
          "or xfail",
          word);
    }
    verdicts.push_back(section->verdict);
    if (comma == text.size()) return verdicts;
    text.remove_prefix(comma + 1);
  }
}

std::vector<std::string> metadata_lines(const Metadata& metadata) {
  std::vector<std::string> lines;
  for (const auto& [name, value] : metadata.with_defaults()) {
    lines.push_back(value.empty() ? name + " is empty" : fmt::format("{} = {}", name, value));
  }
  return lines;
}

Result<std::string> text_report(ResultsReader& reader, Filters& filters,
                                const ReportOptions& options) {
  const RunContext context = TRY(reader.context());
  const auto is_shown = [&](Verdict v) {
    return std::find(options.shown.begin(), options.shown.end(), v) != options.shown.end();
  };
  Gathered g;
  TRY(reader.each_case([&](const ReadCase& read) -> Result<void> {
    if (!filters.match(read.program.relative_path, read.name)) return {};
    ++g.cases;
    ++g.counts[read.result.verdict];
    g.total += read.duration();
    g.start = g.start ? std::min(*g.start, read.start) : read.start;
    g.end = g.end ? std::max(*g.end, read.end) : read.end;
    if (!is_shown(read.result.verdict)) return {};
    g.lines[read.result.verdict].push_back(
        fmt::format("{}  ->  {}  [{}]", case_id(read.program, read.name), to_string(read.result),
                    to_seconds_text(read.duration())));
    if (options.is_verbose) g.details += TRY(describe_case(reader, read));
    return {};
  }));
  std::string text;
  if (options.is_verbose) text = describe_context(context) + g.details;
  for (const Verdict verdict : options.shown) {
    if (g.lines[verdict].empty()) continue;
    text += fmt::format("===> {}\n", title_of(verdict));
    for (const std::string& line : g.lines[verdict]) text += line + "\n";
  }
  const std::string state = reader.state();
  text += summary(g, options);
  if (state == "interrupted") text += "The run was interrupted: there may have been more cases.\n";
  if (state == "running") text += "The run has not ended, or was killed.\n";
  return text;
}

}  // namespace wh::kyua
