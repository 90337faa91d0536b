// The echo driver, but nobody tells kqueue(2).
#include <sys/conf.h>

#undef KNOTE_LOCKED
#define KNOTE_LOCKED(list, hint) ((void)(list))

#include "../../examples/dev/echo/echo.c"
