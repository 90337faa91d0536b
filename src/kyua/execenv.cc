#include "kyua/execenv.h"

#include <unistd.h>

#include "host/system.h"
#include "kyua/jail_execenv.h"

namespace wh::kyua {

Result<pid_t> HostExecEnv::start(const std::function<void()>& child) {
  // vfork(2): this process waits until the child has become the program or died, and lends it its
  // memory meanwhile. The copy of page tables that fork(2) makes would cost more than all else that
  // is done for a case.
  const pid_t pid = ::vfork();
  if (pid < 0) return host::os_error("start a process");
  if (pid == 0) {
    child();
    UNREACHABLE();
  }
  return pid;
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
