// The echo driver, but it takes one byte more than there is room for.
#include <sys/conf.h>

#undef MIN
#define MIN(a, b) ((a) < (b) ? (a) : (b) + 1)

#include "../../examples/dev/echo/echo.c"
