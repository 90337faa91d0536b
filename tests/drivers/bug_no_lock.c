// The echo driver, but nothing is locked exclusively.
#include <sys/conf.h>

#undef sx_xlock
#undef sx_xunlock
#define sx_xlock(sx) ((void)(sx))
#define sx_xunlock(sx) ((void)(sx))

#include "../../examples/dev/echo/echo.c"
