#include "kyua/protocol/ctest.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace wh::kyua {
namespace {

// A regular expression of CMake's that matches just this name.
std::string exactly(std::string_view name) {
  std::string pattern = "^";
  for (const char c : name) {
    if (std::string_view("^$.[]*+-?|()\\").find(c) != std::string_view::npos) pattern += '\\';
    pattern += c;
  }
  return pattern + "$";
}

void take_properties(const nlohmann::json& test, TestCase& made) {
  const auto properties = test.find("properties");
  if (properties == test.end() || !properties->is_array()) return;
  for (const auto& property : *properties) {
    if (!property.is_object() || !property.contains("name") || !property.contains("value"))
      continue;
    const auto &name = property["name"], &value = property["value"];
    if (name == "TIMEOUT" && value.is_number() && value.get<double>() > 0 &&
        value.get<double>() < 1e9) {
      // A little more than ctest's own limit, so that ctest is the one to stop the test and say so.
      const double seconds = std::ceil(value.get<double>()) + 5;
      MUST(made.metadata.set("timeout", fmt::format("{:.0f}", seconds)));  // A number.
    }
    if (name == "RUN_SERIAL" && value.is_boolean() && value.get<bool>()) {
      MUST(made.metadata.set("is_exclusive", "true"));  // A flag.
    }
  }
}

// The lines in which ctest says how its tests ended, "1/2 Test #7: name ....***Failed", one for
// each of the case and its fixtures. What the tests print stands after such a line, and is nobody's
// word.
std::vector<std::string_view> verdict_lines(std::string_view out) {
  std::vector<std::string_view> found;
  for (const std::string_view line : split_lines(out)) {
    const std::string_view text = trim(line);
    const std::string start = fmt::format("{}/", found.size() + 1);
    if (!text.starts_with(start)) continue;
    const size_t end = std::min(text.find_first_not_of("0123456789", start.size()), text.size());
    if (text.substr(end).starts_with(" Test ")) found.push_back(text);
  }
  return found;
}

}  // namespace

Result<std::vector<TestCase>> parse_ctest_list(std::string_view json) {
  const auto document = nlohmann::json::parse(json, nullptr, false);
  if (!document.is_object() || !document.contains("tests") || !document["tests"].is_array()) {
    return fail("Invalid test list; expecting the JSON of ctest --show-only=json-v1");
  }
  std::vector<TestCase> cases;
  for (const auto& test : document["tests"]) {
    if (!test.is_object() || !test.contains("name") || !test["name"].is_string()) continue;
    TestCase made{test["name"].get<std::string>(), {}};
    take_properties(test, made);
    cases.push_back(std::move(made));
  }
  if (cases.empty()) return fail("No test cases");
  return cases;
}

std::optional<Command> CtestProtocol::list_command(const TestProgram& program,
                                                   const Variables&) const {
  return Command{
      {"ctest", "--test-dir", branch_path(program.absolute_path()), "--show-only=json-v1"}};
}

std::vector<TestCase> CtestProtocol::parse_listing(const TestProgram&, const Ended& ended,
                                                   std::string_view out, std::string_view) const {
  if (ended.has_timed_out) return failed_listing("Test case list timed out");
  if (ended.signal != 0 || ended.code != 0) return failed_listing("ctest did not exit cleanly");
  auto cases = parse_ctest_list(out);
  if (!cases) return failed_listing(cases.error().text);
  return *std::move(cases);
}

Command CtestProtocol::run_command(const TestProgram& program, std::string_view case_name,
                                   const Variables& variables, const std::string&) const {
  return {{"ctest", "--test-dir", branch_path(program.absolute_path()), "--output-on-failure", "-R",
           exactly(case_name)},
          to_environment(variables)};
}

TestResult CtestProtocol::judge(const Ended& ended, std::string_view out,
                                const std::optional<std::string>&) const {
  if (ended.has_timed_out) return {Verdict::Broken, "Test case timed out"};
  if (ended.signal != 0) return {Verdict::Broken, fmt::format("Received signal {}", ended.signal)};
  const auto verdicts = verdict_lines(out);
  if (verdicts.empty()) return {Verdict::Broken, "ctest does not know the test any more"};
  const auto says = [&](std::string_view what) {
    return std::any_of(verdicts.begin(), verdicts.end(),
                       [&](std::string_view line) { return line.find(what) != line.npos; });
  };
  if (ended.code == 0) {
    const bool is_skipped = says("***Skipped") || says("***Not Run (Disabled)");
    return is_skipped ? TestResult{Verdict::Skipped, "Skipped by ctest"}
                      : TestResult{Verdict::Passed};
  }
  if (says("***Timeout")) return {Verdict::Broken, "Test case timed out"};
  if (says("***Exception")) return {Verdict::Broken, "The test crashed"};
  if (says("***Not Run")) return {Verdict::Broken, "ctest could not run the test"};
  return {Verdict::Failed, "The test failed"};
}

}  // namespace wh::kyua
