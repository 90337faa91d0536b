// The echo device's ioctl commands, for the driver and for programs alike.
//
// After "Character Device Driver Tutorial", part 1, listing 3.
#pragma once

#include <stddef.h>
#include <sys/ioctl.h>

#define ECHODEV_GBUFSIZE _IOR('E', 100, size_t) /* get buffer size */
#define ECHODEV_SBUFSIZE _IOW('E', 101, size_t) /* set buffer size */
#define ECHODEV_CLEAR    _IO('E', 102)          /* clear buffer */
