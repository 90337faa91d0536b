// The echo driver, but a read that would block is told that there will never be more.
#include <sys/conf.h>

static d_read_t echo_read;
#define echo_read(...) echo_true_read(__VA_ARGS__)

#include "../../examples/dev/echo/echo.c"

#undef echo_read
static int
echo_read(struct cdev *dev, struct uio *uio, int ioflag)
{
    int error = echo_true_read(dev, uio, ioflag);

    return (error == EWOULDBLOCK ? 0 : error);
}
