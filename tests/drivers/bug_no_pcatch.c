// The echo driver, but signals do not end its sleeps.
#include <sys/conf.h>

#undef PCATCH
#define PCATCH 0

#include "../../examples/dev/echo/echo.c"
