#include "jail/init.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <net/if.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>

#include "host/rtnetlink.h"
#include "host/system.h"
#include "jail/confinement.h"

namespace wh::jail {
namespace {

// Where init keeps what it holds, besides kOwnAt and kAncestorsAt.
constexpr int kLockAt = 10, kControlAt = 11;
constexpr int kFirstFree = 200;  // While it settles, everything it was given is from here up.

Result<void> mount_on(const char* type, const std::string& target, unsigned long flags,
                      const char* data = nullptr) {
  if (::mount(type, target.c_str(), type, flags, data) != 0) {
    return host::os_error("mount {} on {}", type, target);
  }
  return {};
}

host::Fd open_tree(const std::string& path) {
  return host::Fd(static_cast<int>(
      ::syscall(SYS_open_tree, AT_FDCWD, path.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)));
}

// By whose credentials anybody who connects learns who init is.
Result<void> open_control(int folder) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // A socket's address is short, a folder's name may be long.
  std::strcpy(address.sun_path, fmt::format("/proc/self/fd/{}/control", folder).c_str());
  const host::Fd control(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  // bind(2) takes every kind of address by this one type.
  if (!control ||
      ::bind(control.raw(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(control.raw(), 64) != 0 || ::dup2(control.raw(), kControlAt) < 0) {
    return host::os_error("open the jail's control socket");
  }
  return {};
}

// The jail's folder: the jail reads it, but what it says of limits is not the jail's to write.
Result<void> enter_folder(FolderTrees& trees, const std::string& folder) {
  if (!trees.own) {
    if (auto made = open_trees(folder)) {
      trees = *std::move(made);
    } else {
      trees.own = TRY(host::open_file(folder, O_PATH | O_DIRECTORY));
      trees.jails = TRY(host::open_file(folder + "/jails", O_PATH | O_DIRECTORY));
    }
  }
  TRY(open_control(trees.own.raw()));
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  // Fails where the folder is no mount of its own. It then stays writable; limit_children() holds.
  ::syscall(SYS_mount_setattr, trees.own.raw(), "", AT_EMPTY_PATH, &attributes, sizeof attributes);
  if (::dup2(trees.own.raw(), kOwnAt) < 0 || ::fchdir(trees.jails.raw()) != 0) {
    return host::os_error("enter {}", folder);
  }
  return {};
}

// A small /dev: the parent's nodes, bound, because none can be made in a user namespace, and
// whatever else it is given.
Result<void> make_dev(const std::string& root, const JailParams& p) {
  const std::string dev = root + "/dev";
  const bool has_tun = p.devfs_ruleset == 5;
  std::vector<std::pair<std::string, host::Fd>> nodes;
  std::vector<std::string> names = {"null", "zero", "full", "random", "urandom", "tty"};
  if (has_tun) names.emplace_back("net/tun");
  for (const std::string& name : names) {
    host::Fd node = open_tree("/dev/" + name);
    if (node) nodes.emplace_back(name, std::move(node));
  }
  for (const std::string& path : p.devices) {
    host::Fd node = open_tree(path);
    if (!node) return host::os_error("devfs.unhide: {}", path);
    nodes.emplace_back(path.substr(path.rfind('/') + 1), std::move(node));
  }
  TRY(mount_on("tmpfs", dev, MS_NOSUID, "mode=755,size=64k"));
  if (has_tun) ::mkdir((dev + "/net").c_str(), 0755);
  for (const auto& [name, node] : nodes) {
    const std::string path = dev + "/" + name;
    const host::Fd file(::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0666));
    if (::syscall(SYS_move_mount, node.raw(), "", AT_FDCWD, path.c_str(),
                  MOVE_MOUNT_F_EMPTY_PATH) != 0) {
      return host::os_error("mount {}", path);
    }
  }
  for (const auto& [name, target] :
       {std::pair("fd", "/proc/self/fd"), std::pair("stdin", "/proc/self/fd/0"),
        std::pair("stdout", "/proc/self/fd/1"), std::pair("stderr", "/proc/self/fd/2")}) {
    if (::symlink(target, (dev + "/" + name).c_str()) != 0)
      return host::os_error("make {}/{}", dev, name);
  }
  return {};
}

// A /proc of the jail's processes. What is the machine's and not the jail's stays out of reach of
// the jail's root, if it may not unmount.
Result<void> make_proc(const JailParams& p, const std::string& proc) {
  constexpr unsigned long kFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (::access(proc.c_str(), F_OK) != 0) return {};
  TRY(mount_on("proc", proc, kFlags));
  if (p.children_max > 0) {
    // A user namespace may mount proc only where it sees one without anything mounted over parts of
    // it. For the jails below there is one, in a place that the next mount covers.
    const std::string aside = proc + "/fs";
    if (::mount(proc.c_str(), aside.c_str(), nullptr, MS_BIND, nullptr) != 0) {
      return host::os_error("mount {} on {}", proc, aside);
    }
    TRY(mount_on("proc", proc, kFlags));
  }
  for (const char* name : {"/sysrq-trigger", "/sys/kernel", "/sys/vm", "/sys/fs", "/sys/dev"}) {
    const std::string path = proc + name;
    if (::mount(path.c_str(), path.c_str(), nullptr, MS_BIND, nullptr) != 0) continue;
    ::mount(nullptr, path.c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY | kFlags, nullptr);
  }
  return {};
}

// The mount tree: private, with the jail's path as its root.
Result<void> make_mounts(const JailParams& p) {
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return host::os_error("make mounts private");
  }
  if (p.path != "/") {
    if (::mount(p.path.c_str(), p.path.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0) {
      return host::os_error("path: mount {}", p.path);
    }
  }
  const std::string root = p.path == "/" ? "" : p.path;
  if (p.devfs_ruleset != 0) TRY(make_dev(root, p));
  TRY(make_proc(p, root + "/proc"));
  if (p.path == "/") return {};
  const host::Fd new_root = TRY(host::open_file(p.path, O_PATH | O_DIRECTORY));
  const host::Fd folder = TRY(host::open_file(".", O_PATH | O_DIRECTORY));
  if (::fchdir(new_root.raw()) != 0 || ::syscall(SYS_pivot_root, ".", ".") != 0 ||
      ::umount2(".", MNT_DETACH) != 0 || ::chroot(".") != 0 || ::fchdir(folder.raw()) != 0) {
    return host::os_error("path: pivot_root to {}", p.path);
  }
  return {};
}

Result<void> make_network(const JailParams& p) {
  if (p.network() == Network::Inherit) return {};
  const host::Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq loopback{};
  std::strcpy(loopback.ifr_name, "lo");
  loopback.ifr_flags = IFF_UP | IFF_RUNNING;
  if (!socket || ::ioctl(socket.raw(), SIOCSIFFLAGS, &loopback) != 0)
    return host::os_error("bring lo up");
  if (p.addresses.empty()) return {};
  auto netlink = TRY(host::Rtnetlink::open());
  for (const std::string& text : p.addresses) {
    const size_t bar = text.find('|');
    const std::string link = bar == text.npos ? "lo" : text.substr(0, bar);
    std::string address = bar == text.npos ? text : text.substr(bar + 1);
    if (address.find('/') == address.npos)
      address += address.find(':') == address.npos ? "/32" : "/128";
    TRY(netlink.add_address(link, TRY(net::parse_prefix(address))));
    TRY(netlink.set_up(link));
  }
  return {};
}

// The kernel counts process namespaces below a user namespace, made by hand or by us, and a jail
// has one: this is what holds children.max against a root who does not ask the registry.
Result<void> limit_children(const InitPlan& plan) {
  const JailParams& p = plan.entry.params;
  const bool is_held_by_filter = p.children_max == 0 && !p.allows_mount;
  if (is_held_by_filter || !plan.has_own_users) return {};
  return host::write_file("/proc/sys/user/max_pid_namespaces",
                          fmt::format("{}", p.children_max + 1));
}

Result<void> prepare(InitPlan& plan) {
  const JailParams& p = plan.entry.params;
  for (size_t i = 0; i < plan.ancestors.size(); ++i) {
    if (::dup2(plan.ancestors[i].raw(), kAncestorsAt + static_cast<int>(i)) < 0) {
      return host::os_error("keep the folder of a jail above");
    }
  }
  TRY(enter_folder(plan.trees, plan.entry.folder));
  if (::sethostname(p.hostname.data(), p.hostname.size()) != 0)
    return host::os_error("host.hostname");
  TRY(make_network(p));
  TRY(limit_children(plan));
  return make_mounts(p);
}

// Nothing may be done with what init is; it only reaps, and never becomes a program.
void drop_everything() {
  // What cannot be dropped here is guarded by the user namespace; init runs no code but this
  // file's.
  (void)keep_capabilities(0);
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  // Processes of the jail look at init's current folder through /proc.
  ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

[[noreturn]] void reap() {
  sigset_t child;
  ::sigemptyset(&child);
  ::sigaddset(&child, SIGCHLD);
  ::sigprocmask(SIG_SETMASK, &child, nullptr);
  const int signals = ::signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
  std::array<pollfd, 2> watched = {pollfd{signals, POLLIN, 0}, pollfd{kControlAt, POLLIN, 0}};
  for (;;) {
    ::poll(watched.data(), watched.size(), -1);
    signalfd_siginfo info;
    while (::read(signals, &info, sizeof info) > 0) {
    }
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    // Who connects has learnt by that who we are.
    for (int peer; (peer = ::accept4(kControlAt, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;)
      ::close(peer);
  }
}

}  // namespace

namespace {

// Moves a descriptor out of the way of the fixed numbers.
void lift(host::Fd& fd) {
  if (!fd) return;
  host::Fd lifted(::fcntl(fd.raw(), F_DUPFD_CLOEXEC, kFirstFree));
  fd = std::move(lifted);
}

void settle(InitPlan& plan) {
  for (host::Fd* fd : {&plan.lock, &plan.trees.own, &plan.trees.jails, &plan.go, &plan.report}) {
    lift(*fd);
  }
  for (host::Fd& fd : plan.ancestors) lift(fd);
  ::close_range(3, kFirstFree - 1, 0);
  ::dup2(plan.lock.raw(), kLockAt);
}

}  // namespace

Result<FolderTrees> open_trees(const std::string& folder) {
  FolderTrees trees{open_tree(folder), open_tree(folder + "/jails")};
  if (!trees.own || !trees.jails) return host::os_error("open {} as a mount", folder);
  return trees;
}

void run_init(InitPlan& plan) {
  // Everything inherited goes, but what the plan names.
  settle(plan);
  char go = 0;
  if (::read(plan.go.raw(), &go, 1) != 1) ::_exit(1);  // The maker has gone.
  ::setsid();
  ::prctl(PR_SET_NAME, kInitName, 0, 0, 0);
  if (const auto ready = prepare(plan); !ready) {
    (void)host::write_all(plan.report.raw(), ready.error().text);  // The maker may have gone.
    ::_exit(1);
  }
  drop_everything();
  // After the change of credentials, which clears it.
  if (plan.dies_with_maker) ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const host::Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  for (int fd = 0; fd < 3; ++fd) ::dup2(null.raw(), fd);
  (void)host::write_all(plan.report.raw(), kReady);
  const auto kept =
      static_cast<unsigned>(kAncestorsAt) + static_cast<unsigned>(plan.ancestors.size());
  ::close_range(3, kLockAt - 1, 0);
  ::close_range(kControlAt + 1, kOwnAt - 1, 0);
  ::close_range(kept, ~0u, 0);
  reap();
}

}  // namespace wh::jail
