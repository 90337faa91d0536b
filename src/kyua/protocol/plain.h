// Plain programs: exit status 0 passes, any other fails, a signal breaks.
#pragma once

#include "kyua/protocol/protocol.h"

namespace wh::kyua {

class PlainProtocol : public Protocol {
 public:
  std::optional<Command> list_command(const TestProgram&, const Variables&) const override {
    return std::nullopt;
  }
  std::vector<TestCase> parse_listing(const TestProgram&, const Ended&, std::string_view,
                                      std::string_view) const override {
    return {TestCase{"main", {}}};
  }
  Command run_command(const TestProgram& program, std::string_view, const Variables& variables,
                      const std::string&) const override {
    return {{program.absolute_path()}, to_environment(variables)};
  }
  TestResult judge(const Ended& ended, std::string_view,
                   const std::optional<std::string>&) const override;
  bool reads_output() const override { return false; }
};

}  // namespace wh::kyua
