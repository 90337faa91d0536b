// The echo driver, but FIONREAD gives a long where the command has room for an int.
#include <sys/conf.h>

static d_ioctl_t echo_ioctl;
#define echo_ioctl(...) echo_true_ioctl(__VA_ARGS__)

#include "../../examples/dev/echo/echo.c"

#undef echo_ioctl
static int
echo_ioctl(struct cdev *dev, u_long cmd, caddr_t data, int fflag, struct thread *td)
{
    int count, error = echo_true_ioctl(dev, cmd, data, fflag, td);

    if (cmd == FIONREAD) {
        count = *(int *)data;
        *(long *)data = count;
    }
    return (error);
}
