#include "lab/runs.h"

#include <algorithm>
#include <limits>
#include <mutex>
#include <optional>

#include "lab/parallel.h"

namespace wh::lab {
namespace {

// A run's lab, and where it stands among the runs.
struct OneRun {
  LabSpec spec;
  Experiment::Options options;
  const std::string& suffix;
};

struct Ran {
  Report report;
  Result<void> captures = {};
};

// `progress` is told the share that is done.
Result<Ran> run_one(const OneRun& run, const std::function<void(double)>& progress) {
  auto experiment = TRY(Experiment::make(run.spec, run.options));
  experiment->run(
      [&](Duration done) { progress(to_seconds(done) / to_seconds(run.spec.duration)); });
  Ran ran{.report = experiment->report()};
  ran.captures = experiment->finish();
  if (run.suffix.empty()) return ran;
  // Only now: chance is drawn by name, and the background shall be the same in every run.
  Report& report = ran.report;
  for (size_t i = 0; i < report.flows.size(); ++i) {
    if (!report.flows[i].background) continue;
    report.flows[i].name += run.suffix;
    if (i < report.series.flows.size()) report.series.flows[i].name += run.suffix;
  }
  for (LinkReport& link : report.links) link.name += run.suffix;
  for (HostReport& host : report.hosts) host.name += run.suffix;
  for (Track& link : report.series.links) link.name += run.suffix;
  return ran;
}

struct Part {
  LabSpec lab;
  // Behind the names of links, hosts and the background: whose run it is. Of a flow that has the
  // path for itself: " (cubic)".
  std::string suffix;
};

// The labs of one repetition: one, or one for each flow. Flows keep the names that they have
// together; what is in every run, the background and the links, is told apart by the suffix.
std::vector<Part> parts_of(const RunPlan& plan) {
  if (!plan.alone) return {{plan.spec, ""}};
  const std::vector<std::string> names = flow_names(plan.spec.flows);
  std::vector<Part> parts;
  std::vector<std::string> background;
  size_t at = 0;
  for (const FlowSpec& flow : plan.spec.flows) {
    const std::vector<std::string> own(names.begin() + static_cast<ptrdiff_t>(at),
                                       names.begin() + static_cast<ptrdiff_t>(at + flow.count));
    at += flow.count;
    if (flow.background) {
      background.insert(background.end(), own.begin(), own.end());
      continue;
    }
    Part part{plan.spec, own.size() == 1 ? fmt::format(" ({})", own.front())
                                         : fmt::format(" ({} to {})", own.front(), own.back())};
    std::erase_if(part.lab.flows, [](const FlowSpec& f) { return !f.background; });
    part.lab.flows.insert(part.lab.flows.begin(), flow);
    part.lab.names = own;
    parts.push_back(std::move(part));
  }
  for (Part& part : parts) {
    part.lab.names.insert(part.lab.names.end(), background.begin(), background.end());
  }
  return parts;
}

// The run of a part in a repetition. Runs are numbered: all parts of the first repetition, then
// those of the next.
OneRun make_run(const RunPlan& plan, const std::vector<Part>& parts, size_t number,
                const std::atomic<bool>& stop) {
  const size_t repetition = number / parts.size(), at = number % parts.size();
  OneRun run{.spec = parts[at].lab, .options = {}, .suffix = parts[at].suffix};
  run.spec.seed = plan.spec.seed + repetition;
  if (plan.repeat > 1 && run.spec.start_jitter == 0s) {
    run.spec.start_jitter = std::min<Duration>(kRepeatJitter, run.spec.duration / 10);
  }
  if (repetition == 0) {
    run.options = plan.options;
    // As the report counts the flows of the runs before this one.
    for (size_t i = 0; i < at; ++i) run.options.trace_from += parts[i].lab.connections();
  }
  run.options.stop = &stop;
  return run;
}

// Several reports of flows that had the path for themselves, side by side.
Report merge(std::vector<Report> parts, const LabSpec& spec) {
  Report all = std::move(parts.front());
  for (size_t i = 1; i < parts.size(); ++i) {
    Report& part = parts[i];
    std::move(part.flows.begin(), part.flows.end(), std::back_inserter(all.flows));
    std::move(part.links.begin(), part.links.end(), std::back_inserter(all.links));
    std::move(part.hosts.begin(), part.hosts.end(), std::back_inserter(all.hosts));
    all.series.append(std::move(part.series));
    all.interrupted |= part.interrupted;
    all.duration = std::max(all.duration, part.duration);
  }
  if (parts.size() > 1) {
    all.lab = print_lab(spec);
    all.alone = true;
  }
  return all;
}

// What is kept of the runs as they end, in any order and on any thread: of each repetition its
// figures and its rows, and of the first one all.
class Repetitions {
 public:
  Repetitions(const RunPlan& plan, size_t parts) : plan_(plan), parts_(parts), all_(plan.repeat) {}

  void take(size_t number, Result<Ran> ran) {
    const std::lock_guard guard(mutex_);
    if (!ran) {
      if (number >= failed_) return;
      failed_ = number;
      error_ = std::move(ran.error());
      return;
    }
    if (!ran->captures && captures_) captures_ = std::move(ran->captures);
    One& one = all_[number / parts_];
    one.parts.resize(parts_);
    one.parts[number % parts_] = std::move(ran->report);
    if (++one.taken == parts_) condense(one);
  }

  Result<RunResult> result(bool was_stopped) && {
    if (error_) return tl::unexpected(*std::move(error_));
    if (all_[0].taken < parts_) condense(all_[0]);  // As far as it came.
    std::vector<RunFigures> figures;
    std::string rows;
    for (One& one : all_) {
      if (one.taken < parts_ && &one != &all_[0]) break;
      if (one.is_interrupted) continue;  // One that was cut short says nothing of the others.
      figures.push_back(std::move(one.figures));
      rows += one.rows;
    }
    RunResult result{.report = std::move(first_), .csv = csv_head(), .captures = {}};
    result.csv += figures.empty() ? all_[0].rows : rows;
    if (figures.size() > 1) result.report.spread = spread_of(result.report, figures);
    result.report.interrupted |= was_stopped;
    result.captures = std::move(captures_);
    return result;
  }

 private:
  struct One {
    std::vector<std::optional<Report>> parts;  // Until all are there.
    size_t taken = 0;
    bool is_interrupted = false;
    RunFigures figures;
    std::string rows;
  };

  void condense(One& one) {
    std::vector<Report> parts;
    for (auto& part : one.parts) {
      if (!part) break;
      parts.push_back(*std::move(part));
    }
    CHECK(!parts.empty());  // The first run makes a report whatever happens.
    one.parts = {};
    Report report = merge(std::move(parts), plan_.spec);
    report.interrupted |= one.taken < parts_;
    one.is_interrupted = report.interrupted;
    one.figures = run_figures(report);
    one.rows = csv_rows(report);
    if (&one == &all_[0]) first_ = std::move(report);
  }

  const RunPlan& plan_;
  const size_t parts_;
  std::mutex mutex_;  // Of what follows.
  std::vector<One> all_;
  Report first_;
  size_t failed_ = std::numeric_limits<size_t>::max();  // The first run that could not be made.
  std::optional<Error> error_;                          // Why.
  Result<void> captures_ = {};
};

}  // namespace

Result<RunResult> run_plan(const RunPlan& plan, const std::function<void(double)>& progress,
                           const std::atomic<bool>& stop) {
  const std::vector<Part> parts = parts_of(plan);
  if (parts.empty()) return fail("every flow is background; one at least must not be");
  if (!plan.options.captures.empty() && parts.size() > 1) {
    return fail("--alone makes {} runs and a capture is of one; capture them one by one",
                parts.size());
  }
  std::vector<std::atomic<double>> shares(parts.size() * plan.repeat);
  const auto total = static_cast<double>(shares.size());
  auto tell = [&] {
    double sum = 0;
    for (const auto& share : shares) sum += share;
    progress(sum / total);
  };
  const unsigned jobs = plan.spec.is_real() ? 1 : plan.jobs;
  // With one job the runs are on this thread, and tell it themselves.
  const bool is_here = std::min<size_t>(jobs, shares.size()) <= 1;
  Repetitions repetitions(plan, parts.size());
  run_parallel(
      shares.size(), jobs,
      [&](size_t i) {
        if (stop && i > 0) return;  // The first one makes a report whatever happens.
        repetitions.take(i, run_one(make_run(plan, parts, i, stop), [&](double share) {
                           shares[i] = share;
                           if (is_here) progress((static_cast<double>(i) + share) / total);
                         }));
        shares[i] = 1;
      },
      tell);
  return std::move(repetitions).result(stop);
}

}  // namespace wh::lab
