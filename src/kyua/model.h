// What a suite is made of: programs, cases, and what became of them. Plain data.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/units.h"
#include "kyua/metadata.h"
#include "kyua/text.h"

namespace wh::kyua {

enum class Verdict : uint8_t { Passed, Skipped, ExpectedFailure, Broken, Failed };

// "passed", "expected_failure", ...: the words of the results file.
std::string_view to_word(Verdict verdict);
std::optional<Verdict> verdict_of(std::string_view word);

struct TestResult {
  Verdict verdict = Verdict::Broken;
  std::string reason = {};
  bool is_good() const { return verdict != Verdict::Broken && verdict != Verdict::Failed; }
  bool operator==(const TestResult&) const = default;
};
std::string to_string(const TestResult& result);  // "skipped: Not today"

// What a body used: of the processes that ended within it.
struct Usage {
  Duration user{}, system{};
  Bytes peak_memory;  // Of the largest of them.
};

struct TestCase {
  std::string name;
  Metadata metadata;  // What the case itself says; its program's lies below.
  // A listing that failed stands as one case with its result known beforehand.
  std::optional<TestResult> known_result = {};
};

struct TestProgram {
  std::string interface;      // "atf", "plain", "tap", "googletest", "ctest".
  std::string root;           // Absolute folder of the top Kyuafile, or of --build-root.
  std::string relative_path;  // Below root; the program's name in every output.
  std::string suite;
  Metadata metadata;

  std::string absolute_path() const { return join_path(root, relative_path); }
};

// "program:case".
std::string case_id(const TestProgram& program, std::string_view case_name);

}  // namespace wh::kyua
