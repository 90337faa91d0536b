// kyua report, report-html and report-junit: results files as texts and pages.
#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

#include "host/system.h"
#include "kyua/cli/cli.h"
#include "kyua/report/html.h"
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

Result<int> report_html(Context& context) {
  namespace fs = std::filesystem;
  const ParsedOptions& o = context.options;
  const auto shown = TRY(parse_results_filter(o.get("results-filter")));
  const std::string path = TRY(find_results_file(context.layout, o.get("results-file")));
  auto reader = TRY(ResultsReader::open(path));
  const std::string folder = o.get("output");
  std::error_code error;
  if (fs::exists(folder, error)) {
    if (!o.has("force")) {
      return fail("Output directory '{}' already exists; maybe use --force?", folder);
    }
    fs::remove_all(folder, error);
  }
  fs::create_directory(folder, error);
  if (error) return fail("Cannot make the folder {}: {}", folder, error.message());
  TRY(html_report(reader, {path, shown, false}, [&](const HtmlFile& file) -> Result<void> {
    const std::string name = join_path(folder, file.name);
    context.ui.out("Generating " + name);
    return host::write_file(name, file.text);
  }));
  return 0;
}

Result<int> report_junit(Context& context) {
  const ParsedOptions& o = context.options;
  const std::string path = TRY(find_results_file(context.layout, o.get("results-file")));
  auto reader = TRY(ResultsReader::open(path));
  TRY(write_report(o.get("output"), TRY(junit_report(reader))));
  return 0;
}

}  // namespace wh::kyua::cli
