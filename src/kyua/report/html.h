// A report as web pages: Kyua's files, and an index that is a whole tool in one file.
//
// index.html needs nothing beside it: search, a filter for each verdict, a timeline of what ran
// when and beside what, and every shown case's metadata and output, all from one JSON document
// within. context.html, a page for each shown case and report.css are where Kyua puts them, for
// links from elsewhere.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "kyua/report/report.h"

namespace wh::kyua {

struct HtmlFile {
  std::string name, text;
};

// Output of one stream longer than this is cut in the middle, in the pages only.
constexpr Bytes kHtmlOutputLimit = 256_KiB;

// Calls `write` with one file after the other, index.html last.
Result<void> html_report(ResultsReader& reader, const ReportOptions& options,
                         const std::function<Result<void>(const HtmlFile&)>& write);

// The text of index.html around its data (html_page.cc).
std::string html_page(std::string_view json);

}  // namespace wh::kyua
