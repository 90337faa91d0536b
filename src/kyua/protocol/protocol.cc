#include "kyua/protocol/protocol.h"

#include <array>

#include "kyua/protocol/atf.h"
#include "kyua/protocol/ctest.h"
#include "kyua/protocol/googletest.h"
#include "kyua/protocol/plain.h"
#include "kyua/protocol/tap.h"

namespace wh::kyua {

std::string to_string(const Ended& ended) {
  if (ended.signal == 0) return fmt::format("exited with code {}", ended.code);
  return fmt::format("received signal {}{}", ended.signal, ended.has_core ? " (core dumped)" : "");
}

std::optional<Command> Protocol::cleanup_command(const TestProgram&, std::string_view,
                                                 const Variables&, const std::string&) const {
  return std::nullopt;
}

const Protocol* find_protocol(std::string_view interface) {
  static const AtfProtocol atf;
  static const PlainProtocol plain;
  static const TapProtocol tap;
  static const GoogletestProtocol googletest;
  static const CtestProtocol ctest;
  if (interface == "atf") return &atf;
  if (interface == "plain") return &plain;
  if (interface == "tap") return &tap;
  if (interface == "googletest") return &googletest;
  if (interface == "ctest") return &ctest;
  return nullptr;
}

const Protocol& protocol_of(std::string_view interface) {
  const Protocol* protocol = find_protocol(interface);
  CHECK(protocol != nullptr);
  return *protocol;
}

std::vector<TestCase> failed_listing(std::string reason) {
  TestCase stand_in{
      std::string(kFailedListing), {}, TestResult{Verdict::Broken, std::move(reason)}};
  // Kyua's own words.
  MUST(stand_in.metadata.set("description",
                             "Represents the correct processing of the test cases list"));
  return {std::move(stand_in)};
}

Variables to_environment(const Variables& variables) {
  Variables environment;
  for (const auto& [name, value] : variables) environment["TEST_ENV_" + name] = value;
  return environment;
}

}  // namespace wh::kyua
