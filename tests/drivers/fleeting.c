// No bug: a device that goes when it is written to, from inside its own method, and whose softc goes
// after it.
#include <sys/param.h>
#include <sys/conf.h>
#include <sys/kernel.h>
#include <sys/malloc.h>
#include <sys/module.h>
#include <sys/systm.h>
#include <sys/uio.h>

MALLOC_DEFINE(M_FLEETING, "fleeting", "Softcs of fleeting devices");

struct fleeting_softc {
    struct cdev *dev;
    int inside;
};

static void
fleeting_gone(void *arg)
{
    struct fleeting_softc *sc = arg;

    printf("gone with %d inside\n", sc->inside);
    free(sc, M_FLEETING);
}

static int
fleeting_write(struct cdev *dev, struct uio *uio, int ioflag)
{
    struct fleeting_softc *sc = dev->si_drv1;
    char bytes[16];
    int error;

    sc->inside++;
    destroy_dev_sched_cb(dev, fleeting_gone, sc);
    pause("later", 5);
    error = uiomove(bytes, MIN(sizeof(bytes), uio->uio_resid), uio);
    sc->inside--;
    return (error);
}

static struct cdevsw fleeting_cdevsw = {
    .d_version = D_VERSION,
    .d_write = fleeting_write,
    .d_name = "fleeting"
};

static int
fleeting_modevent(module_t mod, int type, void *data)
{
    struct make_dev_args args;
    struct fleeting_softc *sc;
    int error;

    if (type == MOD_UNLOAD)
        return (0); /* The kernel waits for what was scheduled. */
    if (type != MOD_LOAD)
        return (EOPNOTSUPP);
    sc = malloc(sizeof(*sc), M_FLEETING, M_WAITOK | M_ZERO);
    make_dev_args_init(&args);
    args.mda_flags = MAKEDEV_WAITOK | MAKEDEV_CHECKNAME;
    args.mda_devsw = &fleeting_cdevsw;
    args.mda_mode = 0600;
    args.mda_si_drv1 = sc;
    error = make_dev_s(&args, &sc->dev, "fleeting");
    if (error != 0)
        free(sc, M_FLEETING);
    return (error);
}

DEV_MODULE(fleeting, fleeting_modevent, NULL);
