// Stage 3 of the echo driver: programs ask for the buffer's size, change it, and clear it.
//
// After "Character Device Driver Tutorial", part 1, listings 3 and 4.
#include <sys/param.h>
#include <sys/conf.h>
#include <sys/fcntl.h>
#include <sys/ioccom.h>
#include <sys/kernel.h>
#include <sys/lock.h>
#include <sys/malloc.h>
#include <sys/module.h>
#include <sys/sx.h>
#include <sys/systm.h>
#include <sys/uio.h>

#include "echodev.h"

MALLOC_DEFINE(M_ECHODEV, "echodev", "Buffers for echo device");

static char *echobuf;
static size_t echolen;
static struct sx echolock;
SX_SYSINIT(echolock, &echolock, "echo");

static struct cdev *echodev;

static int
echo_read(struct cdev *dev, struct uio *uio, int ioflag)
{
    size_t todo;
    int error;

    sx_slock(&echolock);
    if (uio->uio_offset >= echolen) {
        error = 0;
    } else {
        todo = MIN(uio->uio_resid, echolen - uio->uio_offset);
        error = uiomove(echobuf + uio->uio_offset, todo, uio);
    }
    sx_sunlock(&echolock);
    return (error);
}

static int
echo_write(struct cdev *dev, struct uio *uio, int ioflag)
{
    size_t todo;
    int error;

    sx_xlock(&echolock);
    if (uio->uio_offset >= echolen) {
        error = EFBIG;
    } else {
        todo = MIN(uio->uio_resid, echolen - uio->uio_offset);
        error = uiomove(echobuf + uio->uio_offset, todo, uio);
    }
    sx_xunlock(&echolock);
    return (error);
}

static int
echo_ioctl(struct cdev *dev, u_long cmd, caddr_t data, int fflag,
    struct thread *td)
{
    int error;

    switch (cmd) {
    case ECHODEV_GBUFSIZE:
        sx_slock(&echolock);
        *(size_t *)data = echolen;
        sx_sunlock(&echolock);
        error = 0;
        break;
    case ECHODEV_SBUFSIZE:
    {
        size_t new_len;

        if ((fflag & FWRITE) == 0) {
            error = EPERM;
            break;
        }

        new_len = *(size_t *)data;
        sx_xlock(&echolock);
        if (new_len == echolen) {
            /* Nothing to do. */
        } else if (new_len < echolen) {
            echolen = new_len;
        } else {
            echobuf = reallocf(echobuf, new_len, M_ECHODEV,
                M_WAITOK | M_ZERO);
            echolen = new_len;
        }
        sx_xunlock(&echolock);
        error = 0;
        break;
    }
    case ECHODEV_CLEAR:
        if ((fflag & FWRITE) == 0) {
            error = EPERM;
            break;
        }

        sx_xlock(&echolock);
        memset(echobuf, 0, echolen);
        sx_xunlock(&echolock);
        error = 0;
        break;
    default:
        error = ENOTTY;
        break;
    }
    return (error);
}

static struct cdevsw echo_cdevsw = {
    .d_version = D_VERSION,
    .d_read = echo_read,
    .d_write = echo_write,
    .d_ioctl = echo_ioctl,
    .d_name = "echo"
};

static int
echodev_load(void)
{
    struct make_dev_args args;
    int error;

    echolen = 64;
    echobuf = malloc(echolen, M_ECHODEV, M_WAITOK | M_ZERO);
    make_dev_args_init(&args);
    args.mda_flags = MAKEDEV_WAITOK | MAKEDEV_CHECKNAME;
    args.mda_devsw = &echo_cdevsw;
    args.mda_uid = UID_ROOT;
    args.mda_gid = GID_WHEEL;
    args.mda_mode = 0600;
    error = make_dev_s(&args, &echodev, "echo");
    if (error != 0)
        free(echobuf, M_ECHODEV);
    return (error);
}

static int
echodev_unload(void)
{
    if (echodev != NULL)
        destroy_dev(echodev);
    free(echobuf, M_ECHODEV);
    return (0);
}

static int
echodev_modevent(module_t mod, int type, void *data)
{
    switch (type) {
    case MOD_LOAD:
        return (echodev_load());
    case MOD_UNLOAD:
        return (echodev_unload());
    default:
        return (EOPNOTSUPP);
    }
}

DEV_MODULE(echodev, echodev_modevent, NULL);
