// No bug: what drivers older than the articles' do, one device for each way. "old0" was made by
// make_dev, "by_p" by make_dev_p and "by_cred" by make_dev_credf; each keeps data for each open,
// which d_close still has.
#include <sys/types.h>
#include <sys/systm.h>
#include <sys/param.h>
#include <sys/module.h>
#include <sys/kernel.h>
#include <sys/condvar.h>
#include <sys/conf.h>
#include <sys/ioccom.h>
#include <sys/limits.h>
#include <sys/lock.h>
#include <sys/mutex.h>
#include <sys/uio.h>
#include <sys/malloc.h>
#include <sys/vnode.h>

MALLOC_DEFINE(M_MANNERS, "manners", "Texts of manners");

#define MANNERS_VALUE _IO('m', 1)
#define MANNERS_INT _IOWINT('m', 2)
#define MANNERS_WAIT _IO('m', 3)
#define MANNERS_WAKE _IO('m', 4)
#define MANNERS_DOZE _IO('m', 5)

static struct mtx manners_mtx;
static struct cv manners_cv;
MTX_SYSINIT(manners_mtx, &manners_mtx, "manners", MTX_DEF);

static struct cdev *old, *by_p, *by_cred, *alias;
static char *text;
static const int text_size = 32;

static void
manners_drop(void *data)
{
    uprintf("dropped %s\n", (char *)data);
    free(data, M_MANNERS);
}

static int
manners_open(struct cdev *dev, int oflags, int devtype, struct thread *td)
{
    char *name;

    name = mallocarray(8, sizeof(char), M_MANNERS, M_WAITOK);
    strlcpy(name, devtoname(dev), 8);
    return (devfs_set_cdevpriv(name, manners_drop));
}

static int
manners_close(struct cdev *dev, int fflag, int devtype, struct thread *td)
{
    void *data;
    int error;

    MPASS((fflag & FLASTCLOSE) != 0); /* D_TRACKCLOSE is not set. */
    error = devfs_get_cdevpriv(&data);
    uprintf("closed %s\n", error == 0 ? (char *)data : "nothing");
    return (0);
}

static int
manners_read(struct cdev *dev, struct uio *uio, int ioflag)
{
    return (uiomove_frombuf(text, text_size, uio));
}

static int
manners_write(struct cdev *dev, struct uio *uio, int ioflag)
{
    size_t amt;
    int error;

    if (dev2unit(dev) == 7)
        return (ERESTART);
    amt = ulmin(uio->uio_resid, imax(text_size - uio->uio_offset, 0));
    error = uiomove(text + uio->uio_offset, amt, uio);
    return (error == 0 && uio->uio_resid != 0 ? ERESTART : error);
}

static int
manners_ioctl(struct cdev *dev, u_long cmd, caddr_t data, int fflag, struct thread *td)
{
    int error;

    switch (cmd) {
    case MANNERS_VALUE:
        return (*(caddr_t *)data == (caddr_t)text ? 0 : (int)(uintptr_t)*(caddr_t *)data);
    case MANNERS_INT:
        return (*(int *)data);
    case MANNERS_WAKE:
        cv_broadcast(&manners_cv);
        return (0);
    case MANNERS_WAIT:
    case MANNERS_DOZE:
        mtx_lock(&manners_mtx);
        error = cmd == MANNERS_WAIT ? cv_wait_sig(&manners_cv, &manners_mtx)
                                    : cv_timedwait(&manners_cv, &manners_mtx, 5);
        mtx_assert(&manners_mtx, MA_OWNED);
        mtx_unlock(&manners_mtx);
        return (error);
    default:
        return (ENOIOCTL);
    }
}

static struct cdevsw manners_cdevsw = {
    .d_version = D_VERSION,
    .d_open = manners_open,
    .d_close = manners_close,
    .d_read = manners_read,
    .d_write = manners_write,
    .d_ioctl = manners_ioctl,
    .d_name = "manners",
};

static int
manners_loader(struct module *m __unused, int what, void *arg __unused)
{
    int error = 0;

    CTASSERT(sizeof(int) == 4);
    MPASS(roundup2(5, 4) == 8);
    switch (what) {
    case MOD_LOAD:
        cv_init(&manners_cv, "manners");
        text = malloc(text_size, M_MANNERS, M_WAITOK | M_ZERO);
        old = make_dev(&manners_cdevsw, 7, UID_ROOT, GID_WHEEL, 0600, "old%d", 0);
        error = make_dev_p(MAKEDEV_CHECKNAME | MAKEDEV_WAITOK, &by_p, &manners_cdevsw, 0, UID_ROOT,
            GID_OPERATOR, 0666, "by_p");
        if (error == 0)
            error = make_dev_alias_p(MAKEDEV_WAITOK, &alias, by_p, "by/other");
        alias = make_dev_alias(old, "by/old%d", 0);
        by_cred = make_dev_credf(MAKEDEV_CHECKNAME, &manners_cdevsw, 3, NULL, UID_ROOT, GID_WHEEL,
            0644, "by_cred");
        MPASS(make_dev_credf(MAKEDEV_CHECKNAME, &manners_cdevsw, INT_MAX, NULL, UID_ROOT, GID_WHEEL,
            0644, "by_cred") == NULL);
        break;
    case MOD_UNLOAD:
        destroy_dev(old);
        destroy_dev(by_p);
        destroy_dev_sched(by_cred);
        destroy_dev_drain(&manners_cdevsw);
        cv_destroy(&manners_cv);
        free(text, M_MANNERS);
        break;
    default:
        error = EOPNOTSUPP;
        break;
    }
    return (error);
}

DEV_MODULE(manners, manners_loader, NULL);
