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

// Where init keeps what it holds.
constexpr int kLockAt = 10, kControlAt = 11, kReportAt = 200;

Result<void> mount_on(const char* type, const std::string& target, unsigned long flags,
                      const char* data = nullptr) {
  if (::mount(type, target.c_str(), type, flags, data) != 0) {
    return host::os_error("mount {} on {}", type, target);
  }
  return {};
}

// The jail's folder, as a mount of its own that nothing leads out of, becomes the current folder.
Result<void> enter_folder(const std::string& folder) {
  const int raw = static_cast<int>(
      ::syscall(SYS_open_tree, AT_FDCWD, folder.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  // Within a jail the folder is already on such a mount, which older kernels do not copy.
  host::Fd tree(raw >= 0 ? raw : ::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!tree || ::fchdir(tree.raw()) != 0) return host::os_error("enter {}", folder);
  return {};
}

Result<void> keep_ancestors(const std::vector<std::string>& folders) {
  int at = kAncestorsAt;
  for (const std::string& folder : folders) {
    const int raw = static_cast<int>(
        ::syscall(SYS_open_tree, AT_FDCWD, folder.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
    const host::Fd tree(raw >= 0 ? raw : ::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!tree || ::dup2(tree.raw(), at) < 0) return host::os_error("open {}", folder);
    ++at;
  }
  return {};
}

// By whose credentials anybody who connects learns who init is.
Result<void> open_control() {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, "control");
  const host::Fd control(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  // bind(2) takes every kind of address by this one type.
  if (!control ||
      ::bind(control.raw(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(control.raw(), 64) != 0 || ::dup2(control.raw(), kControlAt) < 0) {
    return host::os_error("open the jail's control socket");
  }
  return {};
}

// A small /dev: the parent's nodes, bound, because none can be made in a user namespace.
Result<void> make_dev(const std::string& root, bool has_tun) {
  const std::string dev = root + "/dev", staging = dev;
  std::vector<std::pair<std::string, host::Fd>> nodes;
  std::vector<std::string> names = {"null", "zero", "full", "random", "urandom", "tty"};
  if (has_tun) names.emplace_back("net/tun");
  for (const std::string& name : names) {
    host::Fd node(static_cast<int>(::syscall(SYS_open_tree, AT_FDCWD, ("/dev/" + name).c_str(),
                                             OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)));
    if (node) nodes.emplace_back(name, std::move(node));
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

// The mount tree: private, with the jail's path as its root, and a /proc of the jail's processes.
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
  if (p.devfs_ruleset != 0) TRY(make_dev(root, p.devfs_ruleset == 5));
  const std::string proc = root + "/proc";
  if (::access(proc.c_str(), F_OK) == 0) {
    TRY(mount_on("proc", proc, MS_NOSUID | MS_NODEV | MS_NOEXEC));
    // What is the machine's and not the jail's stays out of reach of the jail's root.
    for (const char* name : {"/sysrq-trigger", "/sys/kernel", "/sys/vm", "/sys/fs", "/sys/dev"}) {
      const std::string path = proc + name;
      if (::mount(path.c_str(), path.c_str(), nullptr, MS_BIND, nullptr) != 0) continue;
      ::mount(nullptr, path.c_str(), nullptr,
              MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr);
    }
  }
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

Result<void> prepare(const InitPlan& plan) {
  const JailParams& p = plan.entry.params;
  TRY(keep_ancestors(plan.ancestors));
  TRY(enter_folder(plan.entry.folder));
  TRY(open_control());
  if (::sethostname(p.hostname.data(), p.hostname.size()) != 0)
    return host::os_error("host.hostname");
  TRY(make_network(p));
  return make_mounts(p);
}

// Nothing may be done with what init is; it only reaps.
void drop_everything() {
  Confinement nothing;
  nothing.filter.push_back(BPF_STMT(BPF_RET | BPF_K, 0x7fff0000u));  // SECCOMP_RET_ALLOW
  // What cannot be dropped here is guarded by the user namespace; init runs no code but this
  // file's.
  (void)confine(nothing);
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

void run_init(const InitPlan& plan) {
  // Everything inherited goes, but the lock and the way to report; numbers below kAncestorsAt are
  // then free.
  ::dup2(plan.lock, kLockAt);
  ::dup2(plan.report, kReportAt);
  char go = 0;
  if (::read(plan.go, &go, 1) != 1) ::_exit(1);  // The maker has gone.
  ::close_range(3, kLockAt - 1, 0);
  ::close_range(kLockAt + 1, kReportAt - 1, 0);
  ::close_range(kReportAt + 1, ~0u, 0);
  ::setsid();
  ::prctl(PR_SET_NAME, kInitName, 0, 0, 0);
  if (const auto ready = prepare(plan); !ready) {
    (void)host::write_all(kReportAt, ready.error().text);  // The maker may have gone.
    ::_exit(1);
  }
  drop_everything();
  // After the change of credentials, which clears it.
  if (plan.dies_with_maker) ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const host::Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  for (int fd = 0; fd < 3; ++fd) ::dup2(null.raw(), fd);
  (void)host::write_all(kReportAt, kReady);
  const auto kept =
      static_cast<unsigned>(kAncestorsAt) + static_cast<unsigned>(plan.ancestors.size());
  ::close_range(3, kLockAt - 1, 0);
  ::close_range(kControlAt + 1, kAncestorsAt - 1, 0);
  ::close_range(kept, ~0u, 0);
  reap();
}

}  // namespace wh::jail
