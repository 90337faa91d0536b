// kyua debug: one case, with its output on the terminal and a pause before its cleanup if wished.
#include <fcntl.h>
#include <unistd.h>

#include <csignal>

#include "host/system.h"
#include "kyua/cli/cli.h"
#include "kyua/engine.h"

namespace wh::kyua::cli {
namespace {

class Shower final : public Observer {
 public:
  explicit Shower(Context& context) : context_(context) {}

  Result<void> finished(const Finished& f) override {
    TRY(copy(context_.options.get("stdout"), f.out));
    TRY(copy(context_.options.get("stderr"), f.err));
    context_.ui.out(fmt::format("{}  ->  {}", case_id(f.program, f.test_case.name),
                                to_string(f.outcome.result)));
    ++finished_;
    return {};
  }
  int count() const { return finished_; }

 private:
  static Result<void> copy(const std::string& path, std::string_view text) {
    if (text.empty() && path.starts_with("/dev/")) return {};
    // Opened anew, a file that they are redirected to would be written from its start.
    if (path == "/dev/stdout") return host::write_all(STDOUT_FILENO, text);
    if (path == "/dev/stderr") return host::write_all(STDERR_FILENO, text);
    const host::Fd file = TRY(host::open_file(path, O_WRONLY | O_CREAT | O_APPEND));
    return host::write_all(file.raw(), text);
  }

  Context& context_;
  int finished_ = 0;
};

}  // namespace

Result<int> debug(Context& context) {
  const ParsedOptions& o = context.options;
  const std::string& id = context.arguments()[0];
  if (id.find(':') == id.npos) {
    return tl::unexpected(
        Error{std::errc::argument_out_of_domain,
              fmt::format("'{}' is not a test case identifier (missing ':'?)", id)});
  }
  auto filters = TRY(Filters::parse({id}));
  Suite suite = TRY(load_kyuafile(
      {o.get("kyuafile"), o.has("build-root") ? o.get("build-root") : "", context.layout.cwd,
       [&](char level, const std::string& text) { context.ui.log(level, text); }}));
  auto loop = TRY(host::RealLoop::make());
  const Calendar calendar(*loop);
  Scanner scanner(std::move(suite.programs), std::move(filters), {});
  Shower shower(context);
  Engine::Options options{.temporary = context.temporary};
  options.pauses = o.has("pause-before-cleanup") || o.has("pause-before-cleanup-upon-fail");
  options.pauses_only_if_bad = !o.has("pause-before-cleanup");
  options.is_live = options.pauses;
  context.config.parallelism = 1;
  Engine engine(*loop, context.config, calendar, scanner, shower, options);
  auto signals =
      TRY(host::SignalWatch::make(*loop, {SIGINT, SIGTERM, SIGHUP}, [&](int) { engine.stop(); }));
  TRY(engine.run());
  if (shower.count() == 0) return fail("Unknown test case '{}'", id);
  return engine.counts().bad > 0 ? 1 : 0;
}

}  // namespace wh::kyua::cli
