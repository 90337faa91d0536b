// One case from its requirements to the removal of its folder, in a process of its own.
//
// The runner forks a copy of itself for every case (or listing). The copy does the case's steps one
// after the other and in plain sight:
//
//   requirements -> environment init -> body -> verdict -> cleanup routine -> environment cleanup
//
// It is a subreaper, so whatever the case starts and leaves, even a process with a session of its
// own, comes back to it and is killed at the end. It watches a *lifeline*, a pipe that only the
// runner can write: when the runner is interrupted, or dies by whatever signal, the body is killed,
// the cleanup routine runs, and nothing stays behind.
//
// The outcome goes to the runner as one text through a pipe. Output goes to two files that the
// runner has open; it reads them when the case is over.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "kyua/calendar.h"
#include "kyua/config.h"
#include "kyua/model.h"
#include "kyua/protocol/protocol.h"

namespace wh::kyua {

struct CaseJob {
  const TestProgram* program = nullptr;
  const TestCase* test_case = nullptr;  // Nullptr: list the program's cases.
  const Config* config = nullptr;
  const Calendar* calendar = nullptr;
  std::string temporary = "/tmp";  // Where work folders go.
  int out = -1, err = -1;          // Files, open for appending.
  Bytes output_limit = 64_MiB;     // Of either file; beyond it the case is killed and broken.
  bool pause_before_cleanup = false, pause_only_if_bad = true;  // Of `kyua debug`.
  bool is_live = false;  // Output goes to a terminal: there is no file to measure or read.
};

struct CaseOutcome {
  TestResult result;    // Of a case; of a listing, passed.
  Ended ended;          // Of a listing.
  WallTime start, end;  // Of the body.
  Usage usage;
  bool was_interrupted = false;
};

// Does the job in this process. `lifeline` is the reading end; -1: none.
CaseOutcome run_case(const CaseJob& job, int lifeline);

// An outcome as text, and back. Errors: not such a text (the process died on the way).
std::string encode(const CaseOutcome& outcome);
Result<CaseOutcome> decode(std::string_view text);

}  // namespace wh::kyua
