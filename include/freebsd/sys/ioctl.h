// FreeBSD's <sys/ioctl.h>, for drivers: not the host's, whose FIONREAD carries no size. See dev/kpi.h.
#pragma once
#include "dev/kpi.h"
