// The echo driver, but the last writer's close wakes no reader.
#include <sys/conf.h>
#include <sys/fcntl.h>

static d_close_t echo_close;
#define echo_close(...) echo_loud_close(__VA_ARGS__)

#include "../../examples/dev/echo/echo.c"

#undef echo_close
static int
echo_close(struct cdev *dev, int fflag, int devtype, struct thread *td)
{
    struct echodev_softc *sc = dev->si_drv1;

    if ((fflag & FWRITE) != 0) {
        sx_xlock(&sc->lock);
        sc->writers--;
        sx_xunlock(&sc->lock);
    }
    (void)echo_loud_close;
    return (0);
}
