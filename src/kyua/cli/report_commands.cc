// kyua report and report-junit: results files as texts.
#include <fcntl.h>
#include <unistd.h>

#include "host/system.h"
#include "kyua/cli/cli.h"
#include "kyua/report/report.h"

namespace wh::kyua::cli {
namespace {

Result<void> write_report(const std::string& path, std::string_view text) {
  if (path == "/dev/stdout") return host::write_all(STDOUT_FILENO, text);
  const host::Fd file = TRY(host::open_file(path, O_WRONLY | O_CREAT | O_TRUNC));
  return host::write_all(file.raw(), text);
}

}  // namespace

Result<int> report(Context& context) {
  const ParsedOptions& o = context.options;
  auto filters = TRY(Filters::parse(context.arguments()));
  const auto shown = TRY(parse_results_filter(o.get("results-filter")));
  const std::string path = TRY(find_results_file(context.layout, o.get("results-file")));
  auto reader = TRY(ResultsReader::open(path));
  TRY(write_report(o.get("output"),
                   TRY(text_report(reader, filters, {path, shown, o.has("verbose")}))));
  for (const Filter& filter : filters.unmatched()) {
    context.ui.warning(fmt::format("No test cases matched by the filter '{}'", filter.to_string()));
  }
  return filters.unmatched().empty() ? 0 : 1;
}

Result<int> report_junit(Context& context) {
  const ParsedOptions& o = context.options;
  const std::string path = TRY(find_results_file(context.layout, o.get("results-file")));
  auto reader = TRY(ResultsReader::open(path));
  TRY(write_report(o.get("output"), TRY(junit_report(reader))));
  return 0;
}

}  // namespace wh::kyua::cli
