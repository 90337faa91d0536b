// The echo driver, but FIONREAD gives what can be written.
#include <sys/conf.h>
#include <sys/filio.h>

#undef FIONREAD
#undef FIONWRITE
#define FIONREAD _IOR('f', 119, int)
#define FIONWRITE _IOR('f', 127, int)

#include "../../examples/dev/echo/echo.c"
