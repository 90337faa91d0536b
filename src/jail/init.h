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
#include "jail/registry.h"

namespace wh::jail {

struct InitPlan {
  const Entry& entry;
  int lock = -1;  // Of the jail's folder, held.
  std::vector<std::string>
      ancestors;  // Folders, nearest first: the maker's own jail, then those above.
  bool dies_with_maker = true;
  int go = -1,
      report = -1;  // Pipes: from the maker when it has done its part; to it: "" or why not.
};

constexpr const char* kReady = "ready";  // What init reports when all is well.

// Becomes the jail's init. Never returns.
[[noreturn]] void run_init(const InitPlan& plan);

}  // namespace wh::jail
