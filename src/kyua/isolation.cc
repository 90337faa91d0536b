#include "kyua/isolation.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
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

void demand(bool is_done, const char* attempt) {
  if (!is_done) give_up(fmt::format("{}: {}", attempt, std::strerror(errno)));
}

void take_descriptors(int out, int err) {
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  demand(null >= 0 && ::dup2(null, STDIN_FILENO) >= 0, "open /dev/null");
  if (out >= 0) demand(::dup2(out, STDOUT_FILENO) >= 0, "redirect the output");
  if (err >= 0) demand(::dup2(err, STDERR_FILENO) >= 0, "redirect the errors");
  ::close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
}

void become_user(const User& user) {
  const gid_t group = user.gid;
  demand(::setgid(user.gid) == 0 && ::setgroups(1, &group) == 0 && ::setuid(user.uid) == 0,
         "become another user");
}

// What the test gets beside this process' own variables.
Variables variables_of_test(const Variables& given, const std::string& work_folder) {
  Variables all = {{"HOME", work_folder}, {"TMPDIR", work_folder}, {"TZ", "UTC"}};
  for (const auto& [name, value] : given) all[name] = value;
  return all;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  return pointers;
}

}  // namespace

void take_default_signals() {
  struct sigaction plain {};
  plain.sa_handler = SIG_DFL;
  // SIGKILL and SIGSTOP have no other.
  for (int signal = 1; signal < NSIG; ++signal) ::sigaction(signal, &plain, nullptr);
}

Isolation::Isolation(const Command& command, std::string work_folder, int out, int err,
                     std::optional<User> user)
    : work_folder_(std::move(work_folder)),
      out_(out),
      err_(err),
      user_(std::move(user)),
      arguments_(command.arguments) {
  const Variables variables = variables_of_test(command.environment, work_folder_);
  for (const auto& [name, value] : variables) {
    environment_.push_back(fmt::format("{}={}", name, value));
  }
  argv_ = pointers_to(arguments_);
  envp_ = pointers_to(environment_);
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string name(*entry, std::strcspn(*entry, "="));
    const bool is_unset = std::find(kUnset.begin(), kUnset.end(), name) != kUnset.end();
    if (!is_unset && !variables.contains(name)) envp_.push_back(*entry);
  }
  argv_.push_back(nullptr);
  envp_.push_back(nullptr);
}

void Isolation::become_test() const {
  ::setsid();  // Fails only for one that leads a group already, and a new process does not.
  take_descriptors(out_, err_);
  rlimit core{};
  if (::getrlimit(RLIMIT_CORE, &core) == 0) {
    core.rlim_cur = core.rlim_max;
    ::setrlimit(RLIMIT_CORE, &core);
  }
  ::umask(0022);
  demand(::chdir(work_folder_.c_str()) == 0, "enter the work folder");
  if (user_) become_user(*user_);
  demand(::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0, "prctl(PR_SET_PDEATHSIG)");
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  // execvpe(3) would hand a file of an unknown format to the shell.
  const bool is_path = std::strchr(argv_[0], '/') != nullptr;
  is_path ? ::execve(argv_[0], argv_.data(), envp_.data())
          : ::execvpe(argv_[0], argv_.data(), envp_.data());
  give_up(fmt::format("Failed to execute {}: {}", argv_[0], std::strerror(errno)));
}

}  // namespace wh::kyua
