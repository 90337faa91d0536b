// No bug: three boxes, below a directory, that hold a number each. A second design beside the echo
// driver's: mtx(9) locks, knote lists that know their mutex, readers and writers that
// wait for one another.
#include <sys/param.h>
#include <sys/conf.h>
#include <sys/event.h>
#include <sys/fcntl.h>
#include <sys/filio.h>
#include <sys/kernel.h>
#include <sys/lock.h>
#include <sys/malloc.h>
#include <sys/module.h>
#include <sys/mutex.h>
#include <sys/poll.h>
#include <sys/selinfo.h>
#include <sys/systm.h>
#include <sys/uio.h>

MALLOC_DEFINE(M_MAILBOX, "mailbox", "Boxes");

#define BOXES 3

struct mailbox_softc {
    struct cdev *dev;
    struct mtx mtx;
    int value;
    bool full;
    bool dying;
    struct selinfo rsel;
    struct selinfo wsel;
};

static struct mailbox_softc *boxes[BOXES];

// Waits until the box is full, or is not. Returns with the mutex held.
static int
mailbox_wait(struct mailbox_softc *sc, bool full, int ioflag)
{
    int error = 0;

    mtx_lock(&sc->mtx);
    while (sc->full != full && error == 0) {
        if (sc->dying)
            error = ENXIO;
        else if ((ioflag & O_NONBLOCK) != 0)
            error = EWOULDBLOCK;
        else
            error = msleep(sc, &sc->mtx, PCATCH | PWAIT, "mailbx", 0);
    }
    return (error);
}

static void
mailbox_changed(struct mailbox_softc *sc, bool full, struct selinfo *sel)
{
    sc->full = full;
    wakeup(sc);
    selwakeup(sel);
    KNOTE_LOCKED(&sel->si_note, 0);
}

static int
mailbox_read(struct cdev *dev, struct uio *uio, int ioflag)
{
    struct mailbox_softc *sc = dev->si_drv1;
    int error, value;

    error = mailbox_wait(sc, true, ioflag);
    value = sc->value;
    if (error == 0)
        mailbox_changed(sc, false, &sc->wsel);
    mtx_unlock(&sc->mtx);
    return (error == 0 ? uiomove(&value, sizeof(value), uio) : error);
}

static int
mailbox_write(struct cdev *dev, struct uio *uio, int ioflag)
{
    struct mailbox_softc *sc = dev->si_drv1;
    int error, value = 0;

    if (uio->uio_resid < (ssize_t)sizeof(value))
        return (uio->uio_resid == 0 ? 0 : EINVAL);
    error = uiomove(&value, sizeof(value), uio);
    if (error != 0)
        return (error);
    error = mailbox_wait(sc, false, ioflag);
    sc->value = error == 0 ? value : sc->value;
    if (error == 0)
        mailbox_changed(sc, true, &sc->rsel);
    mtx_unlock(&sc->mtx);
    return (error);
}

static int
mailbox_ioctl(struct cdev *dev, u_long cmd, caddr_t data, int fflag, struct thread *td)
{
    switch (cmd) {
    case FIONBIO:
        return (0);
    case FIOASYNC:
        return (*(int *)data == 0 ? 0 : EINVAL);
    default:
        return (ENOTTY);
    }
}

static int
mailbox_poll(struct cdev *dev, int events, struct thread *td)
{
    struct mailbox_softc *sc = dev->si_drv1;
    int revents;

    mtx_lock(&sc->mtx);
    revents = events & (sc->full ? POLLIN | POLLRDNORM : POLLOUT | POLLWRNORM);
    if (revents == 0)
        selrecord(td, sc->full ? &sc->wsel : &sc->rsel);
    mtx_unlock(&sc->mtx);
    return (revents);
}

static void
mailbox_kqdetach(struct knote *kn)
{
    struct mailbox_softc *sc = kn->kn_hook;

    knlist_remove(kn->kn_filter == EVFILT_READ ? &sc->rsel.si_note : &sc->wsel.si_note, kn, 0);
}

static int
mailbox_kqevent(struct knote *kn, long hint)
{
    struct mailbox_softc *sc = kn->kn_hook;

    mtx_assert(&sc->mtx, MA_OWNED);
    kn->kn_data = sc->full == (kn->kn_filter == EVFILT_READ) ? sizeof(sc->value) : 0;
    return (kn->kn_data != 0);
}

static struct filterops mailbox_filterops = {
    .f_isfd = 1,
    .f_detach = mailbox_kqdetach,
    .f_event = mailbox_kqevent
};

static int
mailbox_kqfilter(struct cdev *dev, struct knote *kn)
{
    struct mailbox_softc *sc = dev->si_drv1;

    if (kn->kn_filter != EVFILT_READ && kn->kn_filter != EVFILT_WRITE)
        return (EINVAL);
    kn->kn_fop = &mailbox_filterops;
    kn->kn_hook = sc;
    knlist_add(kn->kn_filter == EVFILT_READ ? &sc->rsel.si_note : &sc->wsel.si_note, kn, 0);
    return (0);
}

static struct cdevsw mailbox_cdevsw = {
    .d_version = D_VERSION,
    .d_read = mailbox_read,
    .d_write = mailbox_write,
    .d_ioctl = mailbox_ioctl,
    .d_poll = mailbox_poll,
    .d_kqfilter = mailbox_kqfilter,
    .d_name = "mailbox"
};

static void
mailbox_free(struct mailbox_softc *sc)
{
    struct selinfo *sels[] = {&sc->rsel, &sc->wsel};

    for (int i = 0; i < nitems(sels); i++) {
        seldrain(sels[i]);
        knlist_clear(&sels[i]->si_note, 0);
        knlist_destroy(&sels[i]->si_note);
    }
    mtx_destroy(&sc->mtx);
    free(sc, M_MAILBOX);
}

static int
mailbox_create(int unit)
{
    struct make_dev_args args;
    struct mailbox_softc *sc;
    int error;

    sc = malloc(sizeof(*sc), M_MAILBOX, M_WAITOK | M_ZERO);
    mtx_init(&sc->mtx, "mailbox", NULL, MTX_DEF);
    knlist_init_mtx(&sc->rsel.si_note, &sc->mtx);
    knlist_init_mtx(&sc->wsel.si_note, &sc->mtx);
    make_dev_args_init(&args);
    args.mda_flags = MAKEDEV_WAITOK | MAKEDEV_CHECKNAME;
    args.mda_devsw = &mailbox_cdevsw;
    args.mda_uid = UID_ROOT;
    args.mda_gid = GID_WHEEL;
    args.mda_mode = 0666;
    args.mda_unit = unit;
    args.mda_si_drv1 = sc;
    error = make_dev_s(&args, &sc->dev, "mailbox/%d", unit);
    if (error != 0)
        mailbox_free(sc);
    else
        boxes[unit] = sc;
    return (error);
}

static void
mailbox_destroy(int unit)
{
    struct mailbox_softc *sc = boxes[unit];

    if (sc == NULL)
        return;
    boxes[unit] = NULL;
    mtx_lock(&sc->mtx);
    sc->dying = true;
    wakeup(sc);
    mtx_unlock(&sc->mtx);
    destroy_dev(sc->dev);
    mailbox_free(sc);
}

static int
mailbox_modevent(module_t mod, int type, void *data)
{
    int error = 0, unit;

    switch (type) {
    case MOD_LOAD:
        for (unit = 0; unit < BOXES && error == 0; unit++)
            error = mailbox_create(unit);
        if (error == 0)
            return (0);
        // FALLTHROUGH
    case MOD_UNLOAD:
        for (unit = 0; unit < BOXES; unit++)
            mailbox_destroy(unit);
        return (error);
    default:
        return (EOPNOTSUPP);
    }
}

DEV_MODULE(mailbox, mailbox_modevent, NULL);
