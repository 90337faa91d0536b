// /dev/random: bytes from the kernel's seeded generator; the same seed gives the same bytes.
//
// What is written is taken, as random(4) takes it, and changes nothing here.
#include <sys/param.h>
#include <sys/conf.h>
#include <sys/filio.h>
#include <sys/kernel.h>
#include <sys/module.h>
#include <sys/systm.h>
#include <sys/uio.h>

static struct cdev *randomdev;

static int
random_read(struct cdev *dev, struct uio *uio, int ioflag)
{
    uint32_t words[256];
    int error;

    error = 0;
    while (uio->uio_resid > 0 && error == 0) {
        for (size_t i = 0; i < nitems(words); i++)
            words[i] = arc4random();
        error = uiomove(words, MIN(uio->uio_resid, sizeof(words)), uio);
    }
    return (error);
}

static int
random_write(struct cdev *dev, struct uio *uio, int ioflag)
{
    char stirred[256];
    int error;

    error = 0;
    while (uio->uio_resid > 0 && error == 0)
        error = uiomove(stirred, MIN(uio->uio_resid, sizeof(stirred)), uio);
    return (error);
}

static int
random_ioctl(struct cdev *dev, u_long cmd, caddr_t data, int fflag,
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

static struct cdevsw random_cdevsw = {
    .d_version = D_VERSION,
    .d_read = random_read,
    .d_write = random_write,
    .d_ioctl = random_ioctl,
    .d_name = "random"
};

static int
random_modevent(module_t mod, int type, void *data)
{
    struct make_dev_args args;

    switch (type) {
    case MOD_LOAD:
        make_dev_args_init(&args);
        args.mda_flags = MAKEDEV_WAITOK | MAKEDEV_CHECKNAME;
        args.mda_devsw = &random_cdevsw;
        args.mda_uid = UID_ROOT;
        args.mda_gid = GID_WHEEL;
        args.mda_mode = 0644;
        return (make_dev_s(&args, &randomdev, "random"));
    case MOD_UNLOAD:
        destroy_dev(randomdev);
        return (0);
    default:
        return (EOPNOTSUPP);
    }
}

DEV_MODULE(random, random_modevent, NULL);
