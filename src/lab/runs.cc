#include "lab/runs.h"

#include <algorithm>
#include <optional>

#include "lab/parallel.h"

namespace wh::lab {
namespace {

struct OneRun {
  LabSpec spec;
  Experiment::Options options;
  std::string suffix;  // Behind the names of links, hosts and the background: whose run it is.
  std::optional<Result<Report>> report;
  Result<void> captures = {};
  std::atomic<double> share{0};
};

using Runs = std::vector<std::unique_ptr<OneRun>>;

Result<Report> run_one(OneRun& run, const std::function<void()>& tell) {
  auto experiment = TRY(Experiment::make(run.spec, run.options));
  experiment->run([&](Duration done) {
    run.share = to_seconds(done) / to_seconds(run.spec.duration);
    tell();
  });
  run.share = 1;
  Report report = experiment->report();
  run.captures = experiment->finish();
  if (run.suffix.empty()) return report;
  // Only now: chance is drawn by name, and the background shall be the same in every run.
  for (size_t i = 0; i < report.flows.size(); ++i) {
    if (!report.flows[i].background) continue;
    report.flows[i].name += run.suffix;
    if (i < report.series.flows.size()) report.series.flows[i].name += run.suffix;
  }
  for (LinkReport& link : report.links) link.name += run.suffix;
  for (HostReport& host : report.hosts) host.name += run.suffix;
  for (Track& link : report.series.links) link.name += run.suffix;
  return report;
}

struct Part {
  LabSpec lab;
  std::string suffix;  // Of a flow that has the path for itself: " (cubic)".
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

Runs make_runs(const RunPlan& plan, const std::atomic<bool>& stop) {
  Runs runs;
  for (uint32_t i = 0; i < plan.repeat; ++i) {
    size_t flows = 0;  // In the runs before this one, as the report counts them.
    for (Part& part : parts_of(plan)) {
      auto run = std::make_unique<OneRun>();
      run->spec = std::move(part.lab);
      run->suffix = std::move(part.suffix);
      run->spec.seed = plan.spec.seed + i;
      if (plan.repeat > 1 && run->spec.start_jitter == 0s) {
        run->spec.start_jitter = std::min<Duration>(kRepeatJitter, run->spec.duration / 10);
      }
      if (i == 0) run->options = plan.options;
      run->options.stop = &stop;
      run->options.trace_from = plan.options.trace_from + flows;
      flows += run->spec.connections();
      runs.push_back(std::move(run));
    }
  }
  return runs;
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

}  // namespace

Result<RunResult> run_plan(const RunPlan& plan, const std::function<void(double)>& progress,
                           const std::atomic<bool>& stop) {
  Runs runs = make_runs(plan, stop);
  if (runs.empty()) return fail("every flow is background; one at least must not be");
  const size_t each = runs.size() / plan.repeat;
  if (!plan.options.captures.empty() && each > 1) {
    return fail("--alone makes {} runs and a capture is of one; capture them one by one", each);
  }
  auto tell = [&] {
    double sum = 0;
    for (const auto& run : runs) sum += run->share;
    progress(sum / static_cast<double>(runs.size()));
  };
  const unsigned jobs = plan.spec.is_real() ? 1 : plan.jobs;
  // With one job the runs are on this thread, and tell it themselves.
  const bool is_here = std::min<size_t>(jobs, runs.size()) <= 1;
  const std::function<void()> tell_here = is_here ? std::function<void()>(tell) : [] {};
  run_parallel(
      runs.size(), jobs,
      [&](size_t i) {
        if (stop && i > 0) return;  // The first one makes a report whatever happens.
        runs[i]->report = run_one(*runs[i], tell_here);
      },
      tell);

  RunResult result;
  std::vector<Report> repetitions;
  for (size_t r = 0; r < runs.size(); r += each) {
    std::vector<Report> parts;
    for (size_t i = r; i < r + each; ++i) {
      if (!runs[i]->report) break;  // Never begun.
      if (!*runs[i]->report) return tl::unexpected(runs[i]->report->error());
      if (!runs[i]->captures && result.captures) result.captures = runs[i]->captures;
      parts.push_back(std::move(**runs[i]->report));
    }
    if (parts.empty() || (r > 0 && parts.size() < each)) break;
    const bool is_whole = parts.size() == each;
    repetitions.push_back(merge(std::move(parts), plan.spec));
    repetitions.back().interrupted |= !is_whole;
  }
  result.report = repetitions.front();
  // One that was cut short says nothing of the others.
  std::erase_if(repetitions, [](const Report& r) { return r.interrupted; });
  if (repetitions.size() > 1) result.report.spread = spread_of(repetitions);
  result.report.interrupted |= stop;
  if (repetitions.empty()) repetitions.push_back(result.report);
  result.repetitions = std::move(repetitions);
  return result;
}

}  // namespace wh::lab
