// template: a character device driver to start from.
//
// /dev/template holds one message: a write replaces it, a read takes it, waiting for one while
// somebody may still write. So it blocks, does not block when asked not to, is ended by signals,
// tells poll(2) and kqueue(2), and lets itself be unloaded while somebody sleeps in it. Change what
// it holds in the softc and the places marked "The device:"; keep the rest. A device that makes
// writers wait, too, is examples/dev/echo/echo.c.
#include <sys/param.h>
#include <sys/conf.h>
#include <sys/event.h>
#include <sys/fcntl.h>
#include <sys/filio.h>
#include <sys/ioccom.h>
#include <sys/kernel.h>
#include <sys/lock.h>
#include <sys/malloc.h>
#include <sys/module.h>
#include <sys/poll.h>
#include <sys/selinfo.h>
#include <sys/sx.h>
#include <sys/systm.h>
#include <sys/uio.h>

MALLOC_DEFINE(M_TEMPLATE, "template", "Softcs of template devices");

struct template_softc {
    struct cdev *dev;
    struct sx lock;
    struct selinfo rsel;
    u_int writers;
    bool dying;
    /* The device: its state. */
    size_t valid;
    char message[4096];
};

/* The device: is there something to read, or nobody left to wait for? */
static bool
template_readable(struct template_softc *sc)
{
    return (sc->valid != 0 || sc->writers == 0);
}

/* Tells whoever waits that it may be readable now. */
static void
template_notify(struct template_softc *sc)
{
    wakeup(sc);
    selwakeup(&sc->rsel);
    KNOTE_LOCKED(&sc->rsel.si_note, 0);
}

static int
template_open(struct cdev *dev, int fflag, int devtype, struct thread *td)
{
    struct template_softc *sc = dev->si_drv1;

    if ((fflag & FWRITE) != 0) {
        sx_xlock(&sc->lock);
        sc->writers++;
        sx_xunlock(&sc->lock);
    }
    return (0);
}

static int
template_close(struct cdev *dev, int fflag, int devtype, struct thread *td)
{
    struct template_softc *sc = dev->si_drv1;

    if ((fflag & FWRITE) != 0) {
        sx_xlock(&sc->lock);
        if (--sc->writers == 0)
            template_notify(sc);
        sx_xunlock(&sc->lock);
    }
    return (0);
}

static int
template_read(struct cdev *dev, struct uio *uio, int ioflag)
{
    struct template_softc *sc = dev->si_drv1;
    size_t todo;
    int error = 0;

    if (uio->uio_resid == 0)
        return (0);
    sx_xlock(&sc->lock);
    while (!template_readable(sc) && error == 0) {
        if (sc->dying)
            error = ENXIO;
        else if (ioflag & O_NONBLOCK)
            error = EWOULDBLOCK;
        else
            error = sx_sleep(sc, &sc->lock, PCATCH, "template", 0);
    }
    if (error == 0) {
        /* The device: what a reader gets. */
        todo = MIN(uio->uio_resid, sc->valid);
        error = uiomove(sc->message, todo, uio);
        if (error == 0) {
            sc->valid -= todo;
            memmove(sc->message, sc->message + todo, sc->valid);
        }
    }
    sx_xunlock(&sc->lock);
    return (error);
}

static int
template_write(struct cdev *dev, struct uio *uio, int ioflag)
{
    struct template_softc *sc = dev->si_drv1;
    size_t todo = uio->uio_resid;
    int error;

    if (todo == 0)
        return (0);
    if (todo > sizeof(sc->message))
        return (EMSGSIZE);
    sx_xlock(&sc->lock);
    /* The device: what it does with what is written. */
    error = uiomove(sc->message, todo, uio);
    sc->valid = error == 0 ? todo : 0;
    template_notify(sc);
    sx_xunlock(&sc->lock);
    return (error);
}

static int
template_ioctl(struct cdev *dev, u_long cmd, caddr_t data, int fflag,
    struct thread *td)
{
    struct template_softc *sc = dev->si_drv1;

    switch (cmd) {
    /* The device: its own commands, made with _IO, _IOR, _IOW, _IOWR. */
    case FIONREAD:
        sx_slock(&sc->lock);
        *(int *)data = sc->valid;
        sx_sunlock(&sc->lock);
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
template_poll(struct cdev *dev, int events, struct thread *td)
{
    struct template_softc *sc = dev->si_drv1;
    int revents = events & (POLLOUT | POLLWRNORM);

    sx_slock(&sc->lock);
    if (template_readable(sc))
        revents |= events & (POLLIN | POLLRDNORM);
    else if ((events & (POLLIN | POLLRDNORM)) != 0)
        selrecord(td, &sc->rsel);
    sx_sunlock(&sc->lock);
    return (revents);
}

static void
template_kqdetach(struct knote *kn)
{
    struct template_softc *sc = kn->kn_hook;

    knlist_remove(&sc->rsel.si_note, kn, 0);
}

static int
template_kqread(struct knote *kn, long hint)
{
    struct template_softc *sc = kn->kn_hook;

    kn->kn_data = sc->valid;
    if (sc->writers == 0)
        kn->kn_flags |= EV_EOF;
    else
        kn->kn_flags &= ~EV_EOF;
    return (template_readable(sc));
}

static int
template_kqwrite(struct knote *kn, long hint)
{
    struct template_softc *sc = kn->kn_hook;

    kn->kn_data = sizeof(sc->message);
    return (1);
}

static struct filterops template_read_filterops = {
    .f_isfd = 1,
    .f_detach = template_kqdetach,
    .f_event = template_kqread
};

static struct filterops template_write_filterops = {
    .f_isfd = 1,
    .f_detach = template_kqdetach,
    .f_event = template_kqwrite
};

static int
template_kqfilter(struct cdev *dev, struct knote *kn)
{
    struct template_softc *sc = dev->si_drv1;

    switch (kn->kn_filter) {
    case EVFILT_READ:
        kn->kn_fop = &template_read_filterops;
        break;
    case EVFILT_WRITE:
        kn->kn_fop = &template_write_filterops;
        break;
    default:
        return (EINVAL);
    }
    kn->kn_hook = sc;
    knlist_add(&sc->rsel.si_note, kn, 0);
    return (0);
}

/* How the knote list takes the softc's lock. */
static void
template_knl_lock(void *arg)
{
    sx_xlock((struct sx *)arg);
}

static void
template_knl_unlock(void *arg)
{
    sx_xunlock((struct sx *)arg);
}

static void
template_knl_assert_lock(void *arg, int what)
{
    sx_assert((struct sx *)arg, what == LA_LOCKED ? SA_XLOCKED : SA_UNLOCKED);
}

static struct cdevsw template_cdevsw = {
    .d_version = D_VERSION,
    .d_flags = D_TRACKCLOSE,
    .d_open = template_open,
    .d_close = template_close,
    .d_read = template_read,
    .d_write = template_write,
    .d_ioctl = template_ioctl,
    .d_poll = template_poll,
    .d_kqfilter = template_kqfilter,
    .d_name = "template"
};

static void
template_destroy(struct template_softc *sc)
{
    /* Force any sleeping threads to exit the driver. */
    sx_xlock(&sc->lock);
    sc->dying = true;
    wakeup(sc);
    sx_xunlock(&sc->lock);
    if (sc->dev != NULL)
        destroy_dev(sc->dev);
    knlist_clear(&sc->rsel.si_note, 0);
    seldrain(&sc->rsel);
    knlist_destroy(&sc->rsel.si_note);
    sx_destroy(&sc->lock);
    /* The device: what else it took. */
    free(sc, M_TEMPLATE);
}

static int
template_create(struct template_softc **scp)
{
    struct make_dev_args args;
    struct template_softc *sc;
    int error;

    sc = malloc(sizeof(*sc), M_TEMPLATE, M_WAITOK | M_ZERO);
    sx_init(&sc->lock, "template");
    knlist_init(&sc->rsel.si_note, &sc->lock, template_knl_lock,
        template_knl_unlock, template_knl_assert_lock);
    /* The device: what else it needs. */
    make_dev_args_init(&args);
    args.mda_flags = MAKEDEV_WAITOK | MAKEDEV_CHECKNAME;
    args.mda_devsw = &template_cdevsw;
    args.mda_uid = UID_ROOT;
    args.mda_gid = GID_WHEEL;
    args.mda_mode = 0600;
    args.mda_si_drv1 = sc;
    error = make_dev_s(&args, &sc->dev, "template");
    if (error != 0)
        template_destroy(sc);
    else
        *scp = sc;
    return (error);
}

static int
template_modevent(module_t mod, int type, void *data)
{
    static struct template_softc *template_softc;

    switch (type) {
    case MOD_LOAD:
        return (template_create(&template_softc));
    case MOD_UNLOAD:
        template_destroy(template_softc);
        return (0);
    default:
        return (EOPNOTSUPP);
    }
}

DEV_MODULE(template, template_modevent, NULL);
