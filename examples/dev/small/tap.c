// An Ethernet interface whose cable is a program, /dev/tap0: after tap(4).
//
// A read takes one frame that the interface sends, and waits for it; what does not fit is dropped. A
// write is one frame that the interface receives, and never waits. One program has it open at a
// time. While nobody has, and when TAP_QUEUE frames wait, what is sent is dropped.
//
// Which stack the interface belongs to is the kernel's affair: Linux's where `wh dev mount` runs, a
// vnet's in a lab.
#include <sys/param.h>
#include <sys/conf.h>
#include <sys/event.h>
#include <sys/fcntl.h>
#include <sys/filio.h>
#include <sys/kernel.h>
#include <sys/lock.h>
#include <sys/malloc.h>
#include <sys/module.h>
#include <sys/poll.h>
#include <sys/selinfo.h>
#include <sys/sx.h>
#include <sys/systm.h>
#include <sys/uio.h>
#include <net/if.h>
#include <net/if_tap.h>

#define TAP_QUEUE 50 /* frames */

MALLOC_DEFINE(M_TAP, "tap", "Frames of tap devices");

struct tap_frame {
    struct tap_frame *next;
    size_t len;
    char bytes[];
};

struct tap_softc {
    struct cdev *dev;
    struct ifnet ifnet;
    struct sx lock;
    struct selinfo rsel;
    struct tap_frame *first;
    struct tap_frame **last; /* where the next one is hung */
    u_int queued;
    bool open;
    bool dying;
    int debug;
    uint8_t mac[ETHER_ADDR_LEN];
};

static int
tap_open(struct cdev *dev, int fflag, int devtype, struct thread *td)
{
    struct tap_softc *sc = dev->si_drv1;
    int error;

    sx_xlock(&sc->lock);
    error = sc->open ? EBUSY : 0;
    sc->open = true;
    sx_xunlock(&sc->lock);
    return (error);
}

static struct tap_frame *
tap_pop(struct tap_softc *sc)
{
    struct tap_frame *frame = sc->first;

    sc->first = frame->next;
    if (sc->first == NULL)
        sc->last = &sc->first;
    sc->queued--;
    return (frame);
}

static int
tap_close(struct cdev *dev, int fflag, int devtype, struct thread *td)
{
    struct tap_softc *sc = dev->si_drv1;

    sx_xlock(&sc->lock);
    while (sc->first != NULL)
        free(tap_pop(sc), M_TAP);
    sc->open = false;
    sx_xunlock(&sc->lock);
    return (0);
}

static int
tap_transmit(struct ifnet *ifp, const void *bytes, size_t len)
{
    struct tap_softc *sc = ifp->if_softc;
    struct tap_frame *frame = NULL;

    sx_xlock(&sc->lock);
    if (sc->open && sc->queued < TAP_QUEUE)
        frame = malloc(sizeof(*frame) + len, M_TAP, M_NOWAIT);
    if (frame == NULL) {
        sx_xunlock(&sc->lock);
        return (ENOBUFS);
    }
    memcpy(frame->bytes, bytes, len);
    frame->len = len;
    frame->next = NULL;
    *sc->last = frame;
    sc->last = &frame->next;
    sc->queued++;
    wakeup(sc);
    selwakeup(&sc->rsel);
    KNOTE_LOCKED(&sc->rsel.si_note, 0);
    sx_xunlock(&sc->lock);
    return (0);
}

static int
tap_read(struct cdev *dev, struct uio *uio, int ioflag)
{
    struct tap_softc *sc = dev->si_drv1;
    struct tap_frame *frame;
    int error = 0;

    sx_xlock(&sc->lock);
    while (sc->first == NULL && error == 0) {
        if (sc->dying)
            error = ENXIO;
        else if (ioflag & O_NONBLOCK)
            error = EWOULDBLOCK;
        else
            error = sx_sleep(sc, &sc->lock, PCATCH, "taprd", 0);
    }
    if (error != 0) {
        sx_xunlock(&sc->lock);
        return (error);
    }
    frame = tap_pop(sc);
    sx_xunlock(&sc->lock);
    error = uiomove(frame->bytes, MIN(frame->len, uio->uio_resid), uio);
    free(frame, M_TAP);
    return (error);
}

static int
tap_write(struct cdev *dev, struct uio *uio, int ioflag)
{
    struct tap_softc *sc = dev->si_drv1;
    size_t len = uio->uio_resid, max;
    char *frame;
    int error;

    if (len == 0)
        return (0);
    sx_slock(&sc->lock);
    max = ETHER_HDR_LEN + sc->ifnet.if_mtu;
    sx_sunlock(&sc->lock);
    if (len < ETHER_HDR_LEN || len > max)
        return (EIO);
    frame = malloc(len, M_TAP, M_WAITOK);
    error = uiomove(frame, len, uio);
    if (error == 0)
        if_input(&sc->ifnet, frame, len);
    free(frame, M_TAP);
    return (error);
}

static int
tap_ioctl(struct cdev *dev, u_long cmd, caddr_t data, int fflag,
    struct thread *td)
{
    struct tap_softc *sc = dev->si_drv1;
    struct tapinfo *info = (struct tapinfo *)data;
    struct tap_ifreq *ifr = (struct tap_ifreq *)data;
    int error = 0;

    sx_xlock(&sc->lock);
    switch (cmd) {
    case TAPGIFNAME:
        memcpy(ifr->ifr_name, sc->ifnet.if_xname, IFNAMSIZ);
        break;
    case TAPGIFINFO:
        info->mtu = sc->ifnet.if_mtu;
        info->type = IFT_ETHER;
        break;
    case TAPSIFINFO:
        if (info->type != IFT_ETHER)
            error = EPROTOTYPE;
        else if (info->mtu < 68)
            error = EINVAL;
        else
            sc->ifnet.if_mtu = info->mtu;
        break;
    case TAPGDEBUG:
        *(int *)data = sc->debug;
        break;
    case TAPSDEBUG:
        sc->debug = *(int *)data;
        break;
    case SIOCGIFADDR:
        memcpy(ifr->ifr_mac, sc->mac, sizeof(sc->mac));
        break;
    case SIOCSIFADDR:
        memcpy(sc->mac, ifr->ifr_mac, sizeof(sc->mac));
        break;
    case FIONREAD:
        *(int *)data = sc->first != NULL ? sc->first->len : 0;
        break;
    case FIONBIO:
        break;
    case FIOASYNC:
        if (*(int *)data != 0)
            error = EINVAL;
        break;
    default:
        error = ENOTTY;
    }
    sx_xunlock(&sc->lock);
    return (error);
}

static int
tap_poll(struct cdev *dev, int events, struct thread *td)
{
    struct tap_softc *sc = dev->si_drv1;
    int revents = events & (POLLOUT | POLLWRNORM);

    sx_xlock(&sc->lock);
    if (sc->first != NULL)
        revents |= events & (POLLIN | POLLRDNORM);
    else if ((events & (POLLIN | POLLRDNORM)) != 0)
        selrecord(td, &sc->rsel);
    sx_xunlock(&sc->lock);
    return (revents);
}

static void
tap_kqdetach(struct knote *kn)
{
    struct tap_softc *sc = kn->kn_hook;

    knlist_remove(&sc->rsel.si_note, kn, 0);
}

static int
tap_kqread(struct knote *kn, long hint)
{
    struct tap_softc *sc = kn->kn_hook;

    kn->kn_data = sc->first != NULL ? sc->first->len : 0;
    return (kn->kn_data != 0);
}

static int
tap_kqwrite(struct knote *kn, long hint)
{
    struct tap_softc *sc = kn->kn_hook;

    kn->kn_data = sc->ifnet.if_mtu;
    return (1);
}

static struct filterops tap_read_filterops = {
    .f_isfd = 1,
    .f_detach = tap_kqdetach,
    .f_event = tap_kqread
};

static struct filterops tap_write_filterops = {
    .f_isfd = 1,
    .f_detach = tap_kqdetach,
    .f_event = tap_kqwrite
};

static int
tap_kqfilter(struct cdev *dev, struct knote *kn)
{
    struct tap_softc *sc = dev->si_drv1;

    switch (kn->kn_filter) {
    case EVFILT_READ:
        kn->kn_fop = &tap_read_filterops;
        break;
    case EVFILT_WRITE:
        kn->kn_fop = &tap_write_filterops;
        break;
    default:
        return (EINVAL);
    }
    kn->kn_hook = sc;
    knlist_add(&sc->rsel.si_note, kn, 0);
    return (0);
}

static struct cdevsw tap_cdevsw = {
    .d_version = D_VERSION,
    .d_open = tap_open,
    .d_close = tap_close,
    .d_read = tap_read,
    .d_write = tap_write,
    .d_ioctl = tap_ioctl,
    .d_poll = tap_poll,
    .d_kqfilter = tap_kqfilter,
    .d_name = "tap"
};

static void
tap_knl_lock(void *arg)
{
    sx_xlock((struct sx *)arg);
}

static void
tap_knl_unlock(void *arg)
{
    sx_xunlock((struct sx *)arg);
}

static void
tap_knl_assert_lock(void *arg, int what)
{
    sx_assert((struct sx *)arg, what == LA_LOCKED ? SA_XLOCKED : SA_UNLOCKED);
}

static void
tap_destroy(struct tap_softc *sc)
{
    sx_xlock(&sc->lock);
    sc->dying = true;
    wakeup(sc);
    sx_xunlock(&sc->lock);
    if (sc->dev != NULL)
        destroy_dev(sc->dev);
    ether_ifdetach(&sc->ifnet);
    while (sc->first != NULL)
        free(tap_pop(sc), M_TAP);
    knlist_clear(&sc->rsel.si_note, 0);
    seldrain(&sc->rsel);
    knlist_destroy(&sc->rsel.si_note);
    sx_destroy(&sc->lock);
    free(sc, M_TAP);
}

static int
tap_create(struct tap_softc **scp)
{
    /* The first half is the range that FreeBSD makes up addresses in. */
    uint8_t mac[ETHER_ADDR_LEN] = { 0x58, 0x9c, 0xfc, 0x10, 0, 0 };
    struct make_dev_args args;
    struct tap_softc *sc;
    uint32_t r = arc4random();
    int error;

    memcpy(&mac[4], &r, 2);
    sc = malloc(sizeof(*sc), M_TAP, M_WAITOK | M_ZERO);
    sx_init(&sc->lock, "tap");
    sc->last = &sc->first;
    knlist_init(&sc->rsel.si_note, &sc->lock, tap_knl_lock, tap_knl_unlock,
        tap_knl_assert_lock);
    if_initname(&sc->ifnet, "tap", 0);
    sc->ifnet.if_softc = sc;
    sc->ifnet.if_transmit = tap_transmit;
    error = ether_ifattach(&sc->ifnet, mac);
    if (error == 0) {
        make_dev_args_init(&args);
        args.mda_flags = MAKEDEV_WAITOK | MAKEDEV_CHECKNAME;
        args.mda_devsw = &tap_cdevsw;
        args.mda_uid = UID_ROOT;
        args.mda_gid = GID_WHEEL;
        args.mda_mode = 0600;
        args.mda_si_drv1 = sc;
        error = make_dev_s(&args, &sc->dev, "tap0");
    }
    if (error != 0)
        tap_destroy(sc);
    else
        *scp = sc;
    return (error);
}

static int
tap_modevent(module_t mod, int type, void *data)
{
    static struct tap_softc *tap;
    int error;

    switch (type) {
    case MOD_LOAD:
        return (tap_create(&tap));
    case MOD_QUIESCE:
        sx_slock(&tap->lock);
        error = tap->open ? EBUSY : 0;
        sx_sunlock(&tap->lock);
        return (error);
    case MOD_UNLOAD:
        tap_destroy(tap);
        return (0);
    default:
        return (EOPNOTSUPP);
    }
}

DEV_MODULE(tap, tap_modevent, NULL);
