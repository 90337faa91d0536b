// The echo driver, but one sleeper is woken where there is something for several.
#include <sys/conf.h>

#define wakeup(chan) wakeup_one(chan)

#include "../../examples/dev/echo/echo.c"
