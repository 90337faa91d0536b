// FreeBSD's <net/if_var.h>, for drivers: see dev/kpi.h.
#pragma once
#include "dev/kpi.h"
