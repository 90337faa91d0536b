#include "kyua/protocol/googletest.h"

#include <utility>

namespace wh::kyua {
namespace {

constexpr const char* kNoColour = "--gtest_color=no";

std::string_view without_tail(std::string_view line) {
  const size_t hash = line.find("  # ");
  return hash == line.npos ? line : line.substr(0, hash);
}

// What stands between the test's "[ RUN      ]" line and the line that ends it, on one line.
struct Marks {
  std::string reason;
  std::string_view end;  // "OK", "FAILED", "SKIPPED"; empty when there is none.
  bool has_disabled = false;
  std::string_view disabled_line;
};

// Where a line says how the test of that name ended, and what it says. Not only at the line's
// start: what the test has printed last may lack its line end.
std::pair<size_t, std::string_view> find_end(std::string_view line, std::string_view name) {
  constexpr std::pair<std::string_view, std::string_view> kEnds[] = {
      {"[       OK ] ", "OK"}, {"[  FAILED  ] ", "FAILED"}, {"[  SKIPPED ] ", "SKIPPED"}};
  for (const auto& [mark, end] : kEnds) {
    const std::string said = fmt::format("{}{}", mark, name);
    const size_t at = line.find(said);
    if (at == line.npos) continue;
    const std::string_view rest = line.substr(at + said.size());  // " (0 ms)", ", where ..."
    if (rest.empty() || rest[0] == ' ' || rest[0] == ',') return {at, end};
  }
  return {line.size(), {}};
}

Marks find_marks(std::string_view out) {
  constexpr std::string_view kRun = "[ RUN      ] ";
  Marks marks;
  std::optional<std::string_view> running;
  for (const std::string_view line : split_lines(out)) {
    if (line.find("DISABLED TEST") != line.npos) {
      marks.has_disabled = true;
      marks.disabled_line = trim(line);
    }
    if (const size_t at = line.find(kRun); at != line.npos && !running) {
      running = trim(line.substr(at + kRun.size()));
      continue;
    }
    if (!running) continue;
    const auto [said, end] = find_end(line, *running);
    if (const std::string_view text = trim(line.substr(0, said)); !text.empty()) {
      if (!marks.reason.empty()) marks.reason += "; ";
      marks.reason += text;
    }
    if (end.empty()) continue;
    marks.end = end;
    running.reset();
  }
  return marks;
}

}  // namespace

Result<std::vector<TestCase>> parse_googletest_list(std::string_view text) {
  std::vector<TestCase> cases;
  std::string suite;
  for (const std::string_view line : split_lines(text)) {
    const std::string_view name = without_tail(line);
    if (name.starts_with("  ") && !suite.empty()) {
      cases.push_back({suite + std::string(trim(name)), {}});
    } else if (trim(name).ends_with('.') && name.find(' ') == name.npos) {
      suite = trim(name);
    }
  }
  if (cases.empty()) return fail("No test cases");
  return cases;
}

std::optional<Command> GoogletestProtocol::list_command(const TestProgram& program,
                                                        const Variables& variables) const {
  return Command{{program.absolute_path(), kNoColour, "--gtest_list_tests"},
                 to_environment(variables)};
}

std::vector<TestCase> GoogletestProtocol::parse_listing(const TestProgram&, const Ended& ended,
                                                        std::string_view out,
                                                        std::string_view) const {
  if (ended.has_timed_out) return failed_listing("Test case list timed out");
  if (ended.signal != 0) return failed_listing("Test program received signal");
  if (ended.code != 0) return failed_listing("Test program did not exit cleanly");
  auto cases = parse_googletest_list(out);
  if (!cases) return failed_listing(cases.error().text);
  return *std::move(cases);
}

Command GoogletestProtocol::run_command(const TestProgram& program, std::string_view case_name,
                                        const Variables& variables, const std::string&) const {
  return {{program.absolute_path(), kNoColour, fmt::format("--gtest_filter={}", case_name)},
          to_environment(variables)};
}

TestResult GoogletestProtocol::judge(const Ended& ended, std::string_view out,
                                     const std::optional<std::string>&) const {
  if (ended.has_timed_out) return {Verdict::Broken, "Test case timed out"};
  Marks marks = find_marks(out);
  const bool is_success = ended.signal == 0 && ended.code == 0;
  if (marks.end == "OK" || marks.end == "SKIPPED") {
    if (!is_success) {
      return {Verdict::Broken,
              fmt::format("{} test case should have reported success but {}",
                          marks.end == "OK" ? "Passed" : "Skipped", to_string(ended))};
    }
    if (marks.end == "OK") return {Verdict::Passed};
    return {Verdict::Skipped, marks.reason.empty() ? "No reason specified" : marks.reason};
  }
  if (marks.end == "FAILED") {
    if (ended.signal == 0 && ended.code == 1) return {Verdict::Failed, marks.reason};
    return {Verdict::Broken,
            fmt::format("Failed test case should have reported failure but {}", to_string(ended))};
  }
  if (marks.has_disabled && is_success) return {Verdict::Skipped, std::string(marks.disabled_line)};
  return {Verdict::Broken, fmt::format("Error: Premature exit. Test case {}", to_string(ended))};
}

}  // namespace wh::kyua
