// A driver whose read spins for ever, and whose unload therefore waits for ever.
#include <sys/conf.h>

static struct cdev *dev;

static int
stuck_read(struct cdev *d, struct uio *uio, int ioflag)
{
    static volatile int forever = 1;
    static volatile unsigned turns;

    while (forever)
        turns++;
    return (0);
}

static struct cdevsw stuck_cdevsw = {
    .d_version = D_VERSION,
    .d_read = stuck_read,
    .d_name = "stuck"
};

static int
stuck_modevent(module_t mod, int type, void *data)
{
    struct make_dev_args args;

    switch (type) {
    case MOD_LOAD:
        make_dev_args_init(&args);
        args.mda_flags = MAKEDEV_WAITOK | MAKEDEV_CHECKNAME;
        args.mda_devsw = &stuck_cdevsw;
        args.mda_mode = 0600;
        return (make_dev_s(&args, &dev, "stuck"));
    case MOD_UNLOAD:
        destroy_dev(dev);
        return (0);
    default:
        return (EOPNOTSUPP);
    }
}

DEV_MODULE(stuck, stuck_modevent, NULL);
