// A driver whose read sleeps where nothing wakes it: no PCATCH, no wakeup, no timeout.
#include <sys/conf.h>

static struct cdev *dev;

static int
deaf_read(struct cdev *d, struct uio *uio, int ioflag)
{
    return (tsleep(d, 0, "deaf", 0));
}

static struct cdevsw deaf_cdevsw = {
    .d_version = D_VERSION,
    .d_read = deaf_read,
    .d_name = "deaf"
};

static int
deaf_modevent(module_t mod, int type, void *data)
{
    struct make_dev_args args;

    switch (type) {
    case MOD_LOAD:
        make_dev_args_init(&args);
        args.mda_flags = MAKEDEV_WAITOK | MAKEDEV_CHECKNAME;
        args.mda_devsw = &deaf_cdevsw;
        args.mda_mode = 0600;
        return (make_dev_s(&args, &dev, "deaf"));
    case MOD_UNLOAD:
        destroy_dev(dev);
        return (0);
    default:
        return (EOPNOTSUPP);
    }
}

DEV_MODULE(deaf, deaf_modevent, NULL);
