// The echo driver, but nobody wakes a blocked reader or writer.
#include <sys/conf.h>

#define wakeup(chan) ((void)(chan))

#include "../../examples/dev/echo/echo.c"
