// Where a case's processes run: the seam between the engine and the machine.
//
// The steps are the article's: init, test execution, cleanup routine, cleanup. start() makes one
// process in the environment, a child of the caller whatever lies between; body and cleanup routine
// each get one, and each command that the environment itself asks for. Environments exist: host (a
// plain child) and jail (jail_execenv.h).
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/result.h"
#include "kyua/model.h"
#include "kyua/protocol/protocol.h"

namespace wh::kyua {

class ExecEnv {
 public:
  virtual ~ExecEnv() = default;
  // Runs a program in the environment until it ends, as its maker would: what start() makes, within
  // the runner's limits.
  using Run = std::function<Result<Ended>(const std::vector<std::string>& words)>;
  // Errors: why there can be no such environment; the case does not run.
  virtual Result<void> init(const Run& run) = 0;
  // Runs `child`, which never returns, in a new process that is a child of this one.
  virtual Result<pid_t> start(const std::function<void()>& child) = 0;
  // Removes the environment with everything in it. Called once, if init() was. Errors: that, and
  // what did not go well before it.
  virtual Result<void> cleanup(const Run& run) = 0;
};

class HostExecEnv final : public ExecEnv {
 public:
  Result<void> init(const Run&) override { return {}; }
  Result<pid_t> start(const std::function<void()>& child) override;
  Result<void> cleanup(const Run&) override { return {}; }
};

// The environment that the case's `execenv` names. REQUIRES: its requirements hold.
std::unique_ptr<ExecEnv> make_execenv(const TestProgram& program, const std::string& case_name,
                                      const Metadata& metadata);

}  // namespace wh::kyua
