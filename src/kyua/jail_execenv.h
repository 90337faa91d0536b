// The jail execution environment: every case in a temporary jail of its own (the article, and
// kyuafile(5)).
//
//   jail -qc name=<name> children.max=<parent_max-1> <execenv_jail_params> persist
//
// The jail is made before the body and removed after the cleanup routine; both run in it. So do
// exec.start, before them, and exec.stop, after them: root runs each by the shell, on the case's
// standard error, for as long as a case or its cleanup routine may run.
#pragma once

#include <optional>

#include "jail/jail.h"
#include "kyua/execenv.h"

namespace wh::kyua {

// "/usr/tests/sys/kern/unix_dgram" and "basic" make kyua_usr_tests_sys_kern_unix_dgram_basic. The
// front of a name that is too long is cut.
std::string jail_name(const std::string& program_path, const std::string& case_name);
// execenv_jail_params as words: split at blanks, but not within ' or ". Errors: a quote without an
// end.
Result<std::vector<std::string>> split_params(std::string_view text);
// The words after `jail -qc`.
Result<std::vector<std::string>> jail_words(const std::string& name, int64_t parent_children_max,
                                            std::string_view params);

class JailExecEnv final : public ExecEnv {
 public:
  JailExecEnv(std::string name, std::string params)
      : name_(std::move(name)), params_(std::move(params)) {}
  Result<void> init(const Run& run) override;
  Result<pid_t> start(const std::function<void()>& child) override;
  Result<void> cleanup(const Run& run) override;

 private:
  std::string name_, params_;
  std::optional<jail::Jail> jail_;
};

}  // namespace wh::kyua
