// A network namespace: another network stack of the Linux kernel, on this machine, for a while.
//
//   auto space = TRY(Netns::make());
//   auto tap = TRY(TapInterface::open({.device = "tap0", ...}, space, loop, pool));
//   auto kernel = TRY(space.netlink());
//   TRY(kernel.add_address("tap0", prefix));
//   auto child = TRY(space.run_program({}, {"ping", "-c1", "10.0.0.1"}));
//
// Namespaces are anonymous: nothing holds one but descriptors, so it goes with the last of them
// (and of the processes inside), after `kill -9` too. `nsenter --net=PATH`, with path(), gets in
// from a shell. This process never enters one: work *inside* is done by a child that enters and
// answers.
//
// As root the namespace is made as it is. Anybody else gets a user namespace around it, in which
// they are root (and nobody else exists), where the machine allows that. A descriptor made inside
// (a netlink socket, a TAP) works outside as well: the kernel grants the owner of a user namespace
// every right over it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/result.h"
#include "host/child.h"
#include "host/fd.h"
#include "host/rtnetlink.h"

namespace wh::host {

class Netns {
 public:
  enum class Users : uint8_t {
    Auto,  // Own unless this is root.
    Host,  // The users of this process; takes CAP_SYS_ADMIN.
    Own,   // A user namespace of its own.
  };

  // With only a loopback interface, which is up. Errors: no right to, or the machine's limits.
  static Result<Netns> make(Users users = Users::Auto);

  // The one that a process of ours, in namespaces of its own, is in. Errors: it has gone; no right
  // to.
  static Result<Netns> of_process(pid_t pid);

  // Another with the same users, so that a cable can be laid between the two.
  Result<Netns> make_beside() const;

  // For the calling process, for good, so in a child: Child::Options::prepare does this.
  Result<void> enter() const;

  // Like their namesakes of Child, inside.
  Result<Child> run(Child::Options options, std::function<int()> function) const;
  Result<Child> run_program(Child::Options options, std::vector<std::string> arguments) const;

  // Runs a function inside, in a child, and waits for it: what it returns is the result here.
  Result<void> call(const std::function<Result<void>()>& function) const;
  // The same for a function that makes a descriptor, which stays bound to this namespace.
  Result<Fd> open(const std::function<Result<Fd>()>& function) const;

  Result<Rtnetlink> netlink() const;
  // "net.ipv4.tcp_congestion_control" and its like. Errors: no such name, value refused.
  Result<void> set_sysctl(std::string name, std::string value) const;

  std::string path() const;  // /proc/PID/fd/N, good while this process lives.
  uint64_t inode() const;    // Its identity, as `readlink /proc/PID/ns/net` shows it.
  int fd() const { return net_.raw(); }
  bool has_own_users() const { return static_cast<bool>(user_); }

 private:
  Netns(Fd user, Fd net) : user_(std::move(user)), net_(std::move(net)) {}
  Result<void> enter_users() const;
  Child::Options inside(Child::Options options) const;

  Fd user_, net_;  // user_ is empty when the users are the host's.
};

// For the calling process, for good: root of a new user namespace in which nobody else exists.
// REQUIRES: one thread.
Result<void> enter_own_users();

}  // namespace wh::host
