// One case from its requirements to the removal of its folder, in a process of its own.
//
// A copy of the runner (worker.h) does the steps of a case, or a listing, one after the other and
// in plain sight:
//
//   requirements -> environment init -> body -> verdict -> cleanup routine -> environment cleanup
//
// It is a subreaper, so whatever the case starts and leaves, even a process with a session of its
// own, comes back to it and is killed at the end. It watches a *lifeline*, a pipe that only the
// runner can write: when the runner is interrupted, or dies by whatever signal, the body is killed,
// the cleanup routine runs, and nothing stays behind.
//
// The outcome goes to the runner as one text. Output goes to two files that the
// runner has open; it reads them when the case is over.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "host/real_loop.h"
#include "kyua/calendar.h"
#include "kyua/config.h"
#include "kyua/model.h"
#include "kyua/protocol/protocol.h"
#include "kyua/work_folder.h"

namespace wh::kyua {

struct CaseJob {
  const TestProgram* program = nullptr;
  const TestCase* test_case = nullptr;  // Nullptr: list the program's cases.
  const Config* config = nullptr;
  const Calendar* calendar = nullptr;
  std::string temporary = "/tmp";  // Whose free space counts.
  int out = -1, err = -1;          // Files, open for appending.
  Bytes output_limit = 64_MiB;     // Of either file; beyond it the case is killed and broken.
  uint32_t process_limit = 2000;  // At a time: more than any test needs, far less than a fork bomb.
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

// What a worker has for all its cases.
struct WorkPlace {
  host::RealLoop& loop;
  WorkFolder& folder;
  int lifeline;  // The reading end; -1: none.
};

// Does the job in this process, which must be a subreaper without children.
CaseOutcome run_case(const CaseJob& job, WorkPlace place);

// An outcome as text, and back. Errors: not such a text (the process died on the way).
std::string encode(const CaseOutcome& outcome);
Result<CaseOutcome> decode(std::string_view text);

}  // namespace wh::kyua
