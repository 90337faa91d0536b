// kyua test: runs a suite, shows each result, keeps it.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "host/system.h"
#include "kyua/cli/cli.h"
#include "kyua/cli/progress.h"
#include "kyua/engine.h"
#include "kyua/event_stream.h"
#include "kyua/kyuafile.h"
#include "kyua/store/reader.h"
#include "kyua/store/writer.h"

extern char** environ;

namespace wh::kyua::cli {
namespace {

std::map<std::string, std::string> environment() {
  std::map<std::string, std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const size_t equals = text.find('=');
    if (equals != text.npos) all.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return all;
}

// Shows and stores what the engine finds.
class Recorder final : public Observer {
 public:
  Recorder(Context& context, ResultsWriter& writer, Scanner& scanner, EventStream& events)
      : context_(context),
        writer_(writer),
        events_(events),
        progress_(context.ui, scanner),
        is_sequential_(context.config.parallelism == 1) {}

  void started(const TestProgram& program, const TestCase& test_case, int running) override {
    const std::string id = case_id(program, test_case.name);
    events_.started(id);
    progress_.started(id, running);
    if (is_sequential_) context_.ui.out_part(id + "  ->  ");
  }

  Result<void> finished(const Finished& f) override {
    const std::string id = case_id(f.program, f.test_case.name);
    const CaseOutcome& o = f.outcome;
    // First, so that whatever has been shown is kept.
    if (f.is_final) {
      TRY(writer_.add(f.program, f.test_case.name, f.test_case.metadata,
                      {o.result, o.start, o.end, o.usage, f.out, f.err, f.attempt}));
    }
    const std::string note = !f.is_final    ? " (will be tried again)"
                             : f.is_flaky() ? fmt::format(" (flaky: attempt {})", f.attempt)
                                            : "";
    const std::string text =
        fmt::format("{}{}  [{}]", to_string(o.result), note, to_seconds_text(o.end - o.start));
    progress_.clear();
    if (is_sequential_) {
      context_.ui.out_part(text + "\n");
      context_.ui.log('I', id + "  ->  " + text);
    } else {
      context_.ui.out(id + "  ->  " + text);
      if (context_.ui.is_terminal()) context_.ui.out_part("");
    }
    progress_.finished(o.result.is_good(), f.is_final);
    events_.finished(id, f);
    return {};
  }

  void end() { progress_.clear(); }

 private:
  Context& context_;
  ResultsWriter& writer_;
  EventStream& events_;
  Progress progress_;
  bool is_sequential_;
};

// What --rerun-failed and --slowest-first take from the suite's last results.
Result<Scanner::Options> scanner_options(Context& context, const std::string& root) {
  const ParsedOptions& o = context.options;
  Scanner::Options options;
  if (o.has("shard")) options.shard = TRY(Shard::parse(o.get("shard")));
  if (!o.has("rerun-failed") && !o.has("slowest-first")) return options;
  const Layout layout{context.layout.store, root};
  auto reader = TRY(ResultsReader::open(TRY(find_results_file(layout, "LATEST"))));
  if (o.has("rerun-failed")) options.only.emplace();
  TRY(reader.each_case([&](const ReadCase& read) -> Result<void> {
    const std::string id = case_id(read.program, read.name);
    if (options.only && !read.result.is_good()) options.only->insert(id);
    if (o.has("slowest-first")) options.last_durations[id] = read.duration();
    return {};
  }));
  return options;
}

// To end by it, as a shell expects; returns when it was ignored when this program began.
void raise_again(int signal) {
  std::fflush(stdout);
  sigset_t one;
  ::sigemptyset(&one);
  ::sigaddset(&one, signal);
  ::sigprocmask(SIG_UNBLOCK, &one, nullptr);
  ::kill(::getpid(), signal);
}

// Runs the engine until it is done or a signal comes; yields the signal, or 0.
Result<int> run_engine(Context& context, host::RealLoop& loop, Engine& engine) {
  int caught = 0;
  auto signals = TRY(host::SignalWatch::make(loop, {SIGINT, SIGTERM, SIGHUP}, [&](int signal) {
    if (caught == 0) context.ui.err("[-- Signal caught; please wait for cleanup --]");
    caught = signal;
    engine.stop();
  }));
  TRY(engine.run());
  return caught;
}

int conclude(Context& context, const NewResultsFile& file, const Engine::Counts& counts,
             const Filters& filters) {
  Ui& ui = context.ui;
  const size_t total = counts.good + counts.bad;
  if (total > 0) ui.out("");
  if (!file.id.empty()) ui.out("Results file id is " + file.id);
  ui.out("Results saved to " + file.path);
  if (total > 0) {
    ui.out("");
    ui.out(fmt::format("{}/{} passed ({} failed{})", counts.good, total, counts.bad,
                       counts.flaky > 0 ? fmt::format(", {} flaky", counts.flaky) : ""));
  }
  for (const Filter& filter : filters.unmatched()) {
    ui.warning(fmt::format("No test cases matched by the filter '{}'", filter.to_string()));
  }
  return counts.bad > 0 || !filters.unmatched().empty() ? 1 : 0;
}

}  // namespace

Result<int> test(Context& context) {
  const ParsedOptions& o = context.options;
  auto filters = TRY(Filters::parse(context.arguments()));
  const auto retries = parse_int(o.get("retry"));
  if (!retries || *retries < 0 || *retries > 100) {
    return tl::unexpected(Error{std::errc::argument_out_of_domain,
                                fmt::format("Invalid argument '{}' for option --retry: expected a "
                                            "number from 0 to 100",
                                            o.get("retry"))});
  }
  KyuafileOptions kyuafile{
      o.get("kyuafile"), o.has("build-root") ? o.get("build-root") : "", context.layout.cwd,
      [&](char level, const std::string& text) { context.ui.log(level, text); }};
  Suite suite = TRY(load_kyuafile(kyuafile));
  auto options = TRY(scanner_options(context, suite.root));
  auto loop = TRY(host::RealLoop::make());
  const Calendar calendar(*loop);
  const std::string events_path = o.has("json") ? o.get("json") : "";
  if (events_path == "-") context.ui.leave_standard_output();
  auto events = TRY(EventStream::open(events_path));
  const auto file = TRY(new_results_file(context.layout, o.get("results-file"), suite.root,
                                         calendar.at(loop->clock())));
  auto writer = TRY(ResultsWriter::create(file.path, {context.layout.cwd, environment()}));
  Scanner scanner(std::move(suite.programs), std::move(filters), std::move(options));
  Recorder recorder(context, writer, scanner, events);
  Engine engine(*loop, context.config, calendar, scanner, recorder,
                {context.temporary, 64_MiB, static_cast<int>(*retries), o.has("fail-fast")});
  const auto signal = run_engine(context, *loop, engine);
  recorder.end();
  if (!signal) return tl::unexpected(signal.error());
  TRY(writer.finish(*signal == 0 ? "finished" : "interrupted"));
  if (*signal != 0) {
    context.ui.error(fmt::format("Interrupted by signal {}", *signal));
    raise_again(*signal);
    return 2;
  }
  return conclude(context, file, engine.counts(), scanner.filters());
}

}  // namespace wh::kyua::cli
