#include "jail/jail.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "host/rtnetlink.h"
#include "host/system.h"
#include "jail/confinement.h"
#include "jail/init.h"

extern char** environ;

namespace wh::jail {
namespace {

constexpr int kNamespaces =
    CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP;

// fork(2) with flags: the child goes on from here, on a copy of everything.
pid_t fork_with(uint64_t flags) {
  clone_args arguments{};  // Of clone3(2): clone(2) has no bit left for time namespaces.
  arguments.flags = flags;
  // A sibling's end is announced as ours is.
  arguments.exit_signal = (flags & CLONE_PARENT) != 0 ? 0 : SIGCHLD;
  return static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
}

host::Fd open_process(pid_t pid) {
  return host::Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

int flags_of(const JailParams& p) {
  static const bool has_time = ::access("/proc/self/ns/time", F_OK) == 0;  // Linux 5.6.
  return kNamespaces | (p.network() == Network::Own ? CLONE_NEWNET : 0) |
         (has_time ? CLONE_NEWTIME : 0);
}

Result<void> map_users(pid_t pid) {
  const std::string proc = fmt::format("/proc/{}", pid);
  const bool maps_all =
      ::geteuid() == 0 &&
      TRY(host::read_file("/proc/self/uid_map")).find("4294967295") != std::string::npos;
  if (maps_all) {
    TRY(host::write_file(proc + "/uid_map", "0 0 4294967295"));
    return host::write_file(proc + "/gid_map", "0 0 4294967295");
  }
  TRY(host::write_file(proc + "/setgroups", "deny"));
  TRY(host::write_file(proc + "/uid_map", fmt::format("0 {} 1", ::geteuid())));
  return host::write_file(proc + "/gid_map", fmt::format("0 {} 1", ::getegid()));
}

// In a jail, its registry is out of a new init's sight, which is in another user namespace: the
// maker opens what init is to keep. A jail in a jail in a jail gets the plain folders, because the
// kernel copies only mounts that were made in the maker's own mount namespace.
Result<void> pass_folders(InitPlan& plan, const Registry& registry) {
  const auto open = [](const std::string& folder) -> Result<FolderTrees> {
    if (auto trees = open_trees(folder)) return trees;
    return FolderTrees{TRY(host::open_file(folder, O_PATH | O_DIRECTORY)),
                       TRY(host::open_file(folder + "/jails", O_PATH | O_DIRECTORY))};
  };
  plan.trees = TRY(open(plan.entry.folder));
  for (const std::string& folder : registry.ancestors()) {
    plan.ancestors.push_back(TRY(open(folder)).own);
  }
  return {};
}

// The maker's part while init waits: user maps, interfaces; then init's own, and its word that all
// is well.
Result<void> finish_making(const JailParams& p, pid_t init, bool has_users, host::Pipe& go,
                           host::Pipe& report) {
  if (has_users) TRY(map_users(init));
  if (!p.vnet_interfaces.empty()) {
    auto netlink = TRY(host::Rtnetlink::open());
    const host::Fd net = TRY(host::open_file(fmt::format("/proc/{}/ns/net", init), O_RDONLY));
    for (const std::string& name : p.vnet_interfaces) {
      auto moved = netlink.move_link(name, net.raw());
      if (!moved) return tl::unexpected(std::move(moved).error().within("vnet.interface"));
    }
  }
  TRY(host::write_all(go.write_end.raw(), "g"));
  const std::string said = TRY(host::read_to_end(report.read_end.raw()));
  if (said == kReady) return {};
  return fail("{}", said.empty() ? "the jail's init died" : said);
}

Result<pid_t> init_of(const std::string& folder) {
  const host::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const host::Fd place = TRY(host::open_file(folder, O_PATH | O_DIRECTORY));
  // A socket's address is short, a folder's name may be long.
  const std::string path = fmt::format("/proc/self/fd/{}/control", place.raw());
  std::strcpy(address.sun_path, path.c_str());
  ucred peer{};
  socklen_t size = sizeof peer;
  // connect(2) takes every kind of address by this one type.
  if (!socket ||
      ::connect(socket.raw(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::getsockopt(socket.raw(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return host::os_error("reach the init of the jail in {}", folder);
  }
  if (peer.pid <= 0) return fail("the jail in {} is not below this process namespace", folder);
  return peer.pid;
}

// In the process that a started child will become: between the fork and `child`.
Result<void> settle(const Confinement& confinement, const std::string& cwd) {
  if (::chdir(cwd.c_str()) != 0 && ::chdir("/") != 0) return host::os_error("enter /");
  return confine(confinement);
}

void set_clean_environment() {
  const char* term = std::getenv("TERM");
  const std::string kept = term != nullptr ? term : "";
  ::clearenv();
  ::setenv("HOME", "/root", 1);
  ::setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
  ::setenv("SHELL", "/bin/sh", 1);
  ::setenv("USER", "root", 1);
  if (!kept.empty()) ::setenv("TERM", kept.c_str(), 1);
}

}  // namespace

Result<Jail> Jail::create(Registry& registry, JailParams params, Options options) {
  Made made = TRY(registry.add(std::move(params)));
  auto jail = create_in(made, registry, options);
  if (!jail) {
    (void)Registry::forget(made.entry);
    return tl::unexpected(std::move(jail).error().within("jail " + made.entry.name));
  }
  return jail;
}

Result<Jail> Jail::create_in(Made& made, const Registry& registry, Options options) {
  const JailParams& p = made.entry.params;
  auto go = TRY(host::make_pipe());
  auto report = TRY(host::make_pipe());
  InitPlan plan{.entry = made.entry,
                .lock = std::move(made.lock),
                .trees = {},
                .ancestors = {},
                .dies_with_maker = options.dies_with_maker,
                .go = std::move(go.read_end),
                .report = std::move(report.write_end)};
  if (registry.is_inside_jail()) TRY(pass_folders(plan, registry));
  const auto flags = static_cast<uint64_t>(flags_of(p));
  pid_t pid = fork_with(flags | CLONE_NEWUSER);
  // The kernel counts a namespace that has just ended against the limit for a moment more.
  constexpr int kTries = 200;
  for (int i = 0; pid < 0 && errno == ENOSPC && i < kTries; ++i) {
    ::usleep(5'000);
    pid = fork_with(flags | CLONE_NEWUSER);
  }
  if (pid < 0 && errno != ENOSPC && ::geteuid() == 0) {
    plan.has_own_users = false;
    pid = fork_with(flags);
  }
  if (pid == 0) {
    // Its ends of the maker's pipes: else it would wait for itself.
    go.write_end.close();
    report.read_end.close();
    run_init(plan);
  }
  if (pid < 0) return host::os_error("make the jail's namespaces");
  host::Fd process = open_process(pid);
  plan.go.close();
  plan.report.close();
  auto done = finish_making(p, pid, plan.has_own_users, go, report);
  if (!done) {
    ::kill(pid, SIGKILL);
    host::uninterrupted([&] { return ::waitpid(pid, nullptr, 0); });
    return tl::unexpected(std::move(done).error());
  }
  return Jail(std::move(made.entry), pid, std::move(process));
}

Result<Jail> Jail::open(Entry entry) {
  const pid_t pid = TRY(init_of(entry.folder));
  host::Fd process = open_process(pid);
  // Its number may have gone to somebody else since.
  if (!process || !is_alive(entry.folder)) return fail("jail {} has just gone", entry.name);
  return Jail(std::move(entry), pid, std::move(process));
}

Result<pid_t> Jail::start(const std::function<void()>& child) const {
  const auto confinement = TRY(make_confinement(entry_.params));
  std::array<char, 4096> cwd{};
  if (::getcwd(cwd.data(), cwd.size()) == nullptr) cwd[0] = '/';
  auto report = TRY(host::make_pipe());
  int flags = flags_of(entry_.params);
  // setns(2) refuses the user namespace that one is in already.
  std::array<char, 64> ours{}, theirs{};
  ::readlink("/proc/self/ns/user", ours.data(), ours.size() - 1);
  ::readlink(fmt::format("/proc/{}/ns/user", init_).c_str(), theirs.data(), theirs.size() - 1);
  if (std::strcmp(ours.data(), theirs.data()) != 0) flags |= CLONE_NEWUSER;
  const pid_t helper = ::fork();
  if (helper < 0) return host::os_error("start a process");
  if (helper == 0) {
    // The helper enters; a process namespace takes only children, so its child, which becomes ours
    // by CLONE_PARENT, is the one.
    if (::setns(init_fd_.raw(), flags) != 0) {
      (void)host::write_all(report.write_end.raw(),
                            "!" + host::os_error("enter jail {}", entry_.name).value().text);
      ::_exit(1);
    }
    const pid_t inside = fork_with(CLONE_PARENT);
    if (inside == 0) {
      report.read_end.close();
      report.write_end.close();
      if (const auto ready = settle(confinement, cwd.data()); !ready) {
        (void)host::write_all(STDERR_FILENO, ready.error().text + "\n");
        ::_exit(126);
      }
      child();
      ::_exit(126);
    }
    (void)host::write_all(report.write_end.raw(), fmt::format("{}", inside));
    ::_exit(0);
  }
  report.write_end.close();
  const std::string said = TRY(host::read_to_end(report.read_end.raw()));
  host::uninterrupted([&] { return ::waitpid(helper, nullptr, 0); });
  if (said.starts_with('!')) return fail("{}", said.substr(1));
  const pid_t pid = static_cast<pid_t>(std::atoi(said.c_str()));
  if (pid <= 0) return fail("enter jail {}: no process could be made inside", entry_.name);
  started_.push_back(pid);
  return pid;
}

Result<void> Jail::take_interface(const std::string& name) const {
  auto netlink = TRY(host::Rtnetlink::open());
  const host::Fd net = TRY(host::open_file(fmt::format("/proc/{}/ns/net", init_), O_RDONLY));
  return netlink.move_link(name, net.raw());
}

Result<void> Jail::set_hostname(const std::string& name) const {
  const pid_t helper = ::fork();
  if (helper < 0) return host::os_error("start a process");
  if (helper == 0) {
    // Into the user namespace for the right, into the UTS namespace for the name. Root has the
    // first already where the jail has none of its own.
    ::setns(init_fd_.raw(), CLONE_NEWUSER);
    const bool is_done =
        ::setns(init_fd_.raw(), CLONE_NEWUTS) == 0 && ::sethostname(name.data(), name.size()) == 0;
    ::_exit(is_done ? 0 : errno);
  }
  int status = 0;
  host::uninterrupted([&] { return ::waitpid(helper, &status, 0); });
  if (status == 0) return {};
  return fail_with(static_cast<std::errc>(WEXITSTATUS(status)), "host.hostname");
}

Result<void> Jail::remove() {
  if (::syscall(SYS_pidfd_send_signal, init_fd_.raw(), SIGKILL, nullptr, 0) != 0 &&
      errno != ESRCH) {
    return host::os_error("kill jail {}", entry_.name);
  }
  // Init's end is announced after that of everything in its process namespace, and what we started
  // there ends for good only when we have waited for it.
  pollfd ended{init_fd_.raw(), POLLIN, 0};
  for (;;) {
    std::erase_if(started_, [](pid_t pid) { return ::waitpid(pid, nullptr, WNOHANG) != 0; });
    constexpr int kPatience =
        5;  // Milliseconds between looks, while there is something to wait for.
    const int n = ::poll(&ended, 1, started_.empty() ? -1 : kPatience);
    if (n > 0 || (n < 0 && errno != EINTR)) break;
  }
  ::waitpid(init_, nullptr, WNOHANG);  // If it was our child.
  return Registry::forget(entry_);
}

Result<int> run_inside(const Jail& jail, const std::vector<std::string>& command) {
  CHECK(!command.empty());
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const pid_t pid = TRY(jail.start([&] {
    if (jail.entry().params.is_exec_clean) set_clean_environment();
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::execvp(argv[0], argv.data());
    fmt::print(stderr, "jail: start {}: {}\n", argv[0], std::strerror(errno));
    std::fflush(stderr);
    ::_exit(errno == ENOENT ? 127 : 126);
  }));
  // The terminal's Ctrl-C is for the program inside; this one still has to remove the jail.
  const auto old_int = std::signal(SIGINT, SIG_IGN), old_quit = std::signal(SIGQUIT, SIG_IGN);
  int status = 0;
  host::uninterrupted([&] { return ::waitpid(pid, &status, 0); });
  std::signal(SIGINT, old_int);
  std::signal(SIGQUIT, old_quit);
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace wh::jail
