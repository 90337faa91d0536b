// A disk in memory, /dev/md0: read and written in whole sectors, at its offsets.
//
// The disk ioctls tell its size; a program may map it. A transfer that is no whole number of
// sectors, or begins between two, is EINVAL; past the end there is EOF for a reader and ENOSPC for
// a writer. While somebody has it open, a polite kldunload is refused. After md(4) and disk(9).
#include <sys/param.h>
#include <sys/conf.h>
#include <sys/disk.h>
#include <sys/fcntl.h>
#include <sys/filio.h>
#include <sys/kernel.h>
#include <sys/lock.h>
#include <sys/malloc.h>
#include <sys/module.h>
#include <sys/sx.h>
#include <sys/systm.h>
#include <sys/uio.h>
#include <vm/pmap.h>
#include <vm/vm.h>

#define MD_SECTOR 512
#define MD_SIZE   (4 << 20)

MALLOC_DEFINE(M_MD, "md_disk", "Sectors of memory disks");

struct md_softc {
    struct cdev *dev;
    void *base;    /* what malloc gave */
    char *sectors; /* its first whole page */
    struct sx lock;
    u_int opens;
};

static int
md_open(struct cdev *dev, int fflag, int devtype, struct thread *td)
{
    struct md_softc *sc = dev->si_drv1;

    sx_xlock(&sc->lock);
    sc->opens++;
    sx_xunlock(&sc->lock);
    return (0);
}

static int
md_close(struct cdev *dev, int fflag, int devtype, struct thread *td)
{
    struct md_softc *sc = dev->si_drv1;

    sx_xlock(&sc->lock);
    sc->opens--;
    sx_xunlock(&sc->lock);
    return (0);
}

static int
md_strategy(struct md_softc *sc, struct uio *uio)
{
    size_t todo;
    int error;

    if (uio->uio_offset < 0 || uio->uio_offset % MD_SECTOR != 0 ||
        uio->uio_resid % MD_SECTOR != 0)
        return (EINVAL);
    if (uio->uio_offset >= MD_SIZE)
        return (uio->uio_rw == UIO_READ || uio->uio_resid == 0 ? 0 : ENOSPC);
    todo = MIN(uio->uio_resid, MD_SIZE - uio->uio_offset);
    if (uio->uio_rw == UIO_READ)
        sx_slock(&sc->lock);
    else
        sx_xlock(&sc->lock);
    error = uiomove(sc->sectors + uio->uio_offset, todo, uio);
    sx_unlock(&sc->lock);
    return (error);
}

static int
md_rw(struct cdev *dev, struct uio *uio, int ioflag)
{
    return (md_strategy(dev->si_drv1, uio));
}

static int
md_ioctl(struct cdev *dev, u_long cmd, caddr_t data, int fflag,
    struct thread *td)
{
    switch (cmd) {
    case DIOCGSECTORSIZE:
        *(u_int *)data = MD_SECTOR;
        return (0);
    case DIOCGMEDIASIZE:
        *(off_t *)data = MD_SIZE;
        return (0);
    case FIONBIO:
        return (0);
    case FIOASYNC:
        return (*(int *)data != 0 ? EINVAL : 0);
    default:
        return (ENOTTY);
    }
}

static int
md_mmap(struct cdev *dev, vm_ooffset_t offset, vm_paddr_t *paddr, int nprot,
    vm_memattr_t *memattr)
{
    struct md_softc *sc = dev->si_drv1;

    if (offset < 0 || offset >= MD_SIZE)
        return (-1);
    *paddr = vtophys(sc->sectors + offset);
    return (0);
}

static struct cdevsw md_cdevsw = {
    .d_version = D_VERSION,
    .d_flags = D_TRACKCLOSE | D_DISK,
    .d_open = md_open,
    .d_close = md_close,
    .d_read = md_rw,
    .d_write = md_rw,
    .d_ioctl = md_ioctl,
    .d_mmap = md_mmap,
    .d_name = "md"
};

static void
md_free(struct md_softc *sc)
{
    free(sc->base, M_MD);
    sx_destroy(&sc->lock);
    free(sc, M_MD);
}

static int
md_create(struct md_softc **scp)
{
    struct make_dev_args args;
    struct md_softc *sc;
    int error;

    sc = malloc(sizeof(*sc), M_MD, M_WAITOK | M_ZERO);
    sx_init(&sc->lock, "md");
    sc->base = malloc(MD_SIZE + PAGE_SIZE, M_MD, M_WAITOK | M_ZERO);
    sc->sectors = (char *)round_page(sc->base);
    make_dev_args_init(&args);
    args.mda_flags = MAKEDEV_WAITOK | MAKEDEV_CHECKNAME;
    args.mda_devsw = &md_cdevsw;
    args.mda_uid = UID_ROOT;
    args.mda_gid = GID_OPERATOR;
    args.mda_mode = 0640;
    args.mda_si_drv1 = sc;
    error = make_dev_s(&args, &sc->dev, "md0");
    if (error != 0)
        md_free(sc);
    else
        *scp = sc;
    return (error);
}

static int
md_modevent(module_t mod, int type, void *data)
{
    static struct md_softc *md;
    int error;

    switch (type) {
    case MOD_LOAD:
        return (md_create(&md));
    case MOD_QUIESCE:
        sx_slock(&md->lock);
        error = md->opens != 0 ? EBUSY : 0;
        sx_sunlock(&md->lock);
        return (error);
    case MOD_UNLOAD:
        destroy_dev(md->dev);
        md_free(md);
        return (0);
    default:
        return (EOPNOTSUPP);
    }
}

DEV_MODULE(md, md_modevent, NULL);
