// The echo driver, but its d_close is called for the last close only: writers are never uncounted.
#include <sys/conf.h>

#undef D_TRACKCLOSE
#define D_TRACKCLOSE 0

#include "../../examples/dev/echo/echo.c"
