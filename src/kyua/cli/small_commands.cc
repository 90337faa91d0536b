// kyua about, config, db-exec, db-migrate, diff, merge: one screenful each.
#include "kyua/cli/cli.h"
#include "kyua/cli/help.h"
#include "kyua/store/migrate.h"

namespace wh::kyua::cli {

Result<int> about(Context& context) {
  const std::string topic = context.arguments().empty() ? "" : context.arguments()[0];
  if (!topic.empty() && topic != "authors" && topic != "license" && topic != "version") {
    return tl::unexpected(
        Error{std::errc::argument_out_of_domain, fmt::format("Invalid about topic '{}'", topic)});
  }
  Ui& ui = context.ui;
  if (topic.empty() || topic == "version") ui.out(version_line());
  if (topic.empty() || topic == "authors") {
    ui.out(
        "Written by the Wheelhouse project, after Kyua by Julio Merino and the jail execution "
        "environment by Igor Ostapenko. No code is shared with either.");
  }
  if (topic.empty() || topic == "license") {
    ui.out("The licence is in the file LICENSE of the Wheelhouse sources.");
  }
  return 0;
}

Result<int> config(Context& context) {
  const auto all = context.config.flattened();
  if (context.arguments().empty()) {
    for (const auto& [name, value] : all) context.ui.out(fmt::format("{} = {}", name, value));
    return 0;
  }
  int status = 0;
  for (const std::string& name : context.arguments()) {
    const auto at = all.find(name);
    if (at != all.end()) {
      context.ui.out(fmt::format("{} = {}", name, at->second));
    } else {
      context.ui.warning(fmt::format("'{}' is not defined", name));
      status = 1;
    }
  }
  return status;
}

Result<int> db_exec(Context& context) {
  const std::string path =
      TRY(find_results_file(context.layout, context.options.get("results-file")));
  Database database = TRY(Database::open(path, Database::Mode::ReadWrite));
  Statement s = TRY(database.prepare(join(context.arguments(), " ")));
  bool has_header = context.options.has("no-headers");
  while (TRY(s.step())) {
    std::vector<std::string> names, values;
    for (int i = 0; i < s.columns(); ++i) {
      names.push_back(s.column_name(i));
      values.push_back(s.shown(i));
    }
    if (!has_header) context.ui.out(join(names, ","));
    has_header = true;
    context.ui.out(join(values, ","));
  }
  return 0;
}

Result<int> db_migrate(Context& context) {
  const auto path = find_results_file(context.layout, context.options.get("results-file"));
  if (!path) return fail("Migration failed: {}", path.error().text);
  for (const std::string& made : TRY(migrate(*path, context.layout.store))) {
    context.ui.info("Results saved to " + made);
  }
  return 0;
}

Result<int> diff(Context& context) {
  std::vector<std::string> paths;
  for (const std::string& given : context.arguments()) {
    paths.push_back(TRY(find_results_file(context.layout, given)));
  }
  const Difference difference = TRY(compare(paths[0], paths[1]));
  for (const std::string& line : difference.lines) context.ui.out(line);
  return difference.is_worse ? 1 : 0;
}

Result<int> merge(Context& context) {
  if (!context.options.has("output")) {
    return tl::unexpected(
        Error{std::errc::argument_out_of_domain, "Missing required option --output"});
  }
  std::vector<std::string> paths;
  for (const std::string& given : context.arguments()) {
    paths.push_back(TRY(find_results_file(context.layout, given)));
  }
  const std::string output = context.options.get("output");
  const size_t count = TRY(kyua::merge(paths, output));
  context.ui.out(fmt::format("{} test cases of {} files saved to {}", count, paths.size(), output));
  return 0;
}

}  // namespace wh::kyua::cli
