// Stage 12 of the echo driver: the flat buffer of stage 4, a page of it, for programs to map.
//
// d_mmap names the memory behind each page that is touched. The buffer cannot be resized while
// somebody may have it mapped, so this stage has no ECHODEV_SBUFSIZE.
//
// What part 2 announces for part 3.
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
#include <vm/pmap.h>
#include <vm/vm.h>

#include "echodev.h"

MALLOC_DEFINE(M_ECHODEV, "echodev", "Buffers for echo device");

struct echodev_softc {
    struct cdev *dev;
    char *buf;
    size_t len;
    struct sx lock;
};

static int
echo_read(struct cdev *dev, struct uio *uio, int ioflag)
{
    struct echodev_softc *sc = dev->si_drv1;
    size_t todo;
    int error;

    sx_slock(&sc->lock);
    if (uio->uio_offset >= sc->len) {
        error = 0;
    } else {
        todo = MIN(uio->uio_resid, sc->len - uio->uio_offset);
        error = uiomove(sc->buf + uio->uio_offset, todo, uio);
    }
    sx_sunlock(&sc->lock);
    return (error);
}

static int
echo_write(struct cdev *dev, struct uio *uio, int ioflag)
{
    struct echodev_softc *sc = dev->si_drv1;
    size_t todo;
    int error;

    sx_xlock(&sc->lock);
    if (uio->uio_offset >= sc->len) {
        error = EFBIG;
    } else {
        todo = MIN(uio->uio_resid, sc->len - uio->uio_offset);
        error = uiomove(sc->buf + uio->uio_offset, todo, uio);
    }
    sx_xunlock(&sc->lock);
    return (error);
}

static int
echo_ioctl(struct cdev *dev, u_long cmd, caddr_t data, int fflag,
    struct thread *td)
{
    struct echodev_softc *sc = dev->si_drv1;
    int error;

    switch (cmd) {
    case ECHODEV_GBUFSIZE:
        sx_slock(&sc->lock);
        *(size_t *)data = sc->len;
        sx_sunlock(&sc->lock);
        error = 0;
        break;
    case ECHODEV_CLEAR:
        if ((fflag & FWRITE) == 0) {
            error = EPERM;
            break;
        }

        sx_xlock(&sc->lock);
        memset(sc->buf, 0, sc->len);
        sx_xunlock(&sc->lock);
        error = 0;
        break;
    default:
        error = ENOTTY;
        break;
    }
    return (error);
}

static int
echo_mmap(struct cdev *dev, vm_ooffset_t offset, vm_paddr_t *paddr, int nprot,
    vm_memattr_t *memattr)
{
    struct echodev_softc *sc = dev->si_drv1;

    if (offset < 0 || offset >= sc->len)
        return (-1);
    *paddr = vtophys(sc->buf + offset);
    return (0);
}

static struct cdevsw echo_cdevsw = {
    .d_version = D_VERSION,
    .d_read = echo_read,
    .d_write = echo_write,
    .d_ioctl = echo_ioctl,
    .d_mmap = echo_mmap,
    .d_name = "echo"
};

static int
echodev_create(struct echodev_softc **scp, size_t len)
{
    struct make_dev_args args;
    struct echodev_softc *sc;
    int error;

    sc = malloc(sizeof(*sc), M_ECHODEV, M_WAITOK | M_ZERO);
    sx_init(&sc->lock, "echo");
    sc->buf = malloc(len, M_ECHODEV, M_WAITOK | M_ZERO);
    sc->len = len;
    make_dev_args_init(&args);
    args.mda_flags = MAKEDEV_WAITOK | MAKEDEV_CHECKNAME;
    args.mda_devsw = &echo_cdevsw;
    args.mda_uid = UID_ROOT;
    args.mda_gid = GID_WHEEL;
    args.mda_mode = 0600;
    args.mda_si_drv1 = sc;
    error = make_dev_s(&args, &sc->dev, "echo");
    if (error != 0) {
        free(sc->buf, M_ECHODEV);
        sx_destroy(&sc->lock);
        free(sc, M_ECHODEV);
    } else
        *scp = sc;
    return (error);
}

static void
echodev_destroy(struct echodev_softc *sc)
{
    if (sc->dev != NULL)
        destroy_dev(sc->dev);
    free(sc->buf, M_ECHODEV);
    sx_destroy(&sc->lock);
    free(sc, M_ECHODEV);
}

static int
echodev_modevent(module_t mod, int type, void *data)
{
    static struct echodev_softc *echo_softc;

    switch (type) {
    case MOD_LOAD:
        return (echodev_create(&echo_softc, PAGE_SIZE));
    case MOD_UNLOAD:
        if (echo_softc != NULL)
            echodev_destroy(echo_softc);
        return (0);
    default:
        return (EOPNOTSUPP);
    }
}

DEV_MODULE(echodev, echodev_modevent, NULL);
