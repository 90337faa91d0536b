// A child process that runs a function or a program, and never outlives its owner.
//
//   auto child = TRY(Child::run({.name = "sink"}, [&] { return serve(socket.raw()); }));
//   TRY(child.watch(loop, [&](ExitStatus status) { ... }));
//
// It dies when its Child is destroyed, and (PR_SET_PDEATHSIG) when the thread that started it dies,
// even by SIGKILL. Starting returns once the child has got as far as its function or program, so
// whatever went wrong before that is an Error here: no such program, no right to enter a namespace.
// A child begins with no signal blocked and no descriptors but 0, 1, 2 and those it is told to
// keep: were it to hold a TAP device's descriptor, the device would outlive its owner's interest in
// it. What a child starts in its turn is not followed.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/result.h"
#include "host/fd.h"
#include "host/real_loop.h"

namespace wh::host {

// How a process ended.
struct ExitStatus {
  int code = 0;    // Of exit(3); 0 when a signal ended it.
  int signal = 0;  // That ended it; 0 when it exited.
  bool is_success() const { return code == 0 && signal == 0; }
  bool operator==(const ExitStatus&) const = default;
};
std::string to_string(ExitStatus status);  // "exit status 3", "killed by signal 9 (Killed)"

class Child {
 public:
  struct Options {
    std::string name = {};  // For errors: "start NAME: why not".
    int standard_input = -1, standard_output = -1, standard_error = -1;  // -1: the parent's.
    std::vector<int> keep = {};  // Further descriptors that stay open, at their numbers.
    // Runs in the child first, with every descriptor still open: enters namespaces, say.
    std::function<Result<void>()> prepare = {};
  };

  // Runs a function in a copy of this process; what it returns is the exit code. It leaves through
  // _exit(2): no destructor of the parent's objects runs. The function must not use the parent's
  // loop or interfaces, nor rely on threads other than the one that started it.
  // Errors: no process left, or what `prepare` answered.
  static Result<Child> run(Options options, std::function<int()> function);
  // Runs a program, found in PATH; arguments[0] is its name. Errors: as above, and as execvp(3).
  static Result<Child> run_program(Options options, std::vector<std::string> arguments);

  Child(Child&&) = default;
  Child& operator=(Child&& o) noexcept;
  ~Child();  // Kills it and waits for its end.

  pid_t pid() const { return pid_; }
  bool is_running();
  void kill(int signal);  // Nothing when it has ended.
  ExitStatus wait();      // Blocks until it has ended.
  // Calls the action when it ends, once. The child must not move after this, and its loop not end
  // before it. Errors: the loop has no room for it.
  Result<void> watch(RealLoop& loop, std::function<void(ExitStatus)> action);

 private:
  Child(pid_t pid, Fd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
  bool reap(int flags);

  pid_t pid_ = -1;
  Fd pidfd_;
  bool has_ended_ = false;
  ExitStatus status_;
  std::unique_ptr<FdWatch> watch_;
};

}  // namespace wh::host
