#include "host/descriptor_limit.h"

#include <sys/resource.h>

namespace wh::host {

void allow_all_descriptors() {
  rlimit limit;
  // Neither fails for a limit that exists, up to what is allowed.
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace wh::host
