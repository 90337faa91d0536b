// The echo driver, but it lets go of its lock before it sleeps: a wakeup in between is lost.
#include <sys/conf.h>

#undef sx_sleep
#define sx_sleep(chan, sx, pri, wmesg, timo) echo_sleep(chan, sx, pri, wmesg, timo)

static int
echo_sleep(const void *chan, struct sx *sx, int pri, const char *wmesg, int timo)
{
    int error;

    sx_xunlock(sx);
    error = tsleep(chan, pri, wmesg, timo);
    sx_xlock(sx);
    return (error);
}

#include "../../examples/dev/echo/echo.c"
