// A mount namespace: what this process mounts, only it and its children see.
//
//   TRY(enter_private_mounts());
//   TRY(bind_tree("/dev", "/tmp/behind"));   // gone with the last process inside
#pragma once

#include <string>

#include "core/result.h"

namespace wh::host {

// For the calling process, for good. Anybody but root first becomes root of a user namespace of
// their own. REQUIRES: one thread. Errors: the machine does not allow it.
Result<void> enter_private_mounts();

// Shows the folder `from`, with all that is mounted below it, at the folder `to` too.
Result<void> bind_tree(const std::string& from, const std::string& to);

// Takes away what is mounted at `path`, once nobody uses it any more.
void unmount(const std::string& path);

}  // namespace wh::host
