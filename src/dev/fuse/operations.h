// The FUSE operations of a Server, one function each.
#pragma once

#include <fuse3/fuse_lowlevel.h>

#include <string>

#include "dev/fuse/server.h"

namespace wh::dev {

extern const ::fuse_lowlevel_ops kOperations;

// The devices as `ls -l /dev` shows them on FreeBSD, less the date.
std::string list_devices(Kernel& kernel);

}  // namespace wh::dev
