#include "kyua/model.h"

#include <array>

namespace wh::kyua {
namespace {

constexpr std::array<std::string_view, 5> kWords = {"passed", "skipped", "expected_failure",
                                                    "broken", "failed"};

}  // namespace

std::string_view to_word(Verdict verdict) {
  return kWords[static_cast<size_t>(verdict)];
}

std::optional<Verdict> verdict_of(std::string_view word) {
  for (size_t i = 0; i < kWords.size(); ++i) {
    if (kWords[i] == word) return static_cast<Verdict>(i);
  }
  return std::nullopt;
}

std::string to_string(const TestResult& result) {
  if (result.reason.empty()) return std::string(to_word(result.verdict));
  return fmt::format("{}: {}", to_word(result.verdict), result.reason);
}

std::string case_id(const TestProgram& program, std::string_view case_name) {
  return fmt::format("{}:{}", program.relative_path, case_name);
}

}  // namespace wh::kyua
