// What programs ask a disk.
#pragma once
#include "dev/kpi.h"

#define DIOCGSECTORSIZE _IOR('d', 128, u_int)
#define DIOCGMEDIASIZE _IOR('d', 129, off_t)
