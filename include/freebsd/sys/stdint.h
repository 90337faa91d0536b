// FreeBSD's <sys/stdint.h>, for drivers: see dev/kpi.h.
#pragma once
#include "dev/kpi.h"
