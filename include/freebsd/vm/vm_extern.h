// FreeBSD's <vm/vm_extern.h>, for drivers: see dev/kpi.h.
#pragma once
#include "dev/kpi.h"
