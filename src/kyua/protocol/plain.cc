#include "kyua/protocol/plain.h"

namespace wh::kyua {

TestResult PlainProtocol::judge(const Ended& ended, std::string_view,
                                const std::optional<std::string>&) const {
  if (ended.has_timed_out) return {Verdict::Broken, "Test case timed out"};
  if (ended.signal != 0) return {Verdict::Broken, fmt::format("Received signal {}", ended.signal)};
  if (ended.code == 0) return {Verdict::Passed};
  return {Verdict::Failed, fmt::format("Returned non-success exit status {}", ended.code)};
}

}  // namespace wh::kyua
