// template: a character device driver to start from.
//
// /dev/template is a pipe of 4096 bytes: what is written can be read, once. It blocks, does not
// block when asked not to, is ended by signals, tells poll(2) and kqueue(2), and lets itself be
// unloaded while somebody sleeps in it. Change what it holds in the softc, and the four places
// marked "The device:"; keep the rest.
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

MALLOC_DEFINE(M_TEMPLATE, "template", "Buffers of template devices");

struct template_softc {
    struct cdev *dev;
    char *buf;
    size_t len;
    size_t valid;
    struct sx lock;
    struct selinfo rsel;
    struct selinfo wsel;
    u_int writers;
    bool dying;
};

static void template_kqread_detach(struct knote *kn);
static int template_kqread_event(struct knote *kn, long hint);
static void template_kqwrite_detach(struct knote *kn);
static int template_kqwrite_event(struct knote *kn, long hint);

static struct filterops template_read_filterops = {
    .f_isfd = 1,
    .f_detach = template_kqread_detach,
    .f_event = template_kqread_event
};

static struct filterops template_write_filterops = {
    .f_isfd = 1,
    .f_detach = template_kqwrite_detach,
    .f_event = template_kqwrite_event
};

static int
template_open(struct cdev *dev, int fflag, int devtype, struct thread *td)
{
    struct template_softc *sc = dev->si_drv1;

    if ((fflag & FWRITE) != 0) {
        /* Increase the number of writers. */
        sx_xlock(&sc->lock);
        if (sc->writers == UINT_MAX) {
            sx_xunlock(&sc->lock);
            return (EBUSY);
        }
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
        sc->writers--;
        if (sc->writers == 0) {
            /* Wakeup any waiting readers. */
            wakeup(sc);
            selwakeup(&sc->rsel);
            KNOTE_LOCKED(&sc->rsel.si_note, 0);
        }
        sx_xunlock(&sc->lock);
    }
    return (0);
}

static int
template_read(struct cdev *dev, struct uio *uio, int ioflag)
{
    struct template_softc *sc = dev->si_drv1;
    size_t todo;
    int error;

    if (uio->uio_resid == 0)
        return (0);

    sx_xlock(&sc->lock);

    /* Wait for bytes to read. */
    while (sc->valid == 0 && sc->writers != 0) {
        if (sc->dying)
            error = ENXIO;
        else if (ioflag & O_NONBLOCK)
            error = EWOULDBLOCK;
        else
            error = sx_sleep(sc, &sc->lock, PCATCH, "template", 0);
        if (error != 0) {
            sx_xunlock(&sc->lock);
            return (error);
        }
    }

    /* The device: what a reader gets. */
    todo = MIN(uio->uio_resid, sc->valid);
    error = uiomove(sc->buf, todo, uio);
    if (error == 0) {
        /* Wakeup any waiting writers. */
        if (sc->valid == sc->len)
            wakeup(sc);

        sc->valid -= todo;
        memmove(sc->buf, sc->buf + todo, sc->valid);
        selwakeup(&sc->wsel);
        KNOTE_LOCKED(&sc->wsel.si_note, 0);
    }
    sx_xunlock(&sc->lock);
    return (error);
}

static int
template_write(struct cdev *dev, struct uio *uio, int ioflag)
{
    struct template_softc *sc = dev->si_drv1;
    size_t todo;
    int error;

    error = 0;
    sx_xlock(&sc->lock);
    while (uio->uio_resid != 0) {

        /* Wait for space to write. */
        while (sc->valid == sc->len) {
            if (sc->dying)
                error = ENXIO;
            else if (ioflag & O_NONBLOCK)
                error = EWOULDBLOCK;
            else
                error = sx_sleep(sc, &sc->lock, PCATCH, "template", 0);
            if (error != 0) {
                sx_xunlock(&sc->lock);
                return (error);
            }
        }

        /* The device: what it does with what is written. */
        todo = MIN(uio->uio_resid, sc->len - sc->valid);
        error = uiomove(sc->buf + sc->valid, todo, uio);
        if (error != 0)
            break;

        /* Wakeup any waiting readers. */
        if (sc->valid == 0)
            wakeup(sc);

        sc->valid += todo;
        selwakeup(&sc->rsel);
        KNOTE_LOCKED(&sc->rsel.si_note, 0);
    }
    sx_xunlock(&sc->lock);
    return (error);
}

static int
template_ioctl(struct cdev *dev, u_long cmd, caddr_t data, int fflag,
    struct thread *td)
{
    struct template_softc *sc = dev->si_drv1;
    int error;

    switch (cmd) {
    /* The device: its own commands, made with _IO, _IOR, _IOW, _IOWR. */
    case FIONBIO:
        /* O_NONBLOCK is supported. */
        error = 0;
        break;
    case FIOASYNC:
        /* O_ASYNC is not supported. */
        if (*(int *)data != 0)
            error = EINVAL;
        else
            error = 0;
        break;
    case FIONREAD:
        sx_slock(&sc->lock);
        *(int *)data = MIN(INT_MAX, sc->valid);
        sx_sunlock(&sc->lock);
        error = 0;
        break;
    case FIONWRITE:
        sx_slock(&sc->lock);
        *(int *)data = MIN(INT_MAX, sc->len - sc->valid);
        sx_sunlock(&sc->lock);
        error = 0;
        break;
    default:
        error = ENOTTY;
        break;
    }
    return (error);
}

static int
template_poll(struct cdev *dev, int events, struct thread *td)
{
    struct template_softc *sc = dev->si_drv1;
    int revents;

    revents = 0;
    sx_slock(&sc->lock);
    if (sc->valid != 0 || sc->writers == 0)
        revents |= events & (POLLIN | POLLRDNORM);
    if (sc->valid < sc->len)
        revents |= events & (POLLOUT | POLLWRNORM);
    if (revents == 0) {
        if ((events & (POLLIN | POLLRDNORM)) != 0)
            selrecord(td, &sc->rsel);
        if ((events & (POLLOUT | POLLWRNORM)) != 0)
            selrecord(td, &sc->wsel);
    }
    sx_sunlock(&sc->lock);
    return (revents);
}

static void
template_kqread_detach(struct knote *kn)
{
    struct template_softc *sc = kn->kn_hook;

    knlist_remove(&sc->rsel.si_note, kn, 0);
}

static int
template_kqread_event(struct knote *kn, long hint)
{
    struct template_softc *sc = kn->kn_hook;

    kn->kn_data = sc->valid;
    if (sc->writers == 0) {
        kn->kn_flags |= EV_EOF;
        return (1);
    }
    kn->kn_flags &= ~EV_EOF;
    return (kn->kn_data > 0);
}

static void
template_kqwrite_detach(struct knote *kn)
{
    struct template_softc *sc = kn->kn_hook;

    knlist_remove(&sc->wsel.si_note, kn, 0);
}

static int
template_kqwrite_event(struct knote *kn, long hint)
{
    struct template_softc *sc = kn->kn_hook;

    kn->kn_data = sc->len - sc->valid;
    return (kn->kn_data > 0);
}

static int
template_kqfilter(struct cdev *dev, struct knote *kn)
{
    struct template_softc *sc = dev->si_drv1;

    switch (kn->kn_filter) {
    case EVFILT_READ:
        kn->kn_fop = &template_read_filterops;
        kn->kn_hook = sc;
        knlist_add(&sc->rsel.si_note, kn, 0);
        return (0);
    case EVFILT_WRITE:
        kn->kn_fop = &template_write_filterops;
        kn->kn_hook = sc;
        knlist_add(&sc->wsel.si_note, kn, 0);
        return (0);
    default:
        return (EINVAL);
    }
}

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
    if (what == LA_LOCKED)
        sx_assert((struct sx *)arg, SA_XLOCKED);
    else
        sx_assert((struct sx *)arg, SA_UNLOCKED);
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

static int
template_create(struct template_softc **scp, size_t len)
{
    struct make_dev_args args;
    struct template_softc *sc;
    int error;

    sc = malloc(sizeof(*sc), M_TEMPLATE, M_WAITOK | M_ZERO);
    sx_init(&sc->lock, "template");
    sc->buf = malloc(len, M_TEMPLATE, M_WAITOK | M_ZERO);
    sc->len = len;
    /* The device: what else it needs. */
    knlist_init(&sc->rsel.si_note, &sc->lock, template_knl_lock,
        template_knl_unlock, template_knl_assert_lock);
    knlist_init(&sc->wsel.si_note, &sc->lock, template_knl_lock,
        template_knl_unlock, template_knl_assert_lock);
    make_dev_args_init(&args);
    args.mda_flags = MAKEDEV_WAITOK | MAKEDEV_CHECKNAME;
    args.mda_devsw = &template_cdevsw;
    args.mda_uid = UID_ROOT;
    args.mda_gid = GID_WHEEL;
    args.mda_mode = 0600;
    args.mda_si_drv1 = sc;
    error = make_dev_s(&args, &sc->dev, "template");
    if (error != 0) {
        knlist_destroy(&sc->rsel.si_note);
        knlist_destroy(&sc->wsel.si_note);
        free(sc->buf, M_TEMPLATE);
        sx_destroy(&sc->lock);
        free(sc, M_TEMPLATE);
    } else
        *scp = sc;
    return (error);
}

static void
template_destroy(struct template_softc *sc)
{
    if (sc->dev != NULL) {
        /* Force any sleeping threads to exit the driver. */
        sx_xlock(&sc->lock);
        sc->dying = true;
        wakeup(sc);
        sx_xunlock(&sc->lock);

        destroy_dev(sc->dev);
    }
    knlist_clear(&sc->rsel.si_note, 0);
    knlist_clear(&sc->wsel.si_note, 0);
    seldrain(&sc->rsel);
    seldrain(&sc->wsel);
    knlist_destroy(&sc->rsel.si_note);
    knlist_destroy(&sc->wsel.si_note);
    free(sc->buf, M_TEMPLATE);
    sx_destroy(&sc->lock);
    free(sc, M_TEMPLATE);
}

static int
template_modevent(module_t mod, int type, void *data)
{
    static struct template_softc *template_softc;

    switch (type) {
    case MOD_LOAD:
        return (template_create(&template_softc, 4096));
    case MOD_UNLOAD:
        if (template_softc != NULL)
            template_destroy(template_softc);
        return (0);
    default:
        return (EOPNOTSUPP);
    }
}

DEV_MODULE(template, template_modevent, NULL);
