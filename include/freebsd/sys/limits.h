// FreeBSD's <sys/limits.h>, for drivers: see dev/kpi.h.
#pragma once
#include "dev/kpi.h"
