// Where a case's processes run: the seam between the engine and the machine.
//
// The steps are the article's: init, test execution, cleanup routine, cleanup. start() makes one
// process in the environment, a child of the caller whatever lies between; body and cleanup routine
// each get one. Environments exist: host (a plain child) and jail (jail_execenv.h).
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>

#include "core/result.h"
#include "kyua/model.h"

namespace wh::kyua {

class ExecEnv {
 public:
  virtual ~ExecEnv() = default;
  // Errors: why there can be no such environment; the case does not run.
  virtual Result<void> init() = 0;
  // Runs `child`, which never returns, in a new process that is a child of this one.
  virtual Result<pid_t> start(const std::function<void()>& child) = 0;
  // Removes the environment with everything in it. Called once, if init() was.
  virtual Result<void> cleanup() = 0;
};

class HostExecEnv final : public ExecEnv {
 public:
  Result<void> init() override { return {}; }
  Result<pid_t> start(const std::function<void()>& child) override;
  Result<void> cleanup() override { return {}; }
};

// The environment that the case's `execenv` names. REQUIRES: its requirements hold.
std::unique_ptr<ExecEnv> make_execenv(const TestProgram& program, const std::string& case_name,
                                      const Metadata& metadata);

}  // namespace wh::kyua
