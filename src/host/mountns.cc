#include "host/mountns.h"

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include "host/netns.h"
#include "host/system.h"

namespace wh::host {

Result<void> enter_private_mounts() {
  if (::geteuid() != 0) TRY(enter_own_users());
  if (::unshare(CLONE_NEWNS) != 0) return os_error("make a mount namespace");
  // Nothing mounted from here on gets out.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return os_error("make the mounts private");
  }
  return {};
}

Result<void> bind_tree(const std::string& from, const std::string& to) {
  if (::mount(from.c_str(), to.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0) {
    return os_error("show {} at {}", from, to);
  }
  return {};
}

void unmount(const std::string& path) {
  ::umount2(path.c_str(), MNT_DETACH);
}

}  // namespace wh::host
