// FreeBSD's <sys/poll.h>, for drivers: the host's own, then dev/kpi.h.
#pragma once
#include_next <sys/poll.h>
#include "dev/kpi.h"
