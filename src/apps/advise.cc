// wh advise: which FCC a path should have, and why.
#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdio>

#include "apps/commands.h"
#include "apps/output_files.h"
#include "apps/parse.h"
#include "host/interrupt.h"
#include "host/output_file.h"
#include "host/system.h"
#include "host/terminal.h"
#include "lab/advise.h"
#include "lab/parallel.h"
#include "net/link/link_config.h"

namespace wh::apps {
namespace {

constexpr const char* kAdviseFooter =
    "Examples:\n"
    "  wh advise --up 40Mbps --down 400Mbps --rtt 20ms --buffer 300ms\n"
    "  wh advise --up 1Gbps --down 1Gbps --rtt 10ms --no-trials\n"
    "  wh advise out.json                 a run of `wh pace --json`\n"
    "  wh advise server.pcap --connections 12\n"
    "\nThe rule: FCC = min(30Mbps, up / (max(connections, 7) + 1)), so that the connections "
    "expected "
    "fit\n"
    "with room for one; at least 64kbps, the slowest pace. Rates count Ethernet frames. The trials "
    "behind it run in virtual time; `<--` is what is recommended.";

// What is accepted of a path, whoever says it.
constexpr Rate kLeastUp = 100_kbps, kMostUp = 100_Gbps;
constexpr Duration kLeastTime = 1us, kLongestRtt = 10s, kLongestBuffer = 60s;
constexpr uint32_t kMostConnections = 1000;

struct AdviseOptions {
  std::string from, up, down, rtt, buffer, duration, json;
  std::optional<uint32_t> connections;
  uint32_t repeat = 3;
  unsigned jobs = lab::default_jobs();
  bool no_trials = false, quiet = false;
};

void declare(CLI::App& app, AdviseOptions& o) {
  app.footer(kAdviseFooter);
  app.add_option("from", o.from, "A capture, or the JSON of a run, that shows the path");
  app.add_option("--up", o.up, "What the path carries in the direction of the data");
  app.add_option("--down", o.down, "What it carries the other way [as up]");
  app.add_option("--rtt", o.rtt, "Round trip of the empty path [20ms]");
  app.add_option("--buffer", o.buffer, "How long its full buffer makes packets wait [300ms]");
  app.add_option("--connections", o.connections, "Connections expected at a time [7]")
      ->transform(whole_number(1, kMostConnections));
  app.add_option("--duration", o.duration,
                 "Of each trial; thrice that with other numbers of connections [60s; 45s above "
                 "100Mbps, 30s above 300Mbps]");
  app.add_option("--repeat", o.repeat, "Trials of each kind, for the error bars")
      ->transform(whole_number(1, 100))
      ->capture_default_str();
  app.add_option("--jobs", o.jobs, "Trials at a time [as many as there are cores]")
      ->transform(whole_number(1, 1024));
  app.add_flag("--no-trials", o.no_trials, "Say the rule's answer only");
  app.add_option("--json", o.json, "Write it to this file (- for standard output)");
  app.add_flag("-q,--quiet", o.quiet, "No progress line, no text");
}

template <class T>
Result<void> read(T& to, std::string_view option, const std::string& text,
                  Result<T> (*parse_text)(std::string_view), T least, T most) {
  if (text.empty()) return {};
  const T value = TRY(named(option, parse_text(text)));
  if (value < least || value > most) {
    return fail("{} {}: out of range; accepted: {} to {}", option, text, to_string(least),
                to_string(most));
  }
  to = value;
  return {};
}

// What a file says is accepted as what an option says. `option` stands for it where it is not.
template <class T>
Result<void> check(const T& value, const std::string& what, std::string_view option, T least,
                   T most) {
  if (value >= least && value <= most) return {};
  using std::to_string;
  using wh::to_string;
  return fail("{} is {}: out of range; accepted: {} to {}, or {} beside it", what, to_string(value),
              to_string(least), to_string(most), option);
}

// Names a fact as its file does.
Result<void> check_facts(const lab::PathFacts& facts, const std::string& file, bool is_run) {
  const auto name = [&](const char* in_run, const char* in_capture) {
    return fmt::format("{}: {}", file, is_run ? in_run : in_capture);
  };
  TRY(check(facts.up, name("rate_bps", "the rate"), "--up", kLeastUp, kMostUp));
  TRY(check(facts.rtt, name("rtt_ms.min", "the round trip"), "--rtt", kLeastTime, kLongestRtt));
  TRY(check(facts.buffer, name("the link's buffer", "the buffer"), "--buffer", kLeastTime,
            kLongestBuffer));
  return check(facts.connections, name("flows", "the number of connections"), "--connections", 1u,
               kMostConnections);
}

Result<lab::PathFacts> facts_of(const AdviseOptions& o) {
  lab::PathFacts facts;
  bool is_run = false;
  if (!o.from.empty()) {
    const std::string text = TRY(host::read_file(o.from));
    const size_t first = text.find_first_not_of(" \t\r\n");
    is_run = first != text.npos && text[first] == '{';
    const bool knows_queue = !o.rtt.empty() && !o.buffer.empty();
    facts =
        TRY(is_run ? lab::facts_of_run(text, o.from) : lab::facts_of_capture(o.from, knows_queue));
    facts.buffer = std::max(facts.buffer, kLeastTime);  // Of a queue that never was.
  } else if (o.up.empty()) {
    return fail("which path? accepted: --up RATE, or a capture, or the JSON of a run");
  }
  TRY(read(facts.up, "--up", o.up, parse_rate, kLeastUp, kMostUp));
  const Rate fastest = o.down == "infinite" ? Rate::infinite() : net::kFastestLink;
  TRY(read(facts.down, "--down", o.down, parse_rate, 10_kbps, fastest));
  TRY(read(facts.rtt, "--rtt", o.rtt, parse_duration, kLeastTime, kLongestRtt));
  TRY(read(facts.buffer, "--buffer", o.buffer, parse_duration, kLeastTime, kLongestBuffer));
  if (o.connections) facts.connections = *o.connections;
  TRY(check_facts(facts, o.from, is_run));
  return facts;
}

Result<void> run(const AdviseOptions& o) {
  TRY(check_distinct({{"what the path is read from", o.from}, {"--json", o.json}}));
  const lab::PathFacts path = TRY(facts_of(o));
  lab::TrialPlan plan{
      .path = path, .duration = lab::usual_duration(path.up), .repeat = o.repeat, .jobs = o.jobs};
  TRY(read(plan.duration, "--duration", o.duration, parse_duration, Duration(1s),
           Duration(std::chrono::hours(1))));
  if (!path.remark.empty()) fmt::print(stderr, "wh advise: {}: {}\n", o.from, path.remark);
  const lab::Advice advice = lab::advise(path);
  std::optional<host::OutputFile> json;
  if (!o.json.empty()) json.emplace(TRY(host::OutputFile::create(o.json)));
  const bool says = !o.quiet && o.json != "-";
  if (says) {
    fmt::print("A path of {} with a round trip of {} and a buffer of {}, {} connection{}.\n\n{}",
               lab::three_digits(path.up),
               to_string(std::chrono::round<std::chrono::microseconds>(path.rtt)),
               to_string(std::chrono::round<std::chrono::microseconds>(path.buffer)),
               path.connections, path.connections == 1 ? "" : "s", lab::explain(path, advice));
    std::fflush(stdout);
  }
  lab::Trials trials;
  if (!o.no_trials) {
    std::atomic<bool> stop{false};
    host::InterruptGuard interrupt([&] { stop = true; });
    host::ProgressLine progress(o.quiet);
    trials = TRY(lab::try_out(
        plan, advice,
        [&](double share) {
          progress.show([&] { return fmt::format("trials: {:.0f} %", 100 * share); }, share);
        },
        stop));
    progress.clear();
    if (says) fmt::print("\n{}", lab::to_table(trials));
  }
  if (json) TRY(json->finish(lab::to_json(path, advice, trials)));
  return {};
}

}  // namespace

int advise_main(int argc, char** argv) {
  CLI::App app(
      "Recommends the fulcrum rate (FCC) of Dynamic Goodput Pacing for a path, and says why.",
      "wh advise");
  AdviseOptions options;
  declare(app, options);
  refuse_empty(app);
  if (const auto status = parse(app, argc, argv)) return *status;
  if (auto done = run(options); !done) {
    fmt::print(stderr, "wh advise: {}\n", done.error().text);
    return kUsage;
  }
  return kYes;
}

}  // namespace wh::apps
