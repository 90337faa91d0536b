// The echo driver, but O_NONBLOCK is not looked at.
#include <sys/conf.h>

#undef O_NONBLOCK
#define O_NONBLOCK 0

#include "../../examples/dev/echo/echo.c"
