// Runs the cases of a suite: as many at a time as there are slots, then the exclusive ones one by
// one.
//
// A slot is one process (worker.h) and two files for its output. The engine orders a case, waits
// for its outcome on the loop, reads the files, tells the observer, and refills the slot. It keeps
// nothing of a case that is over, so memory does not grow with the suite.
//
//   Engine engine(*loop, config, calendar, scanner, observer, options);
//   TRY(engine.run());
//
// stop() (a signal came) breaks the lifeline: running bodies are killed, their cleanup routines
// run, and run() returns when the last process is gone. When this process dies instead, the same
// happens without it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "host/fd.h"
#include "host/real_loop.h"
#include "kyua/case_process.h"
#include "kyua/scanner.h"
#include "kyua/worker.h"

namespace wh::kyua {

// A case that is over, as the observer gets it. Views are good during the call.
struct Finished {
  const TestProgram& program;
  const TestCase& test_case;
  const CaseOutcome& outcome;
  std::string_view out, err;
  int attempt = 1;       // Of this case; more than 1 after --retry.
  bool is_final = true;  // False: it will be tried again.
  bool is_flaky() const { return is_final && attempt > 1 && outcome.result.is_good(); }
};

class Observer {
 public:
  virtual ~Observer() = default;
  virtual void started(const TestProgram&, const TestCase&, int /*running*/) {}
  // Errors end the run: the result could not be kept.
  virtual Result<void> finished(const Finished& finished) = 0;
};

class Engine {
 public:
  struct Options {
    std::string temporary = "/tmp";
    Bytes output_limit = 64_MiB;
    int retries = 0;  // How often a bad case is tried again.
    bool stops_at_first_bad = false;
    bool only_lists = false;  // Lists every program and runs nothing.
    // For `kyua debug`: output goes where the runner's goes; a pause before the cleanup routine.
    bool is_live = false, pauses = false, pauses_only_if_bad = true;
    uint32_t process_limit = 2000;  // At a time, of a case.
  };
  struct Counts {
    size_t good = 0, bad = 0, flaky = 0;
  };

  Engine(host::RealLoop& loop, const Config& config, const Calendar& calendar, Scanner& scanner,
         Observer& observer, Options options);
  ~Engine();

  // Errors: no process, file or descriptor can be made; what the observer answered.
  Result<void> run();
  // Ends the run early; see above. For signal watches on the loop.
  void stop();
  const Counts& counts() const { return counts_; }
  size_t running() const;

 private:
  struct Slot;

  Result<void> fill();
  Result<void> start(Slot& slot, const Work& work, int attempt);
  Result<void> hire(Slot& slot);
  void dismiss(Slot& slot);
  Result<void> clean_up_after(const Slot& lost);
  [[noreturn]] void be_worker(const Slot& slot, int socket);
  CaseOutcome do_order(const Order& order, const Slot& slot, WorkPlace place) const;
  host::Progress collect(Slot& slot);
  Result<void> complete(Slot& slot, const std::optional<std::string>& said);
  Result<void> complete_case(Slot& slot, const CaseOutcome& outcome);
  Result<void> report_known(const Work& work);
  Result<std::string> take_output(int fd) const;

  host::RealLoop& loop_;
  const Config& config_;
  const Calendar& calendar_;
  Scanner& scanner_;
  Observer& observer_;
  Options options_;
  std::vector<std::unique_ptr<Slot>> slots_;
  host::Fd lifeline_read_, lifeline_write_;
  Counts counts_;
  Result<void> status_;  // Holds the first failure.
  bool is_stopping_ = false;
};

}  // namespace wh::kyua
