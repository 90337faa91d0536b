// wh pace: what congestion control and pacing do to a path.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "apps/commands.h"
#include "apps/parse.h"
#include "host/interrupt.h"
#include "host/output_file.h"
#include "host/system.h"
#include "host/terminal.h"
#include "lab/experiment.h"
#include "lab/report.h"
#include "lab/spec.h"

namespace wh::apps {
namespace {

constexpr const char* kDescription =
    "Runs flows over one bottleneck through Wheelhouse's own TCP, in virtual time, and shows what "
    "each got and\n"
    "what it did to the queue. With --real the receiver is the Linux kernel's TCP and time is "
    "real.";

std::string footer() {
  std::string text =
      "Examples:\n"
      "  wh pace --link rate=40Mbps,delay=10ms,buffer=100ms --flow cc=newreno \\\n"
      "          --flow cc=newreno,rate=12Mbps,start=5s --duration 30s --json out.json\n"
      "  wh pace --alone --flow newreno --flow newreno,rate=36Mbps\n"
      "  wh pace --link trace=cell.down,delay=20ms,buffer=300ms --flow newreno,count=4\n"
      "  wh pace --print-lab > my.toml; wh pace my.toml\n"
      "\nA link's keys (`rev.` before a key: the way back, which has the same delay and rate "
      "unless given;\n"
      "delay is one way; rates count Ethernet frames without preamble and check sequence):\n";
  for (const net::LinkKey& key : net::link_keys()) {
    text += fmt::format("  {:<14} {:<22} {}\n", key.name, key.value, key.description);
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
      "  count          so many alike [1]\n"
      "  ip             4 or 6 [4]\n"
      "  name           what the report calls it\n"
      "  reverse        data goes from receiver to sender\n"
      "\nGoodput counts payload that reached the receiving program. Exit status: 0; 2 when asked "
      "wrongly.",
      fmt::join(lab::congestion_controls(), ", "));
  return text;
}

struct Options {
  std::string link = "rate=40Mbps,delay=10ms,buffer=100ms";
  std::vector<std::string> flows, sysctls;
  std::string duration, warmup, lab_file, json, pcap, trace;
  std::optional<uint64_t> seed;
  bool alone = false, print_lab = false, real = false, quiet = false;
};

void declare(CLI::App& app, Options& o) {
  app.footer(footer());
  app.add_option("lab", o.lab_file, "A lab file, instead of --link and --flow");
  app.add_option("--link", o.link, "The bottleneck: KEY=VALUE,... (keys below)")
      ->capture_default_str();
  app.add_option("--flow", o.flows,
                 "A flow: KEY=VALUE,... (keys below); may be repeated [cc=newreno]")
      ->allow_extra_args(false);
  app.add_option("--duration", o.duration, "How long to run [30s]");
  app.add_option("--warmup", o.warmup,
                 "Leave this long at the beginning out of all statistics [0s]");
  app.add_option("--seed", o.seed, "What every chance is drawn from [1]");
  app.add_option("--sysctl", o.sysctls, "NAME=VALUE for every stack; may be repeated")
      ->allow_extra_args(false);
  app.add_option("--json", o.json, "Write the results to this file (- for standard output)");
  app.add_option("--pcap", o.pcap, "Write what passes the sender's interface to this file");
  app.add_option(
      "--trace", o.trace,
      "Write every connection's decisions into this folder, JSON lines (docs/blackbox.md)");
  app.add_flag("--alone", o.alone, "Give each flow the path for itself: one run a flow, one table");
  app.add_flag("--print-lab", o.print_lab, "Print the lab file of these flags and stop");
  app.add_flag("--real", o.real,
               "The receiver is the Linux kernel, over a TAP interface, in real time");
  app.add_flag("-q,--quiet", o.quiet, "No progress line, no table");
}

Result<lab::LabSpec> spec_of_flags(const Options& o) {
  auto link = net::parse_link_config(o.link);
  if (!link) return tl::unexpected(std::move(link.error()).within("--link"));
  std::vector<lab::FlowSpec> flows;
  for (const std::string& text : o.flows) {
    auto flow = lab::parse_flow(text);
    if (!flow) return tl::unexpected(std::move(flow.error()).within("--flow"));
    flows.push_back(std::move(*flow));
  }
  if (flows.empty()) flows.push_back(MUST(lab::parse_flow("newreno")));  // A name that exists.
  return lab::pace_lab(std::move(*link), std::move(flows));
}

Result<lab::LabSpec> spec_of_file(const Options& o) {
  if (!o.flows.empty()) {
    return fail("--flow and a lab file do not go together; edit {} instead", o.lab_file);
  }
  return lab::parse_lab(TRY(host::read_file(o.lab_file)), o.lab_file);
}

Result<lab::LabSpec> make_spec(const Options& o) {
  lab::LabSpec spec = TRY(o.lab_file.empty() ? spec_of_flags(o) : spec_of_file(o));
  if (!o.duration.empty()) spec.duration = TRY(parse_duration(o.duration));
  if (!o.warmup.empty()) spec.warmup = TRY(parse_duration(o.warmup));
  if (o.seed) spec.seed = *o.seed;
  spec.sysctls.insert(spec.sysctls.end(), o.sysctls.begin(), o.sysctls.end());
  if (o.real) spec.hosts.back().kind = lab::HostKind::Kernel;
  TRY_VOID(lab::check_lab(spec));
  return spec;
}

// Runs one lab to its end, or to the first interrupt.
Result<lab::Report> run_lab(const lab::LabSpec& spec, const Options& o, size_t trace_from = 1) {
  auto experiment = TRY(
      lab::Experiment::make(spec, {.pcap = o.pcap, .trace = o.trace, .trace_from = trace_from}));
  host::InterruptGuard interrupt([&] { experiment->stop(); });
  host::ProgressLine progress(o.quiet);
  experiment->run([&](Duration done) {
    const auto rounded = std::chrono::floor<std::chrono::milliseconds>(done);
    progress.show(fmt::format("{} of {}", to_string(rounded), to_string(spec.duration)),
                  to_seconds(done) / to_seconds(spec.duration));
  });
  progress.clear();
  lab::Report report = experiment->report();
  TRY_VOID(experiment->finish());
  return report;
}

// Each flow by itself on the same path; their reports in one.
Result<lab::Report> run_alone(const lab::LabSpec& spec, const Options& o) {
  if (!o.pcap.empty() && spec.flows.size() > 1) {
    return fail("--alone makes {} runs and --pcap names one file; capture them one by one",
                spec.flows.size());
  }
  std::optional<lab::Report> all;
  size_t flows = 0;
  for (const lab::FlowSpec& flow : spec.flows) {
    lab::LabSpec alone = spec;
    alone.flows = {flow};
    lab::Report report = TRY(run_lab(alone, o, flows + 1));
    flows += report.flows.size();
    for (lab::LinkReport& link : report.links) {
      link.name += fmt::format(" ({})", report.flows.front().name);
    }
    if (!all) {
      all = std::move(report);
      all->lab = lab::print_lab(spec);
    } else {
      std::move(report.flows.begin(), report.flows.end(), std::back_inserter(all->flows));
      std::move(report.links.begin(), report.links.end(), std::back_inserter(all->links));
      all->interrupted |= report.interrupted;
    }
    if (all->interrupted) break;
  }
  return *all;
}

Result<void> run(const Options& o) {
  const lab::LabSpec spec = TRY(make_spec(o));
  if (o.print_lab) {
    fmt::print("{}", lab::print_lab(spec));
    return {};
  }
  // Opened before the run, so that a bad path is known at once and not after it.
  std::optional<host::OutputFile> json;
  if (!o.json.empty()) json.emplace(TRY(host::OutputFile::create(o.json)));
  const auto report = o.alone ? run_alone(spec, o) : run_lab(spec, o);
  if (!report) return tl::unexpected(report.error());
  if (!o.quiet && o.json != "-") fmt::print("{}", lab::to_table(*report));
  if (json) TRY_VOID(json->finish(lab::to_json(*report)));
  return {};
}

}  // namespace

int pace_main(int argc, char** argv) {
  CLI::App app(kDescription, "wh pace");
  Options options;
  declare(app, options);
  if (const auto status = parse(app, argc, argv)) return *status;
  if (auto done = run(options); !done) {
    fmt::print(stderr, "wh pace: {}\n", done.error().text);
    return kUsage;
  }
  return kYes;
}

}  // namespace wh::apps
