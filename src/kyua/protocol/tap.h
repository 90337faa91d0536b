// The Test Anything Protocol on the standard output, as Kyua reads it: a plan and test points, by
// line.
//
// `not ok` with "todo" or "skip", in whatever case, anywhere in the line counts as ok. Numbers and
// order of the points are not checked, and indented lines (subtests) are ignored.
#pragma once

#include "kyua/protocol/plain.h"

namespace wh::kyua {

struct TapSummary {
  bool has_bailed_out = false;
  std::optional<std::string> skip_all;  // The reason of a `1..0 # SKIP reason` plan.
  size_t ok_count = 0, not_ok_count = 0;
};

// Errors: no plan, two plans, a reversed plan, a plan that differs from what ran.
Result<TapSummary> parse_tap(std::string_view text);

class TapProtocol final : public PlainProtocol {
 public:
  TestResult judge(const Ended& ended, std::string_view out,
                   const std::optional<std::string>&) const override;
  bool reads_output() const override { return true; }
};

}  // namespace wh::kyua
