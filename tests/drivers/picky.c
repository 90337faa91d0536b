// No bug: a device that is opened for writing, by one program at a time, or not at all.
#include <sys/param.h>
#include <sys/conf.h>
#include <sys/fcntl.h>
#include <sys/filio.h>
#include <sys/kernel.h>
#include <sys/lock.h>
#include <sys/module.h>
#include <sys/mutex.h>
#include <sys/systm.h>
#include <sys/uio.h>

static struct cdev *picky_dev;
static struct mtx picky_mtx;
static bool picky_taken;

static int
picky_open(struct cdev *dev, int oflags, int devtype, struct thread *td)
{
    int error;

    if ((oflags & FWRITE) == 0)
        return (EPERM);
    mtx_lock(&picky_mtx);
    error = picky_taken ? EBUSY : 0;
    picky_taken = true;
    mtx_unlock(&picky_mtx);
    return (error);
}

static int
picky_close(struct cdev *dev, int fflag, int devtype, struct thread *td)
{
    mtx_lock(&picky_mtx);
    picky_taken = false;
    mtx_unlock(&picky_mtx);
    return (0);
}

static int
picky_write(struct cdev *dev, struct uio *uio, int ioflag)
{
    char bytes[64];
    int error = 0;

    while (uio->uio_resid != 0 && error == 0)
        error = uiomove(bytes, MIN(sizeof(bytes), uio->uio_resid), uio);
    return (error);
}

static int
picky_ioctl(struct cdev *dev, u_long cmd, caddr_t data, int fflag, struct thread *td)
{
    return (cmd == FIONBIO || cmd == FIOASYNC ? 0 : ENOTTY);
}

static struct cdevsw picky_cdevsw = {
    .d_version = D_VERSION,
    .d_open = picky_open,
    .d_close = picky_close,
    .d_write = picky_write,
    .d_ioctl = picky_ioctl,
    .d_name = "picky"
};

static int
picky_modevent(module_t mod, int type, void *data)
{
    struct make_dev_args args;
    int error;

    switch (type) {
    case MOD_LOAD:
        mtx_init(&picky_mtx, "picky", NULL, MTX_DEF);
        make_dev_args_init(&args);
        args.mda_flags = MAKEDEV_WAITOK | MAKEDEV_CHECKNAME;
        args.mda_devsw = &picky_cdevsw;
        args.mda_mode = 0600;
        error = make_dev_s(&args, &picky_dev, "picky");
        if (error != 0)
            mtx_destroy(&picky_mtx);
        return (error);
    case MOD_UNLOAD:
        destroy_dev(picky_dev);
        mtx_destroy(&picky_mtx);
        return (0);
    default:
        return (EOPNOTSUPP);
    }
}

DEV_MODULE(picky, picky_modevent, NULL);
