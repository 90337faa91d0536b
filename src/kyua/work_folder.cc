#include "kyua/work_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>

#include "host/system.h"
#include "kyua/text.h"

namespace wh::kyua {
namespace {

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};
using Folder = std::unique_ptr<DIR, CloseFolder>;

std::vector<std::string> names_in(DIR* folder) {
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(folder)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  return names;
}

// Unmounts whatever is stacked on a path of ours. Errors: it stayed mounted.
Result<void> unmount(const std::string& path) {
  // MNT_DETACH: a straggler with an open file there must not keep the folder.
  while (::umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) {
  }
  if (errno == EINVAL) return {};  // Not a mount point any more.
  return host::os_error("unmount {}", path);
}

Result<bool> is_mount_point(int parent, const std::string& name) {
  struct statx info {};
  if (::statx(parent, name.c_str(), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_TYPE, &info) !=
      0) {
    return host::os_error("look at {}", name);
  }
  return (info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

// Removes a tree, however deep: what lies deeper than kDeepest is moved up to the top, for its turn
// to come, so that neither descriptors nor the stack run out.
class TreeRemoval {
 public:
  // Removes `name` in the folder `parent`; `path` is its whole name, for unmounting and messages.
  Result<void> remove(int parent, const std::string& name, const std::string& path, int depth = 0) {
    if (TRY(is_mount_point(parent, name))) TRY(unmount(path));
    if (::unlinkat(parent, name.c_str(), 0) == 0) return {};
    if (errno != EISDIR && errno != EPERM && errno != ENOTEMPTY)
      return host::os_error("remove {}", path);
    if (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) == 0) return {};
    if (errno != ENOTEMPTY && errno != EACCES) return host::os_error("remove {}", path);
    // A folder that its owner may not read or search is made so first.
    ::fchmodat(parent, name.c_str(), 0700, 0);
    return depth == kDeepest ? move_up(parent, name, path) : empty(parent, name, path, depth);
  }

 private:
  static constexpr int kDeepest = 32;

  Result<void> empty(int parent, const std::string& name, const std::string& path, int depth) {
    constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    const int raw = ::openat(parent, name.c_str(), kFlags);
    if (raw < 0) return host::os_error("open {}", path);
    const Folder folder(::fdopendir(raw));
    CHECK(folder != nullptr);
    if (depth == 0) top_ = raw;
    for (;;) {
      const size_t moved_before = moved_;
      for (const std::string& below : names_in(folder.get())) {
        TRY(remove(raw, below, join_path(path, below), depth + 1));
      }
      if (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) == 0) return {};
      if (depth != 0 || moved_ == moved_before) return host::os_error("remove {}", path);
      ::rewinddir(folder.get());
    }
  }

  Result<void> move_up(int parent, const std::string& name, const std::string& path) {
    for (;;) {
      const std::string fresh = fmt::format("deep.{}", ++moved_);
      if (::renameat2(parent, name.c_str(), top_, fresh.c_str(), RENAME_NOREPLACE) == 0) return {};
      if (errno != EEXIST) return host::os_error("move {}", path);
    }
  }

  int top_ = -1;      // The folder that goes.
  size_t moved_ = 0;  // To there.
};

// Is a folder of ours what it was when it was made, but for its times?
bool is_as_made(const std::string& path, const std::vector<std::string>& names) {
  const Folder folder(::opendir(path.c_str()));
  if (folder == nullptr) return false;
  const int fd = ::dirfd(folder.get());
  struct statx info {};
  constexpr uint64_t kSigns = STATX_ATTR_MOUNT_ROOT | STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND;
  constexpr mode_t kBits = 07777;
  return ::statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &info) == 0 &&
         (info.stx_attributes & kSigns) == 0 && (info.stx_mode & kBits) == 0755 &&
         info.stx_uid == ::geteuid() && info.stx_gid == ::getegid() &&
         ::flistxattr(fd, nullptr, 0) <= 0 && names_in(folder.get()) == names;
}

Result<std::string> make_temporary(const std::string& temporary) {
  std::string name = join_path(temporary, "kyua." + std::string(6, 'X'));
  if (::mkdtemp(name.data()) == nullptr || ::chmod(name.c_str(), 0755) != 0) {
    return host::os_error("make a folder {}", name);
  }
  return name;
}

}  // namespace

Result<std::string> reserve_folder(const std::string& temporary) {
  std::string name = TRY(make_temporary(temporary));
  ::rmdir(name.c_str());  // Nobody else will think of the name.
  return name;
}

Result<void> remove_tree(const std::string& path) {
  if (::rmdir(path.c_str()) == 0 || errno == ENOENT) return {};
  const std::string parent = branch_path(path);
  const host::Fd folder = TRY(host::open_file(parent, O_RDONLY | O_DIRECTORY));
  return TreeRemoval().remove(folder.raw(), leaf_name(path), path);
}

Result<void> WorkFolder::make(const std::optional<User>& owner) {
  if (!top_.empty() && !owner) return {};  // As clear() found them.
  TRY(remove());
  top_ = !reserved_.empty() && ::mkdir(reserved_.c_str(), 0755) == 0
             ? reserved_
             : TRY(make_temporary(temporary_));
  const std::string inner = work();
  if (::mkdir(inner.c_str(), 0755) != 0) return host::os_error("make a folder {}", inner);
  if (!owner) return {};
  is_lent_ = true;
  for (const std::string& folder : {inner, top_}) {
    if (::chown(folder.c_str(), owner->uid, owner->gid) != 0) {
      return host::os_error("give {} to {}", folder, owner->name);
    }
  }
  return {};
}

Result<void> WorkFolder::clear() {
  if (top_.empty()) return {};
  ::unlink(result_file().c_str());
  if (!is_lent_ && is_as_made(work(), {}) && is_as_made(top_, {"work"})) return {};
  return remove();
}

Result<void> WorkFolder::remove() {
  if (top_.empty()) return {};
  auto emptied = remove_tree(work());
  auto removed = remove_tree(std::exchange(top_, ""));
  is_lent_ = false;
  if (!emptied) return emptied;
  return removed;
}

std::vector<std::string> WorkFolder::leftovers() const {
  const Folder folder(::opendir(work().c_str()));
  if (folder == nullptr) return {};
  std::vector<std::string> names = names_in(folder.get());
  std::sort(names.begin(), names.end());
  if (names.size() > kNamesShown) {
    const size_t more = names.size() - kNamesShown;
    names.resize(kNamesShown);
    names.push_back(fmt::format("and {} more", more));
  }
  return names;
}

}  // namespace wh::kyua
