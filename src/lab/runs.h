// The runs behind one question: a lab run once; or each of its flows by itself; or all of that
// several times with other seeds. They go on several threads, and come back as one report.
#pragma once

#include <atomic>
#include <functional>

#include "lab/experiment.h"
#include "lab/report.h"

namespace wh::lab {

struct RunPlan {
  LabSpec spec;
  // Give each flow the path for itself: one run for each that is no background; flows of the
  // background are in every run.
  bool alone = false;
  uint32_t repeat = 1;          // Seeds spec.seed, spec.seed + 1 ....
  unsigned jobs = 1;            // Runs at a time. In real time there is one.
  Experiment::Options options;  // Of the first repetition: samples, captures and traces are its.
};

constexpr uint32_t kMaxRepeat = 10'000;
// How far apart the beginnings of flows may move in a repetition when the lab does not say.
constexpr Duration kRepeatJitter = 100ms;

struct RunResult {
  Report report;    // Of the first repetition, with the spread of those that were done.
  std::string csv;  // A row for each flow of those that were done; of the first, where none was.
  Result<void> captures = {};  // Whether they could be written whole.
};

// `progress` is told the share that is done, on the calling thread. When `stop` turns true, the
// runs end and the report says so; a spread it has when two repetitions were done by then. Errors:
// as Experiment::make; a capture of more than one run.
Result<RunResult> run_plan(const RunPlan& plan, const std::function<void(double)>& progress,
                           const std::atomic<bool>& stop);

}  // namespace wh::lab
