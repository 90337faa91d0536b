#include "kyua/execenv.h"

#include <unistd.h>

#include "host/system.h"
#include "jail/confinement.h"
#include "kyua/jail_execenv.h"

namespace wh::kyua {

Result<pid_t> HostExecEnv::start(const std::function<void()>& child) {
  // vfork(2): this process waits until the child has become the program or died, and lends it its
  // memory meanwhile. What the child changes in it (the environment) nobody here reads again, and
  // the copy of page tables that fork(2) makes would cost more than all else the runner does for a
  // case.
  const pid_t pid = ::vfork();
  if (pid < 0) return host::os_error("start a process");
  if (pid == 0) {
    child();
    UNREACHABLE();
  }
  return pid;
}

void prepare_execenv(const Metadata& metadata) {
  if (metadata.get("execenv") != "jail") return;
  constexpr int64_t kSome = 2;  // So that jails may be made inside, as is usual.
  const auto words = jail_words("any", kSome, metadata.get("execenv_jail_params"));
  const auto params = words ? jail::parse_params(*words) : fail("no such parameters");
  // What is wrong with them the case itself will say.
  if (params) (void)jail::make_confinement(*params);
}

std::unique_ptr<ExecEnv> make_execenv(const TestProgram& program, const std::string& case_name,
                                      const Metadata& metadata) {
  if (metadata.get("execenv") == "jail") {
    return std::make_unique<JailExecEnv>(jail_name(program.absolute_path(), case_name),
                                         metadata.get("execenv_jail_params"));
  }
  return std::make_unique<HostExecEnv>();
}

}  // namespace wh::kyua
