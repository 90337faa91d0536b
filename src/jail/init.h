// The first process of a jail: it makes the jail's namespaces fit to live in, then reaps, and holds
// them.
//
// When it dies the kernel kills everything in its process namespace, and mounts, interfaces and the
// rest go with the namespaces' last user. Unless the jail persists, it dies with the process that
// made it.
#pragma once

#include <string>
#include <vector>

#include "core/result.h"
#include "host/fd.h"
#include "jail/registry.h"

namespace wh::jail {

// A jail's folder as mounts of their own, from which nothing leads out: the folder itself, which
// the jail may only read, and the place in it for the jails below.
struct FolderTrees {
  host::Fd own, jails;
};
// Errors: no right to mount here; a kernel before 6.15 that is asked within a jail.
Result<FolderTrees> open_trees(const std::string& folder);

struct InitPlan {
  const Entry& entry;
  host::Fd lock;      // Of the jail's folder, held.
  FolderTrees trees;  // Within a jail; else empty, and init opens them.
  // Folders, nearest first: the maker's own jail, then those above.
  std::vector<host::Fd> ancestors;
  bool dies_with_maker = true;
  bool has_own_users = true;
  // Pipes: from the maker when it has done its part; to it: kReady or why not.
  host::Fd go, report;
};

constexpr const char* kReady = "ready";  // What init reports when all is well.

// Becomes the jail's init. Never returns.
[[noreturn]] void run_init(InitPlan& plan);

}  // namespace wh::jail
