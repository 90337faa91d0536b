// The reports on a results file: what they share, and the one for people at a terminal.
//
//   ===> Failed tests
//   sh_test:fail  ->  failed: Doomed: reason  [0.057s]
//   ===> Summary
//   Results read from PATH
//   Test cases: 7 total, 1 skipped, 1 expected failures, 0 broken, 3 failed
//   Total time: 0.215s
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "kyua/filter.h"
#include "kyua/store/reader.h"

namespace wh::kyua {

// "skipped,xfail,broken,failed" as verdicts, in that order; all of them, in the report's order, for
// "". Errors: a word that is none.
Result<std::vector<Verdict>> parse_results_filter(std::string_view text);

struct ReportOptions {
  std::string results_path;  // Shown.
  std::vector<Verdict> shown;
  bool is_verbose = false;
};

// The report as text. The filters remember what they matched.
Result<std::string> text_report(ResultsReader& reader, Filters& filters,
                                const ReportOptions& options);

// A report in JUnit's XML: well-formed UTF-8 whatever the tests printed.
Result<std::string> junit_report(ResultsReader& reader);

// Bytes as text that XML and HTML accept: markup escaped, control characters as "&#x241B;"-like
// pictures, bytes that are no UTF-8 replaced.
std::string escape_markup(std::string_view bytes);

// "allowed_platforms is empty", "timeout = 300".
std::vector<std::string> metadata_lines(const Metadata& metadata);

}  // namespace wh::kyua
