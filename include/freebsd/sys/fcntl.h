// FreeBSD's <sys/fcntl.h>, for drivers: the host's own, then dev/kpi.h.
#pragma once
#include_next <sys/fcntl.h>
#include "dev/kpi.h"
