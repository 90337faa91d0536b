#include "jail/jail.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <pwd.h>
#include <sanitizer/asan_interface.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

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
  arguments.exit_signal = SIGCHLD;
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

// What a process in a jail begins with.
struct Beginning {
  const Confinement& confinement;
  const char* cwd;
  const std::function<void()>& child;
  int init;             // Whose namespaces it enters,
  int namespaces;       // and which of them; in the others it is born.
  std::string failure;  // Why it is none; its maker, whose memory it has, sees it.
};

Result<void> settle(const Beginning& beginning) {
  if (beginning.namespaces != 0 && ::setns(beginning.init, beginning.namespaces) != 0) {
    return host::os_error("enter its namespaces");
  }
  if (::chdir(beginning.cwd) != 0 && ::chdir("/") != 0) return host::os_error("enter /");
  return confine(beginning.confinement);
}

int begin(void* argument) {
  Beginning& beginning = *static_cast<Beginning*>(argument);
  if (const auto ready = settle(beginning); !ready) {
    beginning.failure = ready.error().text;
    ::_exit(126);
  }
  beginning.child();
  ::_exit(126);
}

// Starts a process that has the memory of this one, which waits until it has become a program:
// a copy would cost more time than all the rest.
pid_t start_sharing(Beginning& beginning, int flags) {
  // Within this process' own stack, which sanitizers know.
  alignas(64) std::array<char, 256 * 1024> stack;
  const pid_t pid =
      ::clone(&begin, stack.data() + stack.size(), CLONE_VM | CLONE_VFORK | flags, &beginning);
  // The child's calls never returned.
  ASAN_UNPOISON_MEMORY_REGION(stack.data(), stack.size());
  return pid;
}

// While it lives, children of this process are born in the process and time namespaces of a jail.
// Process namespaces take nobody but the newborn, and time namespaces nobody who shares memory.
class Birthplace {
 public:
  static constexpr int kNamespaces = CLONE_NEWPID | CLONE_NEWTIME;
  // Errors: no right to enter; other threads here.
  static Result<Birthplace> make(int init, int namespaces) {
    host::Fd pid = TRY(host::open_file("/proc/self/ns/pid", O_RDONLY)), time(-1);
    if ((namespaces & CLONE_NEWTIME) != 0) {
      time = TRY(host::open_file("/proc/self/ns/time", O_RDONLY));
    }
    if (::setns(init, namespaces & kNamespaces) != 0) return host::os_error("enter");
    return Birthplace(std::move(pid), std::move(time));
  }
  Birthplace(Birthplace&&) = default;
  ~Birthplace() {
    if (!pid_) return;
    CHECK_EQ(::setns(pid_.raw(), CLONE_NEWPID), 0);
    // The kernel says that a child has become a program a moment before it has let go of this
    // process' memory; until then EUSERS.
    while (time_ && ::setns(time_.raw(), CLONE_NEWTIME) != 0) {
      CHECK_EQ(errno, EUSERS);
      ::sched_yield();
    }
  }

 private:
  Birthplace(host::Fd pid, host::Fd time) : pid_(std::move(pid)), time_(std::move(time)) {}
  host::Fd pid_, time_;  // This process' own.
};

// Starts the process as a child of this one, which stays outside. For who may enter parts of a
// jail without the rest, as root may.
Result<pid_t> start_child(Beginning& beginning) {
  const auto place = TRY(Birthplace::make(beginning.init, beginning.namespaces));
  beginning.namespaces &= ~Birthplace::kNamespaces;
  const pid_t pid = start_sharing(beginning, SIGCHLD);
  if (pid < 0) return host::os_error("no process could be made inside");
  return pid;
}

// Starts the process as a child of this one by way of a helper that enters the jail as a whole.
Result<pid_t> start_through_helper(Beginning& beginning) {
  auto report = TRY(host::make_pipe());
  const pid_t helper = ::fork();
  if (helper < 0) return host::os_error("start a process");
  if (helper == 0) {
    pid_t inside = -1;
    if (::setns(beginning.init, std::exchange(beginning.namespaces, 0)) != 0) {
      beginning.failure = host::os_error("enter its namespaces").value().text;
    } else if (inside = start_sharing(beginning, CLONE_PARENT); inside < 0) {
      beginning.failure = host::os_error("no process could be made inside").value().text;
    }
    (void)host::write_all(report.write_end.raw(), fmt::format("{} {}", inside, beginning.failure));
    ::_exit(0);
  }
  report.write_end.close();
  const std::string said = TRY(host::read_to_end(report.read_end.raw()));
  host::uninterrupted([&] { return ::waitpid(helper, nullptr, 0); });
  const size_t blank = said.find(' ');
  if (blank == said.npos) return fail("the process that enters it has died");
  beginning.failure = said.substr(blank + 1);
  return static_cast<pid_t>(std::atoi(said.c_str()));
}

bool has_other_users(pid_t pid) {
  std::array<char, 64> ours{}, theirs{};
  ::readlink("/proc/self/ns/user", ours.data(), ours.size() - 1);
  ::readlink(fmt::format("/proc/{}/ns/user", pid).c_str(), theirs.data(), theirs.size() - 1);
  return std::strcmp(ours.data(), theirs.data()) != 0;
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
  return Jail(std::move(made.entry), pid, std::move(process), plan.has_own_users);
}

Result<Jail> Jail::open(Entry entry) {
  const pid_t pid = TRY(init_of(entry.folder));
  host::Fd process = open_process(pid);
  // Its number may have gone to somebody else since.
  if (!process || !is_alive(entry.folder)) return fail("jail {} has just gone", entry.name);
  return Jail(std::move(entry), pid, std::move(process), has_other_users(pid));
}

Result<pid_t> Jail::start(const std::function<void()>& child) const {
  const auto confinement = TRY(make_confinement(entry_.params));
  std::array<char, 4096> cwd{};
  if (::getcwd(cwd.data(), cwd.size()) == nullptr) cwd[0] = '/';
  int flags = flags_of(entry_.params);
  // setns(2) refuses the user namespace that one is in already.
  if (has_own_users_) flags |= CLONE_NEWUSER;
  Beginning beginning{confinement, cwd.data(), child, init_fd_.raw(), flags, {}};
  auto pid = start_child(beginning);
  if (!pid) {
    beginning.namespaces = flags;
    pid = start_through_helper(beginning);
  }
  const std::string why = pid ? beginning.failure : pid.error().text;
  if (pid && *pid > 0 && !why.empty()) ::waitpid(*pid, nullptr, 0);
  if (!why.empty()) return fail("enter jail {}: {}", entry_.name, why);
  started_.push_back(*pid);
  return pid;
}

Result<void> Jail::take_interface(const std::string& name) const {
  auto netlink = TRY(host::Rtnetlink::open());
  const host::Fd net = TRY(host::open_file(fmt::format("/proc/{}/ns/net", init_), O_RDONLY));
  return netlink.move_link(name, net.raw());
}

// In a process with root's rights over the jail. False, with errno: it could not be done.
Result<void> Jail::as_its_root(const char* what, const std::function<bool()>& act) const {
  const pid_t helper = ::fork();
  if (helper < 0) return host::os_error("start a process");
  if (helper == 0) {
    // Root has the right already where the jail has no users of its own.
    ::setns(init_fd_.raw(), CLONE_NEWUSER);
    ::_exit(act() ? 0 : errno);
  }
  int status = 0;
  host::uninterrupted([&] { return ::waitpid(helper, &status, 0); });
  if (status == 0) return {};
  return fail_with(static_cast<std::errc>(WEXITSTATUS(status)), what);
}

Result<void> Jail::set_hostname(const std::string& name) const {
  return as_its_root("host.hostname", [&] {
    return ::setns(init_fd_.raw(), CLONE_NEWUTS) == 0 &&
           ::sethostname(name.data(), name.size()) == 0;
  });
}

Result<void> Jail::limit_children(int64_t most) const {
  if (!has_own_users_) return {};
  return as_its_root("children.max", [&] {
    return host::write_file("/proc/sys/user/max_pid_namespaces", fmt::format("{}", most + 1))
        .has_value();
  });
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
    // Milliseconds between looks, while there is something to wait for.
    constexpr int kPatience = 5;
    const int n = ::poll(&ended, 1, started_.empty() ? -1 : kPatience);
    if (n > 0 || (n < 0 && errno != EINTR)) break;
  }
  ::waitpid(init_, nullptr, WNOHANG);  // If it was our child.
  return Registry::forget(entry_);
}

namespace {

RunOptions::Account account_of(const passwd& entry) {
  return {entry.pw_uid, entry.pw_gid, entry.pw_name, entry.pw_dir, entry.pw_shell};
}

// Inside: of the jail's own /etc/passwd, and of nothing else. getpwnam(3) would load libraries that
// the jail's nsswitch.conf names, which is code of the jail's, into memory that is ours.
std::optional<RunOptions::Account> find_account_inside(const std::string& name) {
  const std::unique_ptr<FILE, decltype(&std::fclose)> file(std::fopen("/etc/passwd", "re"),
                                                           &std::fclose);
  if (file == nullptr) return std::nullopt;
  while (const passwd* entry = ::fgetpwent(file.get())) {
    if (name == entry->pw_name) return account_of(*entry);
  }
  return std::nullopt;
}

// Nothing is left in the memory that is shared with the one outside.
[[noreturn]] void give_up(std::string_view attempt, std::string_view why) {
  fmt::print(stderr, "jail: {}: {}\n", attempt, why);
  std::fflush(stderr);
  ::_exit(126);
}

// Inside, on the way to the program. System calls, not the library's functions: this process shares
// its memory with the one that started it. `account` is who it becomes; nothing: it stays root.
void take_options(const RunOptions& options, std::optional<RunOptions::Account>& account) {
  if (!options.folder.empty() && ::chdir(options.folder.c_str()) != 0) {
    give_up(options.folder, std::strerror(errno));
  }
  account = options.account;
  if (!options.user.empty()) {
    account = find_account_inside(options.user);
    if (!account) give_up(options.user, "the jail's /etc/passwd has no such user");
  }
  if (!account) return;
  if (::syscall(SYS_setgroups, 1, &account->gid) != 0 || ::syscall(SYS_setgid, account->gid) != 0 ||
      ::syscall(SYS_setuid, account->uid) != 0) {
    give_up("become another user", std::strerror(errno));
  }
}

std::vector<char*> pointers_to(const std::vector<std::string>& words) {
  std::vector<char*> pointers;  // As execve(2) takes them, who changes nothing.
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

std::optional<RunOptions::Account> find_account(const std::string& name) {
  const passwd* entry = ::getpwnam(name.c_str());
  if (entry == nullptr) return std::nullopt;
  return account_of(*entry);
}

std::vector<std::string> clean_environment(const std::optional<RunOptions::Account>& account) {
  std::vector<std::string> all = {
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      "HOME=" + (account ? account->home : "/root"),
      "SHELL=" + (account ? account->shell : "/bin/sh"),
      "USER=" + (account ? account->name : "root")};
  if (const char* term = std::getenv("TERM")) all.push_back(fmt::format("TERM={}", term));
  return all;
}

Result<int> run_inside(const Jail& jail, const std::vector<std::string>& command,
                       const RunOptions& options) {
  CHECK(!command.empty());
  const std::vector<char*> argv = pointers_to(command);
  // The child's variable is ours, too: what it puts there we take back.
  char** const ours = environ;
  std::optional<RunOptions::Account> account;
  std::vector<std::string> clean;
  std::vector<char*> clean_pointers;
  const auto started = jail.start([&] {
    take_options(options, account);
    if (jail.entry().params.is_exec_clean) {
      clean = clean_environment(account);
      clean_pointers = pointers_to(clean);
      environ = clean_pointers.data();
    }
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::execvp(argv[0], argv.data());
    fmt::print(stderr, "jail: start {}: {}\n", argv[0], std::strerror(errno));
    std::fflush(stderr);
    ::_exit(errno == ENOENT ? 127 : 126);
  });
  environ = ours;
  const pid_t pid = TRY(started);
  // The terminal's Ctrl-C is for the program inside; this one still has to remove the jail.
  const auto old_int = std::signal(SIGINT, SIG_IGN), old_quit = std::signal(SIGQUIT, SIG_IGN);
  int status = 0;
  host::uninterrupted([&] { return ::waitpid(pid, &status, 0); });
  std::signal(SIGINT, old_int);
  std::signal(SIGQUIT, old_quit);
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace wh::jail
