// kyua list: the cases of a suite, and what is said of them.
#include <csignal>

#include "kyua/cli/cli.h"
#include "kyua/engine.h"

namespace wh::kyua::cli {
namespace {

struct Nobody final : Observer {
  Result<void> finished(const Finished&) override { return {}; }
};

void show(Ui& ui, const Work& work, bool is_verbose) {
  const std::string id = case_id(*work.program, work.test_case->name);
  if (!is_verbose) {
    ui.out(id);
    return;
  }
  ui.out(fmt::format("{} ({})", id, work.program->suite));
  const auto defaults = Metadata{}.with_defaults();
  const Metadata metadata = work.program->metadata.under(work.test_case->metadata);
  for (const auto& [name, value] : metadata.set_values()) {
    const auto fallback = defaults.find(name);
    if (fallback != defaults.end() && fallback->second == value) continue;
    ui.out(fmt::format("    {} = {}", name, value));
  }
}

}  // namespace

Result<int> list(Context& context) {
  const ParsedOptions& o = context.options;
  auto filters = TRY(Filters::parse(context.arguments()));
  Suite suite = TRY(load_kyuafile(
      {o.get("kyuafile"), o.has("build-root") ? o.get("build-root") : "", context.layout.cwd,
       [&](char level, const std::string& text) { context.ui.log(level, text); }}));
  auto loop = TRY(host::RealLoop::make());
  const Calendar calendar(*loop);
  Scanner scanner(std::move(suite.programs), std::move(filters), {});
  Nobody nobody;
  Engine engine(*loop, context.config, calendar, scanner, nobody,
                {.temporary = context.temporary, .only_lists = true});
  auto signals =
      TRY(host::SignalWatch::make(*loop, {SIGINT, SIGTERM, SIGHUP}, [&](int) { engine.stop(); }));
  TRY(engine.run());
  if (!scanner.is_complete()) return fail("Interrupted");
  for (const Work& work : scanner.all()) show(context.ui, work, o.has("verbose"));
  for (const Filter& filter : scanner.filters().unmatched()) {
    context.ui.warning(fmt::format("No test cases matched by the filter '{}'", filter.to_string()));
  }
  return scanner.filters().unmatched().empty() ? 0 : 1;
}

}  // namespace wh::kyua::cli
