// FreeBSD's <sys/uio.h>, for drivers: the host's own, then dev/kpi.h.
#pragma once
#include_next <sys/uio.h>
#include "dev/kpi.h"
