// The echo driver, but clearing it zeroes one byte more than it has.
#include <sys/conf.h>

#undef memset
#define memset(p, c, n) __builtin_memset(p, c, (n) + 1)

#include "../../examples/dev/echo/echo.c"
