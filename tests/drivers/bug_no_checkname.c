// The echo driver, but a name that exists is a panic.
#include <sys/conf.h>

#undef MAKEDEV_CHECKNAME
#define MAKEDEV_CHECKNAME 0

#include "../../examples/dev/echo/echo.c"
