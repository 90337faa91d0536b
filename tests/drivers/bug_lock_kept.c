// The echo driver, but a shared lock is never let go.
#include <sys/conf.h>

#undef sx_sunlock
#define sx_sunlock(sx) ((void)(sx))

#include "../../examples/dev/echo/echo.c"
