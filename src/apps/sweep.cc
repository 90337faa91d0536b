// wh sweep: one experiment for every combination of parameters, as many at a time as there are
// cores or ranks, resumable at any point.
#include "apps/sweep.h"

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "apps/commands.h"
#include "apps/output_files.h"
#include "apps/parse.h"
#include "host/interrupt.h"
#include "host/output_file.h"
#include "host/system.h"
#include "host/terminal.h"
#include "lab/page.h"
#include "lab/parallel.h"
#include "lab/sweep.h"
#include "lab/sweep_store.h"

namespace wh::apps {
namespace {

constexpr const char* kSweepFooter =
    "A sweep's file is a lab file (see `wh pace --print-lab`) with a table [sweep]:\n"
    "  duration = \"20s\"\n"
    "  [sweep]\n"
    "  rate = [\"10Mbps\", \"40Mbps\", \"100Mbps\"]\n"
    "  fcc = [\"1Mbps\", \"5Mbps\", \"30Mbps\"]\n"
    "  repeat = 3\n"
    "  [[link]]\n"
    "  from = \"sender\"\n"
    "  to = \"receiver\"\n"
    "  rate = \"${rate}\"\n"
    "  delay = \"10ms\"\n"
    "  buffer = \"300ms\"\n"
    "  [[flow]]\n"
    "  preset = \"dgp,fcc=${fcc}\"\n"
    "\nExamples:\n"
    "  wh sweep fcc.toml --report fcc.html\n"
    "  wh sweep fcc.toml                  # after an interruption: goes on with what is missing\n"
    "  mpirun -n 8 wh sweep fcc.toml      # the same on 8 ranks, on one machine or many\n"
    "\nResults are kept in FILE.db (SQLite: tables points, flows, links), whole after any "
    "interruption.";

struct SweepOptions {
  std::string file, db, csv, json, report;
  unsigned jobs = lab::default_jobs();
  bool quiet = false, dry = false;
};

void declare(CLI::App& app, SweepOptions& o) {
  app.footer(kSweepFooter);
  app.add_option("file", o.file, "The sweep's file")->required();
  app.add_option("--db", o.db, "Where results are kept [FILE with .db instead of .toml]");
  app.add_option("--jobs", o.jobs, "Points at a time [as many as there are cores]")
      ->transform(whole_number(1, 1024));
  app.add_option("--csv", o.csv, "Write a row for each point and flow (- for standard output)");
  app.add_option("--json", o.json, "Write the same as a document (- for standard output)");
  app.add_option("--report", o.report, "Write a page with a heat map to this file");
  app.add_flag("--dry-run", o.dry, "Check the file, say how many points it has, and stop");
  app.add_flag("-q,--quiet", o.quiet, "No progress line, no table");
}

struct Files {
  std::optional<host::OutputFile> csv, json, report;
};

Result<Files> open_files(const SweepOptions& o) {
  Files files;
  if (!o.csv.empty()) files.csv.emplace(TRY(host::OutputFile::create(o.csv)));
  if (!o.json.empty()) files.json.emplace(TRY(host::OutputFile::create(o.json)));
  if (!o.report.empty()) files.report.emplace(TRY(host::OutputFile::create(o.report)));
  return files;
}

// Each is written whatever became of the others.
Result<void> write_files(const SweepOptions& o, Files& files, lab::SweepStore& store) {
  Failures failures;
  if (files.csv) failures.note(files.csv->finish(TRY(store.csv())));
  if (!files.json && !files.report) return failures.all();
  const std::string json = TRY(store.json());
  if (files.json) failures.note(files.json->finish(json));
  if (files.report) {
    const std::string name = std::filesystem::path(o.file).filename();
    const std::string plain = TRY(store.table(1000));
    failures.note(
        files.report->finish(lab::to_sweep_page(fmt::format("wh sweep: {}", name), json, plain)));
  }
  return failures.all();
}

// Runs what is not in the store yet. True when all of it is there now.
Result<bool> run_missing(const lab::Sweep& sweep, lab::SweepStore& store, SweepTeam& team,
                         const SweepOptions& o) {
  std::vector<size_t> missing;
  for (size_t i = 0; i < sweep.points(); ++i) {
    if (!store.finished().contains(i)) missing.push_back(i);
  }
  const size_t before = store.finished().size();
  if (!o.quiet && before > 0 && !missing.empty()) {
    fmt::print(stderr, "{} of {} points are there already\n", before, sweep.points());
  }
  std::atomic<bool> stop{false};
  host::InterruptGuard interrupt([&] { stop = true; });
  host::ProgressLine progress(o.quiet);
  const auto all = static_cast<double>(sweep.points());
  TRY(team.run(
      missing, [&](size_t point) { return sweep.run(point, stop); },
      [&](size_t point, const std::string& result) { return store.add(point, result); },
      [&] {
        const auto done = static_cast<double>(store.finished().size());
        progress.show([&] { return fmt::format("{:.0f} of {:.0f} points", done, all); },
                      done / all);
      },
      stop));
  return store.finished().size() == sweep.points();
}

Result<int> run(const SweepOptions& o, SweepTeam& team) {
  std::string text;
  auto read = host::read_file(o.file);
  if (read) text = *read;
  const bool only_helps = team.share(text);  // Also when it could not be read: others wait.
  if (!only_helps && !read) return tl::unexpected(read.error());
  auto sweep = lab::Sweep::parse(text, o.file);
  if (only_helps) {
    // Without a sweep there is nothing to do but to wait for the end: who leads says what is wrong.
    const std::atomic<bool> never{false};
    team.serve([&](size_t point) { return sweep->run(point, never); });
    return kYes;
  }
  if (!sweep) return tl::unexpected(sweep.error());
  if (o.dry) {
    fmt::print("{}: {} points: {} combinations, {} times each\n", o.file, sweep->points(),
               sweep->combinations(), sweep->repeat());
    return kYes;
  }
  const std::string db =
      o.db.empty() ? std::filesystem::path(o.file).replace_extension(".db").string() : o.db;
  TRY(check_distinct({{"the sweep's file", o.file},
                      {"--db", db},
                      {"--csv", o.csv},
                      {"--json", o.json},
                      {"--report", o.report}}));
  Files files = TRY(open_files(o));
  lab::SweepStore store = TRY(lab::SweepStore::open(db, *sweep));
  const bool is_whole = TRY(run_missing(*sweep, store, team, o));
  if (!o.quiet && o.csv != "-" && o.json != "-") {
    fmt::print("{}", TRY(store.table(40)));
    fmt::print("{} of {} points, in {}\n", store.finished().size(), sweep->points(), db);
  }
  TRY(write_files(o, files, store));
  if (!is_whole) fmt::print(stderr, "wh sweep: interrupted; the same command goes on\n");
  return is_whole ? kYes : kNo;
}

// Started by mpirun: the program that speaks MPI stands beside this one, if it was built.
bool is_rank_of_mpi() {
  return std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr || std::getenv("PMI_SIZE") != nullptr;
}

int become_mpi(int argc, char** argv) {
  std::error_code ignored;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", ignored);
  const std::string program = self.parent_path() / "wh-sweep-mpi";
  const Error failed = host::become(program, {argv, static_cast<size_t>(argc)});
  fmt::print(stderr,
             "wh sweep: started by mpirun: {}; accepted: a build on a machine with libopenmpi-dev, "
             "or without mpirun\n",
             failed.text);
  return kUsage;
}

}  // namespace

int sweep_with(SweepTeam* team, int argc, char** argv) {
  CLI::App app(
      "Runs one experiment for every combination of parameters, as many at a time as there "
      "are cores.",
      "wh sweep");
  SweepOptions options;
  declare(app, options);
  refuse_empty(app);
  if (const auto status = parse(app, argc, argv)) return *status;
  ThreadTeam threads(options.jobs);
  const auto done = run(options, team != nullptr ? *team : threads);
  if (!done) {
    fmt::print(stderr, "wh sweep: {}\n", done.error().text);
    return kUsage;
  }
  return *done;
}

int sweep_main(int argc, char** argv) {
  return is_rank_of_mpi() ? become_mpi(argc, argv) : sweep_with(nullptr, argc, argv);
}

}  // namespace wh::apps
