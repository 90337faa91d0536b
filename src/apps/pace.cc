// wh pace: what congestion control and pacing do to a path.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cstdio>

#include "apps/commands.h"
#include "apps/output_files.h"
#include "apps/parse.h"
#include "host/interrupt.h"
#include "host/output_file.h"
#include "host/system.h"
#include "host/terminal.h"
#include "lab/compare.h"
#include "lab/page.h"
#include "lab/parallel.h"
#include "lab/runs.h"
#include "lab/synthetic.h"

namespace wh::apps {
namespace {

constexpr const char* kPaceDescription =
    "Runs flows over one bottleneck, or several in a row, through Wheelhouse's own TCP, in "
    "virtual\n"
    "time, and shows what each got and what it did to the queue. With --real the receiver is the\n"
    "Linux kernel's TCP and time is real.";

std::string footer() {
  std::string text =
      "Examples:\n"
      "  wh pace --link rate=40Mbps,delay=10ms,buffer=100ms --flow cc=newreno \\\n"
      "          --flow cc=newreno,rate=12Mbps,start=5s --duration 30s --json out.json\n"
      "  wh pace --alone --flow cubic --flow newreno,rate=36Mbps --report out.html\n"
      "  wh pace --flow cubic,rtt=30ms --flow cubic,rtt=120ms --repeat 5\n"
      "  wh pace --link rate=100Mbps,delay=5ms --link rate=40Mbps,delay=5ms --flow cubic \\\n"
      "          --flow newreno,from=sender,to=router1,web=50ms:30kB,background\n"
      "  wh pace --link trace=cellular:12Mbps,delay=20ms,buffer=300ms --flow cubic,video=4Mbps\n"
      "  wh pace --compare a.json b.json\n"
      "  wh pace --print-lab > my.toml; wh pace my.toml\n"
      "\nA link's keys, and what leaving one out means in brackets (`rev.` before a key: the way "
      "back, which has\n"
      "the same delay and rate unless given; delay is one way; rates count Ethernet frames without "
      "preamble and\n"
      "check sequence). A rate or a delay, a trace or a slot there must be:\n";
  for (const net::LinkKey& key : net::link_keys()) {
    const std::string left_out = key.get(net::DirectionConfig{});
    text += fmt::format("  {:<14} {:<22} {} [{}]\n", key.name, key.value, key.description,
                        left_out.empty() ? "none" : left_out);
  }
  text += fmt::format(
      "\nA flow's keys:\n"
      "  cc             {}; may be given as a bare word\n"
      "  rate           pace at this rate of Ethernet frames [unpaced]\n"
      "  profile        dgp (Dynamic Goodput Pacing; may be a bare word, first), or fill: pace at "
      "cwnd / RTT\n"
      "  fcc            DGP's fulcrum: a rate, 0 for no cap, auto, or a share of the capacity as "
      "in 25% [30Mbps]\n"
      "  start          when it begins, counted from the run's beginning [0s]\n"
      "  bytes          stop after so much payload [until the end]\n"
      "  onoff          ON:OFF; ON is a time or a size: onoff=2s:1s, onoff=500kB:1s\n"
      "  web            EVERY:SIZE, means; short connections, one after another: web=100ms:50kB\n"
      "  video          RATE:CHUNK:BUFFER; a player that fetches chunks: video=8Mbps:4s:20s\n"
      "  count          so many alike [1]\n"
      "  ip             4 or 6 [4]\n"
      "  rtt            round trip of its empty path, at least the links' [the links']\n"
      "  name           what the report calls it\n"
      "  reverse        data goes from receiver to sender\n"
      "  from, to       hosts: sender, router1 ... between several links, receiver\n"
      "  background     traffic for the others' sake: in every run of --alone, not in Jain's "
      "index\n"
      "\nBeside a file, trace= takes a link made up (`wh trace` prints them):\n{}"
      "\nGoodput counts payload that reached the receiving program. Exit status: 0; 2 when asked "
      "wrongly.",
      fmt::join(lab::congestion_controls(), ", "), lab::kSyntheticForms);
  return text;
}

struct PaceOptions {
  std::vector<std::string> links, flows, sysctls, pcaps, compare;
  std::string duration, warmup, start_jitter, sample, lab_file, json, csv, series, report, trace;
  std::optional<uint64_t> seed;
  uint32_t repeat = 1;
  unsigned jobs = lab::default_jobs();
  bool alone = false, print_lab = false, real = false, quiet = false;
  std::string command;  // As it was typed.
};

constexpr const char* kUsualLink = "rate=40Mbps,delay=10ms,buffer=100ms";

void declare_lab(CLI::App& app, PaceOptions& o) {
  app.add_option("lab", o.lab_file, "A lab file, instead of --link and --flow");
  app.add_option(
         "--link", o.links,
         fmt::format("The bottleneck: KEY=VALUE,... (keys below, with what one left out means); "
                     "repeated: several in a row [{}]",
                     kUsualLink))
      ->allow_extra_args(false);
  app.add_option("--flow", o.flows,
                 "A flow: KEY=VALUE,... (keys below); may be repeated [cc=newreno]")
      ->allow_extra_args(false);
  app.add_option("--duration", o.duration, "How long to run [30s]");
  app.add_option("--warmup", o.warmup,
                 "Leave this long at the beginning out of all statistics [0s]");
  app.add_option("--seed", o.seed, "What every chance is drawn from [1]")
      ->transform(whole_number());
  app.add_option("--start-jitter", o.start_jitter,
                 "Flows start up to this much later, by chance [0s; 100ms with --repeat]");
  app.add_option("--sysctl", o.sysctls, "NAME=VALUE for every stack; may be repeated")
      ->allow_extra_args(false);
  app.add_flag("--real", o.real,
               "The receiver is the Linux kernel, over a TAP interface, in real time");
}

void declare(CLI::App& app, PaceOptions& o) {
  app.footer(footer());
  declare_lab(app, o);
  app.add_flag("--alone", o.alone, "Give each flow the path for itself: one run a flow, one table");
  app.add_option(
         "--repeat", o.repeat,
         "Run it so many times, with seeds that follow each other, and show 95 % confidence "
         "intervals [1]")
      ->transform(whole_number(1, lab::kMaxRepeat));
  app.add_option("--jobs", o.jobs, "Runs at a time [as many as there are cores]")
      ->transform(whole_number(1, 1024));
  app.add_option("--report", o.report, "Write a page with charts to this file");
  app.add_option("--json", o.json, "Write the results to this file (- for standard output)");
  app.add_option("--csv", o.csv,
                 "Write a row for each run and flow to this file (- for standard output)");
  app.add_option("--series", o.series, "Write the figures over time to this CSV file");
  app.add_option("--sample", o.sample,
                 "Time between two figures of --report and --series "
                 "[an 800th of the duration, at least 25ms]");
  app.add_option("--pcap", o.pcaps,
                 "FILE: write what passes the sender's interface (- for standard output); "
                 "LINK-HOST=FILE: another one's; may be repeated")
      ->allow_extra_args(false);
  app.add_option(
      "--trace", o.trace,
      "Write every connection's decisions into this folder, JSON lines (docs/blackbox.md)");
  app.add_option("--compare", o.compare, "Two files of --json: show what differs, and stop")
      ->expected(2);
  app.add_flag("--print-lab", o.print_lab, "Print the lab file of these flags and stop");
  app.add_flag("-q,--quiet", o.quiet, "No progress line, no table");
}

Result<lab::LabSpec> spec_of_flags(const PaceOptions& o) {
  std::vector<net::LinkConfig> links;
  const std::vector<std::string> usual = {kUsualLink};
  for (const std::string& text : o.links.empty() ? usual : o.links) {
    if (text.empty()) {
      return fail("--link: nothing is said of it; accepted: KEY=VALUE,... such as {}", kUsualLink);
    }
    links.push_back(TRY(named("--link", net::parse_link_config(text))));
  }
  std::vector<lab::FlowSpec> flows;
  for (const std::string& text : o.flows) {
    flows.push_back(TRY(named("--flow", lab::parse_flow(text))));
  }
  if (flows.empty()) flows.push_back(MUST(lab::parse_flow("newreno")));  // A name that exists.
  return lab::pace_lab(std::move(links), std::move(flows));
}

Result<lab::LabSpec> spec_of_file(const PaceOptions& o) {
  if (!o.flows.empty() || !o.links.empty()) {
    return fail("{} and a lab file do not go together; edit {} instead",
                o.flows.empty() ? "--link" : "--flow", o.lab_file);
  }
  return lab::parse_lab(TRY(host::read_file(o.lab_file)), o.lab_file);
}

Result<lab::LabSpec> make_spec(const PaceOptions& o) {
  lab::LabSpec spec = TRY(o.lab_file.empty() ? spec_of_flags(o) : spec_of_file(o));
  if (!o.duration.empty()) spec.duration = TRY(named("--duration", parse_duration(o.duration)));
  if (!o.warmup.empty()) spec.warmup = TRY(named("--warmup", parse_duration(o.warmup)));
  if (!o.start_jitter.empty())
    spec.start_jitter = TRY(named("--start-jitter", parse_duration(o.start_jitter)));
  if (o.seed) spec.seed = *o.seed;
  for (const std::string& assignment : o.sysctls) spec.assign(assignment);
  if (o.real) {
    const auto receiver = std::find_if(spec.hosts.begin(), spec.hosts.end(),
                                       [](const auto& host) { return host.name == "receiver"; });
    if (receiver == spec.hosts.end()) {
      return fail("--real: {} has no host 'receiver'; accepted: kind = \"kernel\" in a [[host]]",
                  o.lab_file);
    }
    receiver->kind = lab::HostKind::Kernel;
  }
  TRY(lab::check_lab(spec));
  return spec;
}

Result<lab::Experiment::Options> experiment_options(const PaceOptions& o,
                                                    const lab::LabSpec& spec) {
  lab::Experiment::Options options;
  options.trace = o.trace;
  for (const std::string& text : o.pcaps) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos) {
      options.captures.push_back({"", text});
    } else {
      options.captures.push_back({text.substr(0, equals), text.substr(equals + 1)});
    }
  }
  constexpr int64_t kMostSamples = 1'000'000;
  // Finer than 25 ms shows single bursts, not rates.
  const Duration usual = std::max<Duration>(
      {spec.duration / 800, std::min<Duration>(25ms, spec.duration / 100), Duration(1us)});
  const Duration every =
      o.sample.empty() ? usual : TRY(named("--sample", parse_duration(o.sample)));
  if (every <= 0s || spec.duration / every > kMostSamples) {
    return fail("--sample {}: out of range; accepted: above 0s, at most {} in one run", o.sample,
                kMostSamples);
  }
  if (!o.report.empty() || !o.series.empty()) options.sample_every = every;
  return options;
}

// The files of one command, opened before the run, so that a bad path is known at once.
class Outputs {
 public:
  using Make = std::function<std::string()>;
  Result<void> add(const std::string& path, Make make) {
    if (path.empty()) return {};
    has_stdout_ |= path == "-";
    files_.push_back({TRY(host::OutputFile::create(path)), std::move(make)});
    return {};
  }
  // What somebody else writes.
  void note(const std::string& path) { has_stdout_ |= path == "-"; }
  // A table would mix with a document there.
  bool has_stdout() const { return has_stdout_; }
  // Each is written whatever became of the others.
  void finish(Failures& failures) {
    for (auto& [file, make] : files_) failures.note(file.finish(make()));
  }

 private:
  std::vector<std::pair<host::OutputFile, Make>> files_;
  bool has_stdout_ = false;
};

Result<void> run_lab(const PaceOptions& o) {
  const lab::LabSpec spec = TRY(make_spec(o));
  if (o.print_lab) {
    fmt::print("{}", lab::print_lab(spec));
    return {};
  }
  lab::RunPlan plan{.spec = spec, .alone = o.alone, .repeat = o.repeat, .jobs = o.jobs};
  plan.options = TRY(experiment_options(o, spec));
  std::vector<NamedPath> files = {{"the lab file", o.lab_file},
                                  {"--json", o.json},
                                  {"--csv", o.csv},
                                  {"--series", o.series},
                                  {"--report", o.report}};
  for (const auto& capture : plan.options.captures) files.push_back({"--pcap", capture.path});
  TRY(check_distinct(files));
  Outputs outputs;
  for (const auto& capture : plan.options.captures) outputs.note(capture.path);

  std::atomic<bool> stop{false};
  static_assert(std::atomic<bool>::is_always_lock_free);  // It is set in a signal's handler.
  host::InterruptGuard interrupt([&] { stop = true; });
  lab::RunResult result;
  const lab::Report& report = result.report;
  TRY(outputs.add(o.json, [&] { return lab::to_json(report); }));
  TRY(outputs.add(o.csv, [&] { return result.csv; }));
  TRY(outputs.add(o.series, [&] { return lab::to_csv(report.series); }));
  TRY(outputs.add(o.report, [&] { return lab::to_page(report, o.command); }));
  host::ProgressLine progress(o.quiet);
  result = TRY(lab::run_plan(
      plan,
      [&](double share) {
        progress.show(
            [&] { return fmt::format("{:.0f} % of {}", 100 * share, to_string(spec.duration)); },
            share);
      },
      stop));
  progress.clear();
  if (!o.quiet && !outputs.has_stdout()) fmt::print("{}", lab::to_table(report));
  Failures failures;
  failures.note(result.captures);
  outputs.finish(failures);
  return failures.all();
}

Result<void> run_compare(const PaceOptions& o) {
  const std::vector<std::string> others = {o.lab_file, o.csv, o.series, o.report, o.trace};
  const bool has_others = std::any_of(others.begin(), others.end(),
                                      [](const std::string& text) { return !text.empty(); });
  if (has_others || !o.links.empty() || !o.flows.empty() || !o.pcaps.empty()) {
    return fail("--compare runs nothing; accepted beside it: --json, --quiet");
  }
  for (const std::string& file : o.compare) {
    TRY(check_distinct({{"--compare", file}, {"--json", o.json}}));
  }
  Outputs outputs;
  lab::Comparison comparison;
  TRY(outputs.add(o.json, [&] { return comparison.json; }));
  comparison = TRY(lab::compare(TRY(host::read_file(o.compare[0])), o.compare[0],
                                TRY(host::read_file(o.compare[1])), o.compare[1]));
  if (!o.quiet && !outputs.has_stdout()) fmt::print("{}", comparison.table);
  Failures failures;
  outputs.finish(failures);
  return failures.all();
}

}  // namespace

int pace_main(int argc, char** argv) {
  CLI::App app(kPaceDescription, "wh pace");
  PaceOptions options;
  declare(app, options);
  refuse_empty(app, {"--link", "--flow"});
  if (const auto status = parse(app, argc, argv)) return *status;
  options.command = "wh " + typed(argc, argv);
  auto done = options.compare.empty() ? run_lab(options) : run_compare(options);
  if (!done) {
    fmt::print(stderr, "wh pace: {}\n", done.error().text);
    return kUsage;
  }
  return kYes;
}

}  // namespace wh::apps
