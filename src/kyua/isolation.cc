#include "kyua/isolation.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "core/check.h"
#include "host/system.h"

extern char** environ;

namespace wh::kyua {
namespace {

constexpr std::array kUnset = {"LANG",        "LC_ALL",      "LC_COLLATE", "LC_CTYPE",
                               "LC_MESSAGES", "LC_MONETARY", "LC_NUMERIC", "LC_TIME"};

[[noreturn]] void give_up(const std::string& why) {
  // There is nobody else to tell if this cannot be written.
  (void)host::write_all(STDERR_FILENO, why + "\n");
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);  // A dump of this process would tell nothing of the test.
  std::abort();
}

void demand(bool is_done, std::string_view attempt) {
  if (!is_done) give_up(fmt::format("{}: {}", attempt, std::strerror(errno)));
}

void reset_signals() {
  struct sigaction plain {};
  plain.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) ::sigaction(signal, &plain, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

void take_descriptors(const Isolation& isolation) {
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  demand(null >= 0 && ::dup2(null, STDIN_FILENO) >= 0, "open /dev/null");
  if (isolation.out >= 0) demand(::dup2(isolation.out, STDOUT_FILENO) >= 0, "redirect the output");
  if (isolation.err >= 0) demand(::dup2(isolation.err, STDERR_FILENO) >= 0, "redirect the errors");
  ::close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
}

void become_user(const User& user) {
  const gid_t group = user.gid;
  demand(::setgid(user.gid) == 0 && ::setgroups(1, &group) == 0 && ::setuid(user.uid) == 0,
         "become user " + user.name);
}

void set_environment(const Isolation& isolation) {
  for (const char* name : kUnset) ::unsetenv(name);
  ::setenv("HOME", isolation.work_folder.c_str(), 1);
  ::setenv("TMPDIR", isolation.work_folder.c_str(), 1);
  ::setenv("TZ", "UTC", 1);
  for (const auto& [name, value] : isolation.command.environment) {
    ::setenv(name.c_str(), value.c_str(), 1);
  }
}

}  // namespace

void become_test(const Isolation& isolation) {
  ::setsid();  // Fails only for one that leads a group already, and a new process does not.
  take_descriptors(isolation);
  rlimit core{};
  if (::getrlimit(RLIMIT_CORE, &core) == 0) {
    core.rlim_cur = core.rlim_max;
    ::setrlimit(RLIMIT_CORE, &core);
  }
  ::umask(0022);
  demand(::chdir(isolation.work_folder.c_str()) == 0, "enter " + isolation.work_folder);
  if (isolation.user) become_user(*isolation.user);
  demand(::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0, "prctl(PR_SET_PDEATHSIG)");
  set_environment(isolation);
  std::vector<char*> argv;
  for (const std::string& argument : isolation.command.arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));  // execvp(3) does not write to them.
  }
  argv.push_back(nullptr);
  reset_signals();
  // execvp(3) would hand a file of an unknown format to the shell.
  const bool is_path = std::strchr(argv[0], '/') != nullptr;
  is_path ? ::execv(argv[0], argv.data()) : ::execvp(argv[0], argv.data());
  give_up(fmt::format("Failed to execute {}: {}", argv[0], std::strerror(errno)));
}

}  // namespace wh::kyua
