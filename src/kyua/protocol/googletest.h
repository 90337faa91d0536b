// GoogleTest programs: each test is a case, run alone by --gtest_filter.
#pragma once

#include "kyua/protocol/protocol.h"

namespace wh::kyua {

// Names as "Suite.Case", in the program's order. Errors: no case.
Result<std::vector<TestCase>> parse_googletest_list(std::string_view text);

class GoogletestProtocol final : public Protocol {
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
