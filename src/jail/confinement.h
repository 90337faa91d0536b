// What processes in a jail may not do: capabilities and system calls taken away by its parameters.
//
// A jail's user namespace already limits its root to the jail's own namespaces; these are the
// fences within. They are put up in every process on its way in, last thing before it runs a
// program, because neither is inherited through setns(2). Where a jail has no user namespace of its
// own (a machine that refuses them to root), they are the only fence, and the README says so.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <vector>

#include "core/result.h"
#include "jail/params.h"

namespace wh::jail {

struct Confinement {
  uint64_t kept_capabilities = 0;   // A bit for each.
  std::vector<sock_filter> filter;  // A seccomp program.
};

Result<Confinement> make_confinement(const JailParams& params);
// Drops all but these from what the calling process has. One that becomes a program has more to do.
Result<void> keep_capabilities(uint64_t kept);
// For the calling process and what it starts, for good; includes no_new_privs.
Result<void> confine(const Confinement& confinement);

}  // namespace wh::jail
