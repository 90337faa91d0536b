// /dev/null: reads end at once, writes vanish.
//
// After null(4).
#include <sys/param.h>
#include <sys/conf.h>
#include <sys/kernel.h>
#include <sys/module.h>
#include <sys/systm.h>
#include <sys/filio.h>
#include <sys/uio.h>

static struct cdev *nulldev;

static int
null_read(struct cdev *dev, struct uio *uio, int ioflag)
{
    return (0);
}

static int
null_write(struct cdev *dev, struct uio *uio, int ioflag)
{
    uio->uio_resid = 0;
    return (0);
}

static int
null_ioctl(struct cdev *dev, u_long cmd, caddr_t data, int fflag,
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

static struct cdevsw null_cdevsw = {
    .d_version = D_VERSION,
    .d_read = null_read,
    .d_write = null_write,
    .d_ioctl = null_ioctl,
    .d_name = "null"
};

static int
null_modevent(module_t mod, int type, void *data)
{
    struct make_dev_args args;

    switch (type) {
    case MOD_LOAD:
        make_dev_args_init(&args);
        args.mda_flags = MAKEDEV_WAITOK | MAKEDEV_CHECKNAME;
        args.mda_devsw = &null_cdevsw;
        args.mda_uid = UID_ROOT;
        args.mda_gid = GID_WHEEL;
        args.mda_mode = 0666;
        return (make_dev_s(&args, &nulldev, "null"));
    case MOD_UNLOAD:
        destroy_dev(nulldev);
        return (0);
    default:
        return (EOPNOTSUPP);
    }
}

DEV_MODULE(null, null_modevent, NULL);
