// No bug: a control device whose ioctls make devices and take them away. It is for writers only, and
// says so before it looks at a command. What a device holds goes after the device, in a callback.
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

#define UNITS 3
#define UNIT_MAKE _IOR('u', 1, int)
#define UNIT_TAKE _IOW('u', 2, int)

MALLOC_DEFINE(M_UNITS, "units", "Units");

struct unit {
    struct cdev *dev;
    char text[16];
};

static struct unit *units[UNITS];
static struct cdev *units_dev;
static struct sx units_lock;
SX_SYSINIT(units_lock, &units_lock, "units");

static int
unit_read(struct cdev *dev, struct uio *uio, int ioflag)
{
    struct unit *u = dev->si_drv1;

    return (uiomove_frombuf(u->text, strlen(u->text), uio));
}

static struct cdevsw unit_cdevsw = {
    .d_version = D_VERSION,
    .d_read = unit_read,
    .d_name = "unit"
};

static void
unit_gone(void *arg)
{
    free(arg, M_UNITS);
}

static int
unit_make(int *number)
{
    struct make_dev_args args;
    struct unit *u;
    int error = ENOSPC, i;

    u = malloc(sizeof(*u), M_UNITS, M_WAITOK | M_ZERO);
    make_dev_args_init(&args);
    args.mda_flags = MAKEDEV_WAITOK | MAKEDEV_CHECKNAME;
    args.mda_devsw = &unit_cdevsw;
    args.mda_mode = 0444;
    args.mda_si_drv1 = u;
    sx_xlock(&units_lock);
    for (i = 0; i < UNITS && units[i] != NULL; i++)
        ;
    if (i < UNITS) {
        snprintf(u->text, sizeof(u->text), "unit %d\n", i);
        args.mda_unit = *number = i;
        error = make_dev_s(&args, &u->dev, "unit%d", i);
    }
    if (error == 0)
        units[i] = u;
    sx_xunlock(&units_lock);
    if (error != 0)
        free(u, M_UNITS);
    return (error);
}

static int
unit_take(int number)
{
    struct unit *u;

    if (number < 0 || number >= UNITS)
        return (EINVAL);
    sx_xlock(&units_lock);
    u = units[number];
    units[number] = NULL;
    sx_xunlock(&units_lock);
    if (u == NULL)
        return (ENOENT);
    destroy_dev_sched_cb(u->dev, unit_gone, u);
    return (0);
}

static int
units_ioctl(struct cdev *dev, u_long cmd, caddr_t data, int fflag, struct thread *td)
{
    if ((fflag & FWRITE) == 0)
        return (EBADF);
    switch (cmd) {
    case UNIT_MAKE:
        return (unit_make((int *)data));
    case UNIT_TAKE:
        return (unit_take(*(int *)data));
    default:
        return (ENOTTY);
    }
}

static struct cdevsw units_cdevsw = {
    .d_version = D_VERSION,
    .d_ioctl = units_ioctl,
    .d_name = "units"
};

static int
units_modevent(module_t mod, int type, void *data)
{
    int i, unused, error;

    switch (type) {
    case MOD_LOAD:
        units_dev = make_dev_credf(MAKEDEV_CHECKNAME, &units_cdevsw, 0, NULL, UID_ROOT, GID_WHEEL,
            0600, "units");
        if (units_dev == NULL)
            return (EEXIST);
        error = unit_make(&unused);
        if (error != 0)
            destroy_dev(units_dev);
        return (error);
    case MOD_UNLOAD:
        destroy_dev(units_dev);
        for (i = 0; i < UNITS; i++)
            unit_take(i);
        destroy_dev_drain(&unit_cdevsw);
        return (0);
    default:
        return (EOPNOTSUPP);
    }
}

DEV_MODULE(units, units_modevent, NULL);
