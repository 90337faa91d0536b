// Shared mappings of files without a page cache, which libfuse 3.14 cannot ask Linux for.
//
// A device is opened for direct I/O, and Linux (since 6.6) lets programs map such a file shared
// only if the server said so when the two first spoke: FUSE_DIRECT_IO_ALLOW_MMAP, in the answer
// to FUSE_INIT. That answer is libfuse's. So it is given a socket to write it to, here, and the
// flag is added on its way to the kernel.
#pragma once

#include "core/result.h"

struct fuse_session;

namespace wh::dev {

// Takes and answers FUSE_INIT. Where the kernel does not offer the flag the answer is as it was,
// and a shared mapping is ENODEV. REQUIRES: mounted, and nobody serves the session yet.
Result<void> begin_session(::fuse_session* session);

}  // namespace wh::dev
