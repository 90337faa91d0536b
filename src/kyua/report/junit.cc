#include <algorithm>
#include <set>

#include "kyua/report/report.h"

namespace wh::kyua {
namespace {

// The length of the UTF-8 sequence at the start of `bytes`; 0 when it is none that XML takes (RFC
// 3629).
size_t utf8_length(std::string_view bytes) {
  const auto at = [&](size_t i) { return i < bytes.size() ? static_cast<uint8_t>(bytes[i]) : 0u; };
  const auto follows = [&](size_t i) { return (at(i) & 0xc0u) == 0x80u; };
  const unsigned first = at(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first < 0xe0) return follows(1) ? 2 : 0;
  if (first >= 0xe0 && first < 0xf0) {
    const bool is_long = first == 0xe0 && at(1) < 0xa0;  // A shorter form exists.
    const bool is_surrogate = first == 0xed && at(1) >= 0xa0;
    const bool is_no_character = first == 0xef && at(1) == 0xbf && at(2) >= 0xbe;
    return follows(1) && follows(2) && !is_long && !is_surrogate && !is_no_character ? 3 : 0;
  }
  if (first >= 0xf0 && first < 0xf5) {
    const bool is_long = first == 0xf0 && at(1) < 0x90;
    const bool is_beyond = first == 0xf4 && at(1) >= 0x90;
    return follows(1) && follows(2) && follows(3) && !is_long && !is_beyond ? 4 : 0;
  }
  return 0;
}

std::string underlined(std::string_view title) {
  return fmt::format("{}\n{}\n\n", title, std::string(title.size(), '-'));
}

std::string reason_title(Verdict verdict) {
  if (verdict == Verdict::Skipped) return "Skipped result details";
  if (verdict == Verdict::ExpectedFailure) return "Expected failure result details";
  return "";
}

std::string result_node(const TestResult& result) {
  const std::string message = escape_markup(result.reason);
  switch (result.verdict) {
    case Verdict::Passed:
    case Verdict::ExpectedFailure: return "";
    case Verdict::Skipped: return fmt::format("<skipped message=\"{}\"/>\n", message);
    case Verdict::Failed: return fmt::format("<failure message=\"{}\"/>\n", message);
    case Verdict::Broken: return fmt::format("<error message=\"{}\"/>\n", message);
  }
  UNREACHABLE();
}

Result<std::string> case_node(ResultsReader& reader, const ReadCase& read) {
  std::string classname = read.program.relative_path;
  std::replace(classname.begin(), classname.end(), '/', '.');
  std::string text =
      fmt::format("<testcase classname=\"{}\" name=\"{}\" time=\"{:.3f}\">\n",
                  escape_markup(classname), escape_markup(read.name), to_seconds(read.duration()));
  text += result_node(read.result);
  const std::string out = TRY(reader.output(read));
  if (!out.empty()) text += fmt::format("<system-out>{}</system-out>\n", escape_markup(out));
  std::string err;
  if (const std::string title = reason_title(read.result.verdict); !title.empty()) {
    err += underlined(title) + read.result.reason + "\n\n";
  }
  err += underlined("Test case metadata") + join(metadata_lines(read.metadata), "\n") + "\n\n";
  err += underlined("Timing information") +
         fmt::format("Start time: {}\nEnd time:   {}\nDuration:   {}\n\n", to_iso8601(read.start),
                     to_iso8601(read.end), to_seconds_text(read.duration()));
  const std::string original = TRY(reader.errors(read));
  err += underlined("Original stderr") + (original.empty() ? "<EMPTY>\n" : original);
  text += fmt::format("<system-err>{}</system-err>\n</testcase>\n", escape_markup(err));
  return text;
}

}  // namespace

std::string escape_markup(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    const size_t length = utf8_length(bytes);
    const char c = bytes[0];
    if (length == 0) {
      text += "\xef\xbf\xbd";  // U+FFFD, the replacement character.
    } else if (length > 1) {
      text += bytes.substr(0, length);
    } else if (c == '&') {
      text += "&amp;";
    } else if (c == '<') {
      text += "&lt;";
    } else if (c == '>') {
      text += "&gt;";
    } else if (c == '"') {
      text += "&quot;";
    } else if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') {
      // XML has no such character, not even escaped; Kyua's way to name it.
      text += fmt::format("&amp;#{};", int{c});
    } else {
      text += c;
    }
    bytes.remove_prefix(std::max<size_t>(length, 1));
  }
  return text;
}

Result<std::string> junit_report(ResultsReader& reader) {
  const RunContext context = TRY(reader.context());
  std::string properties = fmt::format("<properties>\n<property name=\"cwd\" value=\"{}\"/>\n",
                                       escape_markup(context.cwd));
  for (const auto& [name, value] : context.environment) {
    properties += fmt::format("<property name=\"env.{}\" value=\"{}\"/>\n", escape_markup(name),
                              escape_markup(value));
  }
  properties += "</properties>\n";
  size_t tests = 0, failures = 0, errors = 0, skipped = 0;
  Duration total{};
  std::string cases;
  std::set<std::string> suites;
  TRY(reader.each_case([&](const ReadCase& read) -> Result<void> {
    ++tests;
    failures += read.result.verdict == Verdict::Failed;
    errors += read.result.verdict == Verdict::Broken;
    skipped += read.result.verdict == Verdict::Skipped;
    total += read.duration();
    suites.insert(read.program.suite);
    cases += TRY(case_node(reader, read));
    return {};
  }));
  return fmt::format(
      "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<testsuite name=\"{}\" tests=\"{}\" "
      "failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{:.3f}\">\n{}{}</testsuite>\n",
      escape_markup(fmt::format("{}", fmt::join(suites, " "))), tests, failures, errors, skipped,
      to_seconds(total), properties, cases);
}

}  // namespace wh::kyua
