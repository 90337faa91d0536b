// The FUSE operations of a Server, one function each.
#pragma once

#include <fuse3/fuse_lowlevel.h>

#include "dev/fuse/server.h"

namespace wh::dev {

extern const ::fuse_lowlevel_ops kOperations;

}  // namespace wh::dev
