// The echo driver, but its errors are negative, as Linux has them.
#include <sys/conf.h>

#undef ENOTTY
#define ENOTTY (-25)

#include "../../examples/dev/echo/echo.c"
