#include "host/netns.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "host/system.h"

namespace wh::host {
namespace {

// Runs a function in a child and waits for it. It runs as the child's preparation, so whatever goes
// wrong in it is the error here; the child itself has nothing left to do.
Result<void> run_in_child(std::function<Result<void>()> function) {
  Child child = TRY(Child::run({.prepare = std::move(function)}, [] { return 0; }));
  child.wait();
  return {};
}

// The same for a function that opens a descriptor, which is passed back.
Result<Fd> open_in_child(const std::function<Result<Fd>()>& function) {
  auto [ours, theirs] = TRY(make_socket_pair(SOCK_STREAM));
  TRY(run_in_child([&, to = theirs.raw()]() -> Result<void> {
    const Fd made = TRY(function());
    return send_fd(to, made.raw());
  }));
  return receive_fd(ours.raw());
}

// In a child: a new network namespace for it.
Result<Fd> unshare_network() {
  if (::unshare(CLONE_NEWNET) != 0) return os_error("make a network namespace");
  Rtnetlink kernel = TRY(Rtnetlink::open());
  TRY(kernel.set_up("lo"));
  return open_file("/proc/self/ns/net", O_RDONLY);
}

}  // namespace

Result<void> enter_own_users() {
  const uid_t uid = ::geteuid();
  const gid_t gid = ::getegid();
  if (::unshare(CLONE_NEWUSER) != 0) return os_error("make a user namespace");
  // A process without privilege may map its own group only once it has given up setgroups(2).
  TRY(write_file("/proc/self/setgroups", "deny"));
  TRY(write_file("/proc/self/uid_map", fmt::format("0 {} 1", uid)));
  TRY(write_file("/proc/self/gid_map", fmt::format("0 {} 1", gid)));
  return {};
}

Result<Netns> Netns::make(Users users) {
  if (users == Users::Auto) {
    auto plain = ::geteuid() == 0 ? make(Users::Host) : make(Users::Own);
    // A root without CAP_SYS_ADMIN, as in many containers, is like anybody else.
    if (plain || ::geteuid() != 0) return plain;
    auto own = make(Users::Own);
    return own ? std::move(own) : std::move(plain);
  }
  if (users == Users::Host) {
    return Netns(Fd(), TRY(open_in_child([] { return unshare_network(); })));
  }
  Fd user = TRY(open_in_child([]() -> Result<Fd> {
    TRY(enter_own_users());
    return TRY(open_file("/proc/self/ns/user", O_RDONLY));
  }));
  return Netns(std::move(user), Fd()).make_beside();
}

Result<Netns> Netns::of_process(pid_t pid) {
  Fd user = TRY(open_file(fmt::format("/proc/{}/ns/user", pid), O_RDONLY));
  Fd net = TRY(open_file(fmt::format("/proc/{}/ns/net", pid), O_RDONLY));
  struct stat ours {
  }, theirs{};
  // One cannot enter the user namespace that one is in.
  if (::stat("/proc/self/ns/user", &ours) == 0 && ::fstat(user.raw(), &theirs) == 0 &&
      ours.st_ino == theirs.st_ino) {
    user.close();
  }
  return Netns(std::move(user), std::move(net));
}

Result<Netns> Netns::make_beside() const {
  Fd user;
  if (user_) user = Fd(::fcntl(user_.raw(), F_DUPFD_CLOEXEC, 3));
  if (user_ && !user) return os_error("duplicate a descriptor");
  Fd net = TRY(open_in_child([&]() -> Result<Fd> {
    TRY(enter_users());
    return unshare_network();
  }));
  return Netns(std::move(user), std::move(net));
}

Result<void> Netns::enter_users() const {
  if (user_ && ::setns(user_.raw(), CLONE_NEWUSER) != 0) return os_error("enter a user namespace");
  return {};
}

Result<void> Netns::enter() const {
  TRY(enter_users());
  if (::setns(net_.raw(), CLONE_NEWNET) != 0) return os_error("enter a network namespace");
  return {};
}

Child::Options Netns::inside(Child::Options options) const {
  options.prepare = [this, prepare = std::move(options.prepare)]() -> Result<void> {
    TRY(enter());
    return prepare ? prepare() : Result<void>{};
  };
  return options;
}

Result<Child> Netns::run(Child::Options options, std::function<int()> function) const {
  return Child::run(inside(std::move(options)), std::move(function));
}

Result<Child> Netns::run_program(Child::Options options, std::vector<std::string> arguments) const {
  return Child::run_program(inside(std::move(options)), std::move(arguments));
}

Result<void> Netns::call(const std::function<Result<void>()>& function) const {
  return run_in_child([&]() -> Result<void> {
    TRY(enter());
    return function();
  });
}

Result<Fd> Netns::open(const std::function<Result<Fd>()>& function) const {
  return open_in_child([&]() -> Result<Fd> {
    TRY(enter());
    return function();
  });
}

Result<Rtnetlink> Netns::netlink() const {
  Fd socket = TRY(open([]() -> Result<Fd> { return TRY(Rtnetlink::open()).release(); }));
  return Rtnetlink::adopt(std::move(socket));
}

Result<void> Netns::set_sysctl(std::string name, std::string value) const {
  std::replace(name.begin(), name.end(), '.', '/');
  return call([&] { return write_file("/proc/sys/" + name, value); });
}

std::string Netns::path() const {
  return fmt::format("/proc/{}/fd/{}", ::getpid(), net_.raw());
}

uint64_t Netns::inode() const {
  struct stat info {};
  CHECK_EQ(::fstat(net_.raw(), &info), 0);  // An open descriptor.
  return info.st_ino;
}

}  // namespace wh::host
