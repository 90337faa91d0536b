// CMake build trees: the program is the tree's CTestTestfile.cmake, and each CTest test is a case.
//
// Cases are run by ctest itself, one at a time, so that a test's properties (environment, working
// directory, fixtures, pass expressions) hold as they do for `ctest`. A timeout set in CMake
// becomes the case's when the listing says so.
#pragma once

#include "kyua/protocol/protocol.h"

namespace wh::kyua {

// Of `ctest --show-only=json-v1`. Errors: not that document; no test.
Result<std::vector<TestCase>> parse_ctest_list(std::string_view json);

class CtestProtocol final : public Protocol {
 public:
  std::optional<Command> list_command(const TestProgram& program,
                                      const Variables& variables) const override;
  std::vector<TestCase> parse_listing(const TestProgram& program, const Ended& ended,
                                      std::string_view out, std::string_view err) const override;
  Command run_command(const TestProgram& program, std::string_view case_name,
                      const Variables& variables, const std::string& result_file) const override;
  TestResult judge(const Ended& ended, std::string_view out,
                   const std::optional<std::string>& result_text) const override;
};

}  // namespace wh::kyua
