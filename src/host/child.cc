#include "host/child.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

// glibc 2.36 forgot to say that this is C.
extern "C" {
#include <sys/pidfd.h>
}

#include <csignal>
#include <cstdio>
#include <cstring>

#include "host/system.h"

namespace wh::host {
namespace {

constexpr int kStartFailed = 127;  // As the shell says of a program it cannot start.

Result<void> redirect(int from, int to) {
  if (from < 0 || from == to) return {};
  if (::dup2(from, to) < 0) return os_error("redirect descriptor {}", to);
  return {};
}

// In the child: everything between fork(2) and the function or program.
Result<void> become_child(const Child::Options& options, pid_t parent, int report) {
  if (options.prepare) TRY(options.prepare());
  // After prepare(): a change of credentials, as entering a user namespace is, clears it.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return os_error("prctl(PR_SET_PDEATHSIG)");
  if (::getppid() != parent) ::_exit(kStartFailed);  // Died before it could be heard of.
  sigset_t none;
  ::sigemptyset(&none);
  if (::sigprocmask(SIG_SETMASK, &none, nullptr) != 0) return os_error("sigprocmask");
  TRY(redirect(options.standard_input, 0));
  TRY(redirect(options.standard_output, 1));
  TRY(redirect(options.standard_error, 2));
  std::vector<int> keep = options.keep;
  keep.push_back(report);
  return close_all_but(std::move(keep));
}

// What the child could not do, on its way to the parent: the code, then the text.
void send_error(int report, const Error& error) {
  const auto code = static_cast<int>(error.code);
  std::string message(sizeof code, '\0');
  std::memcpy(message.data(), &code, sizeof code);
  // If the parent is gone there is nobody to tell.
  (void)write_all(report, message + error.text);
}

// Empty when the child got to its function or program.
Result<void> receive_error(int report) {
  const std::string message = TRY(read_to_end(report));
  int code = 0;
  if (message.empty()) return {};
  CHECK_GE(message.size(), sizeof code);
  std::memcpy(&code, message.data(), sizeof code);
  return tl::unexpected(Error{static_cast<std::errc>(code), message.substr(sizeof code)});
}

}  // namespace

std::string to_string(ExitStatus status) {
  if (status.signal == 0) return fmt::format("exit status {}", status.code);
  return fmt::format("killed by signal {} ({})", status.signal, ::strsignal(status.signal));
}

Result<Child> Child::run(Options options, std::function<int()> function) {
  Pipe report = TRY(make_pipe());
  const pid_t parent = ::getpid();
  std::fflush(nullptr);  // Else the child might write what is buffered a second time.
  const pid_t pid = ::fork();
  if (pid < 0) return os_error("start {}", options.name);
  if (pid == 0) {
    const auto ready = become_child(options, parent, report.write_end.raw());
    if (!ready) {
      send_error(report.write_end.raw(), ready.error());
      ::_exit(kStartFailed);
    }
    report.write_end.close();
    const int code = function();
    std::fflush(nullptr);
    ::_exit(code);
  }
  Child child(pid, Fd(::pidfd_open(pid, 0)));
  if (!child.pidfd_) {
    auto error = os_error("start {}: pidfd_open", options.name);
    // Nobody would own it. Until it was waited for, its number is nobody else's.
    ::kill(pid, SIGKILL);
    uninterrupted([&] { return ::waitpid(pid, nullptr, 0); });
    return error;
  }
  report.write_end.close();
  auto started = receive_error(report.read_end.raw());
  if (started) return child;
  if (options.name.empty()) return tl::unexpected(std::move(started).error());
  return tl::unexpected(std::move(started).error().within("start " + options.name));
}

Result<Child> Child::run_program(Options options, std::vector<std::string> arguments) {
  CHECK(!arguments.empty());
  if (options.name.empty()) options.name = arguments[0];
  // Closed by a successful exec; what comes through it is why there was none.
  Pipe report = TRY(make_pipe());
  const std::vector<int> inherited = options.keep;
  options.keep.push_back(report.write_end.raw());
  Child child = TRY(run(options, [&] {
    for (const int fd : inherited) ::fcntl(fd, F_SETFD, 0);  // Not to be closed on exec.
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    ::execvp(argv[0], argv.data());
    send_error(report.write_end.raw(), os_error("start {}", arguments[0]).value());
    return kStartFailed;
  }));
  report.write_end.close();
  TRY(receive_error(report.read_end.raw()));
  return child;
}

Child& Child::operator=(Child&& o) noexcept {
  std::swap(pid_, o.pid_);
  std::swap(pidfd_, o.pidfd_);
  std::swap(has_ended_, o.has_ended_);
  std::swap(status_, o.status_);
  std::swap(watch_, o.watch_);
  return *this;
}

Child::~Child() {
  if (watch_) watch_->unwatch();
  if (!pidfd_) return;
  kill(SIGKILL);
  wait();
}

bool Child::reap(int flags) {
  if (has_ended_) return true;
  siginfo_t info{};
  const int id = pidfd_.raw();
  const int result = uninterrupted([&] {
    return ::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(id), &info, WEXITED | flags);
  });
  // ECHILD: this program ignores SIGCHLD, so the status is lost but the end is certain.
  CHECK(result == 0 || errno == ECHILD);
  if (result == 0 && info.si_pid == 0) return false;
  has_ended_ = true;
  if (result == 0 && info.si_code == CLD_EXITED) status_.code = info.si_status;
  if (result == 0 && info.si_code != CLD_EXITED) status_.signal = info.si_status;
  return true;
}

bool Child::is_running() {
  return !reap(WNOHANG);
}

void Child::kill(int signal) {
  // Fails only when it has ended, which is what was wanted.
  if (!has_ended_) ::pidfd_send_signal(pidfd_.raw(), signal, nullptr, 0);
}

ExitStatus Child::wait() {
  CHECK(reap(0));
  return status_;
}

Result<void> Child::watch(RealLoop& loop, std::function<void(ExitStatus)> action) {
  watch_ = std::make_unique<FdWatch>(loop, fmt::format("process {}", pid_),
                                     [this, action = std::move(action)] {
                                       if (is_running()) return Progress::None;
                                       watch_->unwatch();
                                       action(status_);
                                       return Progress::Some;
                                     });
  return watch_->watch(pidfd_.raw());
}

}  // namespace wh::host
