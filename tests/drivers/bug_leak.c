// The echo driver, but its softc is never freed.
#include <sys/conf.h>

#undef free
#define free(p, type) ((void*)(p) == (void*)sc ? (void)0 : wh_free(p, type))

#include "../../examples/dev/echo/echo.c"
