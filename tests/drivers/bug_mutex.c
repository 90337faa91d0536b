// The echo driver, but its lock is a mutex: nobody may sleep with one, and uiomove() may sleep.
#include <sys/conf.h>

#undef sx_init
#define sx_init(sx, name) mtx_init(sx, name, NULL, MTX_DEF)

#include "../../examples/dev/echo/echo.c"
