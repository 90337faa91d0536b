// FreeBSD's <sys/condvar.h>, for drivers: see dev/kpi.h.
#pragma once
#include "dev/kpi.h"
