// The echo driver, but a buffer that grows leaves the smaller one behind.
#include <sys/conf.h>

#undef reallocf
#define reallocf(buf, size, type, flags) malloc(size, type, flags)

#include "../../examples/dev/echo/echo.c"
