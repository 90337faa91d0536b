// /dev/zero and /dev/full: zeroes without end. What is written vanishes, or finds no room.
//
// One switch for two devices: which one is si_drv0, their unit. After zero(4), full(4).
#include <sys/param.h>
#include <sys/conf.h>
#include <sys/filio.h>
#include <sys/kernel.h>
#include <sys/module.h>
#include <sys/systm.h>
#include <sys/uio.h>

enum { ZERO, FULL, UNITS };

static const char zeroes[65536];
static struct cdev *devs[UNITS];

static int
zero_read(struct cdev *dev, struct uio *uio, int ioflag)
{
    int error;

    error = 0;
    while (uio->uio_resid > 0 && error == 0)
        error = uiomove((void *)zeroes, MIN(uio->uio_resid, sizeof(zeroes)), uio);
    return (error);
}

static int
zero_write(struct cdev *dev, struct uio *uio, int ioflag)
{
    if (dev2unit(dev) == FULL)
        return (ENOSPC);
    uio->uio_resid = 0;
    return (0);
}

static int
zero_ioctl(struct cdev *dev, u_long cmd, caddr_t data, int fflag,
    struct thread *td)
{
    switch (cmd) {
    case FIONBIO:
        return (0);
    case FIOASYNC:
        return (*(int *)data != 0 ? EINVAL : 0);
    default:
        return (ENOIOCTL);
    }
}

static struct cdevsw zero_cdevsw = {
    .d_version = D_VERSION,
    .d_read = zero_read,
    .d_write = zero_write,
    .d_ioctl = zero_ioctl,
    .d_name = "zero"
};

static void
zero_destroy(void)
{
    for (int unit = 0; unit < UNITS; unit++) {
        if (devs[unit] != NULL)
            destroy_dev(devs[unit]);
        devs[unit] = NULL;
    }
}

static int
zero_create(void)
{
    static const char *names[UNITS] = {"zero", "full"};
    struct make_dev_args args;
    int error;

    for (int unit = 0; unit < UNITS; unit++) {
        make_dev_args_init(&args);
        args.mda_flags = MAKEDEV_WAITOK | MAKEDEV_CHECKNAME;
        args.mda_devsw = &zero_cdevsw;
        args.mda_uid = UID_ROOT;
        args.mda_gid = GID_WHEEL;
        args.mda_mode = 0666;
        args.mda_unit = unit;
        error = make_dev_s(&args, &devs[unit], "%s", names[unit]);
        if (error != 0) {
            zero_destroy();
            return (error);
        }
    }
    return (0);
}

static int
zero_modevent(module_t mod, int type, void *data)
{
    switch (type) {
    case MOD_LOAD:
        return (zero_create());
    case MOD_UNLOAD:
        zero_destroy();
        return (0);
    default:
        return (EOPNOTSUPP);
    }
}

DEV_MODULE(zero, zero_modevent, NULL);
