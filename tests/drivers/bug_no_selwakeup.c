// The echo driver, but nobody tells poll(2).
#include <sys/conf.h>

#define selwakeup(sip) ((void)(sip))

#include "../../examples/dev/echo/echo.c"
