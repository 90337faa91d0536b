// security.jail.*: the limits of the jail that this process is in, under FreeBSD's names.
#pragma once

#include "core/sysctl.h"

namespace wh::jail {

// Read-only leaves security.jail.children.cur and .max, and security.jail.jailed; read when asked.
// And kern.features.vimage.
void add_sysctls(SysctlTree& tree);

}  // namespace wh::jail
