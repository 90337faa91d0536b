// The echo driver, but poll(2) is told of POLLIN and not of POLLRDNORM, which is the same here.
#include <sys/conf.h>

#undef POLLRDNORM
#define POLLRDNORM 0

#include "../../examples/dev/echo/echo.c"
