// How a runner and a test program talk: the interfaces of Kyua, and two more.
//
// A Protocol says how a program is asked for its cases, how one of them is run and cleaned up, and
// what its exit status, output and result file mean. It starts nothing itself: commands go out as
// values, texts come in, so every rule is tested without a process. What the rules are is Kyua's
// manual and, for ATF, atf-test-program(1); messages are worded as Kyua words them.
//
//   atf         -l lists; -r FILE case runs, case:cleanup cleans up; the file has the result
//   plain       one case, main; the exit status is the result
//   tap         one case, main; the standard output is a TAP stream
//   googletest  --gtest_list_tests lists; --gtest_filter runs one
//   ctest       a build tree: ctest --show-only lists; ctest -R runs one
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kyua/model.h"

namespace wh::kyua {

using Variables = std::map<std::string, std::string>;

// How a subprocess ended.
struct Ended {
  int code = 0;  // Of exit(3), when no signal ended it.
  int signal = 0;
  bool has_core = false;  // It left a core dump.
  bool has_timed_out = false;
};
std::string to_string(
    const Ended& ended);  // "exited with code 3", "received signal 11 (core dumped)"

struct Command {
  std::vector<std::string> arguments;  // The first is the program, absolute or to be found in PATH.
  Variables environment = {};          // On top of what the isolation sets.
};

class Protocol {
 public:
  virtual ~Protocol() = default;

  // Nothing when every program has just the case `main`.
  virtual std::optional<Command> list_command(const TestProgram& program,
                                              const Variables& variables) const = 0;
  // A listing that makes no sense is one case whose result is known to be broken.
  virtual std::vector<TestCase> parse_listing(const TestProgram& program, const Ended& ended,
                                              std::string_view out, std::string_view err) const = 0;
  virtual Command run_command(const TestProgram& program, std::string_view case_name,
                              const Variables& variables, const std::string& result_file) const = 0;
  // Of the cleanup routine; nothing when the protocol has none.
  virtual std::optional<Command> cleanup_command(const TestProgram& program,
                                                 std::string_view case_name,
                                                 const Variables& variables,
                                                 const std::string& result_file) const;
  // `result_text` is nothing when the program wrote no result file.
  virtual TestResult judge(const Ended& ended, std::string_view out,
                           const std::optional<std::string>& result_text) const = 0;
  // Does judge() look at the standard output?
  virtual bool reads_output() const { return true; }
};

// REQUIRES: an interface that Kyuafiles offer.
const Protocol& protocol_of(std::string_view interface);
// Nullptr when there is none of that name.
const Protocol* find_protocol(std::string_view interface);

// The one case of a program that could not be listed, and what it is called.
constexpr std::string_view kFailedListing = "__test_cases_list__";
std::vector<TestCase> failed_listing(std::string reason);
// TEST_ENV_name=value, as all but ATF programs get their suite's variables.
Variables to_environment(const Variables& variables);

}  // namespace wh::kyua
