// FreeBSD's <sys/param.h>, for drivers: the host's own, then dev/kpi.h.
#pragma once
#include_next <sys/param.h>
#include "dev/kpi.h"
