// Jails: hosts made of Linux namespaces, with the parameters and the hierarchy of jail(8).
//
//   auto registry = TRY(Registry::open());
//   auto jail = TRY(Jail::create(registry, TRY(parse_params({"name=router", "vnet"})), {}));
//   pid_t pid = TRY(jail.start([] { ... exec ... }));  ...  TRY(jail.remove());
//
// A jail is a process, its init (init.h), and the namespaces that it holds: user, mount, pid, uts,
// ipc, cgroup, time, and net unless the parent's is inherited. Root's jails have a user namespace
// too, with every user mapped to itself, so that root inside has power over the jail's namespaces
// only; where the machine refuses that to root the jail is made without. An unprivileged user's
// jail has one user: root inside is that user outside.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/result.h"
#include "host/fd.h"
#include "jail/params.h"
#include "jail/registry.h"

namespace wh::jail {

class Jail {
 public:
  struct Options {
    bool dies_with_maker = true;  // False for `persist` jails of jail(8), which outlive the tool.
  };
  // Errors: a name in use, a limit, an interface that is not there, what Linux refused. Nothing is
  // left then.
  static Result<Jail> create(Registry& registry, JailParams params, Options options);
  // One that exists. Errors: it has just gone.
  static Result<Jail> open(Entry entry);

  // Runs `child`, which becomes a program (or ends) and never returns, in the jail: a child of the
  // calling process, confined by the jail's parameters, in the caller's current folder if the jail
  // has one of that name, else in "/". Waits until it has become the program. Errors: as the system
  // calls.
  Result<pid_t> start(const std::function<void()>& child) const;
  // Moves an interface of this process' network namespace in.
  Result<void> take_interface(const std::string& name) const;
  Result<void> set_hostname(const std::string& name) const;
  // What holds children.max against a root who does not ask the registry; see init.cc.
  Result<void> limit_children(int64_t most) const;
  // Kills everything inside and forgets the jail; when this returns, its processes are gone. What
  // this object started and nobody has waited for is waited for.
  Result<void> remove();

  const Entry& entry() const { return entry_; }
  Entry& entry() { return entry_; }
  pid_t init() const { return init_; }

 private:
  Jail(Entry entry, pid_t init, host::Fd init_fd, bool has_own_users)
      : entry_(std::move(entry)),
        init_(init),
        init_fd_(std::move(init_fd)),
        has_own_users_(has_own_users) {}
  Result<void> as_its_root(const char* what, const std::function<bool()>& act) const;
  static Result<Jail> create_in(Made& made, const Registry& registry, Options options);

  Entry entry_;
  pid_t init_;
  host::Fd init_fd_;
  bool has_own_users_;                  // A user namespace that is not this process'.
  mutable std::vector<pid_t> started_;  // By this object; their ends may still be unread.
};

struct RunOptions {
  std::string folder = {};  // To work in; empty: as start() has it.
  std::string user = {};    // A name of the jail's own /etc/passwd; empty: root.
  struct Account {
    uid_t uid;
    gid_t gid;
    std::string name, home, shell;  // For a clean environment.
  };
  std::optional<Account> account = {};  // The user as somebody outside knows it, rather.
};

std::optional<RunOptions::Account> find_account(const std::string& name);
// What exec.clean leaves: NAME=VALUE of root, or of an account.
std::vector<std::string> clean_environment(
    const std::optional<RunOptions::Account>& account = std::nullopt);

// Runs a program in a jail and waits for it: its exit status as a shell would have it.
Result<int> run_inside(const Jail& jail, const std::vector<std::string>& command,
                       const RunOptions& options = {});

}  // namespace wh::jail
