#include "kyua/protocol/atf.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <map>

// Worded as Kyua words its errors.
namespace wh::kyua {
namespace {

constexpr std::string_view kHeader = "Content-Type: application/X-atf-tp; version=\"1\"";
using Kind = AtfResult::Kind;

struct Word {
  std::string_view text;
  Kind kind;
  bool has_reason, may_have_argument;
};
constexpr std::array kResultWords = {
    Word{"passed", Kind::Passed, false, false},
    Word{"failed", Kind::Failed, true, false},
    Word{"skipped", Kind::Skipped, true, false},
    Word{"broken", Kind::Broken, true, false},
    Word{"expected_failure", Kind::ExpectedFailure, true, false},
    Word{"expected_exit", Kind::ExpectedExit, true, true},
    Word{"expected_signal", Kind::ExpectedSignal, true, true},
    Word{"expected_death", Kind::ExpectedDeath, true, false},
    Word{"expected_timeout", Kind::ExpectedTimeout, true, false},
};

struct Pair {
  std::string_view name, value;
};

Result<Pair> parse_property(std::string_view line) {
  const size_t colon = line.find(": ");
  if (colon != line.npos) return Pair{line.substr(0, colon), line.substr(colon + 2)};
  return fail("Invalid property line; expecting line of the form 'name: value'");
}

Command command(const TestProgram& program, const Variables& variables,
                std::vector<std::string> rest) {
  Command made{{program.absolute_path()}, {{"__RUNNING_INSIDE_ATF_RUN", "internal-yes-value"}}};
  for (const auto& [name, value] : variables) {
    made.arguments.push_back(fmt::format("-v{}={}", name, value));
  }
  for (std::string& argument : rest) made.arguments.push_back(std::move(argument));
  return made;
}

TestResult mismatch(std::string_view what, const Ended& ended) {
  return {Verdict::Broken, fmt::format("{} but {}", what, to_string(ended))};
}

// A result that must come with the given exit status.
TestResult demand(const Ended& ended, int code, TestResult result, std::string_view otherwise) {
  if (ended.signal == 0 && ended.code == code) return result;
  return mismatch(otherwise, ended);
}

TestResult judge_expected_exit(const AtfResult& r, const Ended& ended) {
  if (ended.signal != 0) {
    return {Verdict::Broken, fmt::format("Expected clean exit but {}", to_string(ended))};
  }
  if (!r.argument || *r.argument == ended.code) return {Verdict::ExpectedFailure, r.reason};
  return {Verdict::Failed, fmt::format("Test case expected to exit with code {} but got code {}",
                                       *r.argument, ended.code)};
}

TestResult judge_expected_signal(const AtfResult& r, const Ended& ended) {
  if (ended.signal == 0) {
    return {Verdict::Broken, fmt::format("Expected signal but {}", to_string(ended))};
  }
  if (!r.argument || *r.argument == ended.signal) return {Verdict::ExpectedFailure, r.reason};
  return {Verdict::Failed, fmt::format("Test case expected to receive signal {} but got {}",
                                       *r.argument, ended.signal)};
}

// Why the program did not start at all, from what isolation.h then prints.
std::optional<std::string> start_failure(const TestProgram& program, const Ended& ended,
                                         std::string_view err) {
  const std::string prefix = fmt::format("Failed to execute {}: ", program.absolute_path());
  if (ended.signal != SIGABRT || !err.starts_with(prefix)) return std::nullopt;
  const std::string_view why = trim(err.substr(prefix.size()));
  if (why == std::strerror(EACCES)) return "Permission denied to run test program";
  if (why == std::strerror(ENOEXEC)) return "Invalid test program format";
  if (why == std::strerror(ENOENT)) return "Cannot find test program";
  return fmt::format("Cannot run test program: {}", why);
}

// A case's lines, from `at` to an empty one or the end, where `at` then is.
Result<TestCase> parse_case(const std::vector<std::string_view>& lines, size_t& at) {
  const Pair ident = TRY(parse_property(lines[at]));
  if (ident.name != "ident" || ident.value.empty()) {
    return fail("Invalid test case definition; must be preceeded by the identifier");
  }
  std::map<std::string_view, std::string_view> properties;
  while (++at < lines.size() && !lines[at].empty()) {
    const Pair pair = TRY(parse_property(lines[at]));
    if (!properties.emplace(pair.name, pair.value).second) {
      return fail("Duplicate value for property {}", pair.name);
    }
  }
  TestCase found{std::string(ident.value), {}};
  for (const auto& [name, value] : properties) TRY(found.metadata.set_atf(name, value));
  return found;
}

// "(N): reason", ": reason", or one of them with nothing behind the blank.
Result<void> parse_argument(std::string_view rest, AtfResult& result, std::string_view name) {
  if (rest.starts_with('(')) {
    const size_t close = rest.find("):");
    const std::string_view text = rest.substr(1, close == rest.npos ? close : close - 1);
    const auto number = parse_int(text);
    if (close == rest.npos || !number || *number != static_cast<int>(*number)) {
      return fail("Invalid integer argument '{}' to '{}' test case result", text, name);
    }
    result.argument = static_cast<int>(*number);
    rest.remove_prefix(close + 1);
  }
  if (!rest.starts_with(": ")) return fail("{} must be followed by ': <reason>'", name);
  result.reason = rest.substr(2);
  return {};
}

}  // namespace

Result<AtfResult> parse_atf_result(std::string_view text) {
  if (text.empty() || !text.ends_with('\n')) return fail("Empty test result or no new line");
  text.remove_suffix(1);
  if (text.find('\n') != text.npos) {
    std::string shown;
    for (const char c : text) c == '\n' ? shown += "<<NEWLINE>>" : shown += c;
    return fail("Test result contains multiple lines: {}", shown);
  }
  const size_t word_end =
      std::min(text.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), text.size());
  const std::string_view name = text.substr(0, word_end), rest = text.substr(word_end);
  const auto word = std::find_if(kResultWords.begin(), kResultWords.end(),
                                 [&](const Word& w) { return w.text == name; });
  if (word == kResultWords.end()) return fail("Unknown test result '{}'", name);
  AtfResult result{word->kind, std::nullopt, ""};
  if (word->may_have_argument) {
    TRY(parse_argument(rest, result, name));
  } else if (!word->has_reason) {
    if (!rest.empty()) return fail("{} cannot have a reason", name);
  } else if (rest.size() < 3 || !rest.starts_with(": ")) {
    return fail("{} must be followed by ': <reason>'", name);
  } else {
    result.reason = rest.substr(2);
  }
  return result;
}

Result<std::vector<TestCase>> parse_atf_list(std::string_view text) {
  const std::vector<std::string_view> lines = split_lines(text.substr(0, text.rfind('\n') + 1));
  const std::string_view first = lines.empty() ? "" : lines[0];
  const std::string_view second = lines.size() < 2 ? "" : lines[1];
  if (first != kHeader) {
    return fail(
        "Invalid header for test case list; expecting Content-Type for "
        "application/X-atf-tp version 1, got '{}'",
        first);
  }
  if (lines.size() < 2 || !second.empty()) {
    return fail("Invalid header for test case list; expecting a blank line, got '{}'", second);
  }
  std::vector<TestCase> cases;
  for (size_t at = 2; at < lines.size(); ++at) cases.push_back(TRY(parse_case(lines, at)));
  if (cases.empty()) return fail("No test cases");
  std::stable_sort(cases.begin(), cases.end(),
                   [](const TestCase& a, const TestCase& b) { return a.name < b.name; });
  // As under Kyua, a name that is listed again says nothing: the first one counts.
  const auto is_same = [](const TestCase& a, const TestCase& b) { return a.name == b.name; };
  cases.erase(std::unique(cases.begin(), cases.end(), is_same), cases.end());
  return cases;
}

std::optional<Command> AtfProtocol::list_command(const TestProgram& program,
                                                 const Variables& variables) const {
  return command(program, variables, {"-l"});
}

std::vector<TestCase> AtfProtocol::parse_listing(const TestProgram& program, const Ended& ended,
                                                 std::string_view out, std::string_view err) const {
  if (ended.has_timed_out) return failed_listing("Test case list timed out");
  if (const auto reason = start_failure(program, ended, err)) return failed_listing(*reason);
  if (ended.signal != 0) return failed_listing("Test program received signal");
  if (ended.code != 0) return failed_listing("Test program did not exit cleanly");
  if (!err.empty()) return failed_listing("Test case list wrote to stderr");
  auto cases = parse_atf_list(out);
  if (!cases) return failed_listing(cases.error().text);
  return *std::move(cases);
}

Command AtfProtocol::run_command(const TestProgram& program, std::string_view case_name,
                                 const Variables& variables, const std::string& result_file) const {
  return command(program, variables, {"-r" + result_file, std::string(case_name)});
}

std::optional<Command> AtfProtocol::cleanup_command(const TestProgram& program,
                                                    std::string_view case_name,
                                                    const Variables& variables,
                                                    const std::string& result_file) const {
  return command(program, variables, {"-r" + result_file, fmt::format("{}:cleanup", case_name)});
}

TestResult AtfProtocol::judge(const Ended& ended, std::string_view,
                              const std::optional<std::string>& text) const {
  const auto parsed = text ? parse_atf_result(*text) : Result<AtfResult>{fail("Premature exit")};
  if (ended.has_timed_out) {
    if (parsed && parsed->kind == Kind::ExpectedTimeout) {
      return {Verdict::ExpectedFailure, parsed->reason};
    }
    return {Verdict::Broken, "Test case body timed out"};
  }
  if (!parsed) {
    return {Verdict::Broken,
            fmt::format("Error: {}. Test case {}", parsed.error().text, to_string(ended))};
  }
  const AtfResult& r = *parsed;
  switch (r.kind) {
    case Kind::Passed:
      return demand(ended, 0, {Verdict::Passed}, "Passed test case should have reported success");
    case Kind::Failed:
      return demand(ended, 1, {Verdict::Failed, r.reason},
                    "Failed test case should have reported failure");
    case Kind::Skipped:
      return demand(ended, 0, {Verdict::Skipped, r.reason},
                    "Skipped test case should have reported success");
    case Kind::Broken: return {Verdict::Broken, r.reason};
    case Kind::ExpectedFailure:
      return demand(ended, 0, {Verdict::ExpectedFailure, r.reason},
                    "Expected failure should have reported success");
    case Kind::ExpectedExit: return judge_expected_exit(r, ended);
    case Kind::ExpectedSignal: return judge_expected_signal(r, ended);
    case Kind::ExpectedDeath: return {Verdict::ExpectedFailure, r.reason};
    case Kind::ExpectedTimeout: return mismatch("Expected timeout", ended);
  }
  UNREACHABLE();
}

}  // namespace wh::kyua
