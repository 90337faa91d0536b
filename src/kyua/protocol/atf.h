// ATF programs (atf-test-program(1)): a list of cases with metadata, and a result file for each
// run.
#pragma once

#include "kyua/protocol/protocol.h"

namespace wh::kyua {

// What the one line of a result file says; which exit status must go with it is judge()'s business.
struct AtfResult {
  enum class Kind : uint8_t {
    Passed,
    Failed,
    Skipped,
    Broken,
    ExpectedFailure,
    ExpectedExit,
    ExpectedSignal,
    ExpectedDeath,
    ExpectedTimeout
  };
  Kind kind = Kind::Passed;
  std::optional<int> argument;  // Of expected_exit(N) and expected_signal(N).
  std::string reason;
};
// Errors: not one line of the grammar.
Result<AtfResult> parse_atf_result(std::string_view text);

// Errors: a bad header, an unknown or repeated property, no case.
Result<std::vector<TestCase>> parse_atf_list(std::string_view text);

class AtfProtocol final : public Protocol {
 public:
  std::optional<Command> list_command(const TestProgram& program,
                                      const Variables& variables) const override;
  std::vector<TestCase> parse_listing(const TestProgram& program, const Ended& ended,
                                      std::string_view out, std::string_view err) const override;
  Command run_command(const TestProgram& program, std::string_view case_name,
                      const Variables& variables, const std::string& result_file) const override;
  std::optional<Command> cleanup_command(const TestProgram& program, std::string_view case_name,
                                         const Variables& variables,
                                         const std::string& result_file) const override;
  TestResult judge(const Ended& ended, std::string_view out,
                   const std::optional<std::string>& result_text) const override;
  bool reads_output() const override { return false; }
};

}  // namespace wh::kyua
