// A driver that breaks the rule that it is told to break (CLUMSY_BREAK), where a kernel calls it
// outside of the methods of its device. The tests say what each costs.
#include <sys/param.h>
#include <sys/conf.h>
#include <sys/event.h>
#include <sys/filio.h>
#include <sys/kernel.h>
#include <sys/lock.h>
#include <sys/malloc.h>
#include <sys/module.h>
#include <sys/mutex.h>
#include <sys/selinfo.h>
#include <sys/sx.h>
#include <sys/systm.h>
#include <sys/uio.h>

#define CLUMSY_BREAK _IOW('c', 1, int)
#define CLUMSY_RULE  _IOR('c', 2, int)

enum {
    EVENT_PANICS = 1,
    EVENT_LOCKS_AGAIN,
    DETACH_FORGETS,
    FILTER_FAILS_LATE,
    FILTER_SETS_NOTHING,
    DESTRUCTOR_PANICS,
    DESTRUCTOR_SLEEPS,
    WRITE_TAKES_ALL_LOCKS,
    READ_RAISES_RESID,
    DESTROYS_TWICE,
    PURGE_PANICS,
    READ_SLEEPS,
    CALLBACK_PANICS,
    READ_HOLDS_MUTEX,
    IOCTL_WRITES_BEHIND
};

#define LOCKS 100

static struct cdev *clumsy_dev;
static struct mtx clumsy_mtx;
static struct sx clumsy_sx;
static struct mtx clumsy_locks[LOCKS];
static struct selinfo clumsy_sel;
static int clumsy_rule;
static char clumsy_data;

static void
clumsy_destructor(void *data)
{
    if (clumsy_rule == DESTRUCTOR_PANICS)
        panic("in a destructor");
    if (clumsy_rule == DESTRUCTOR_SLEEPS)
        pause("clumsy", 10);
    printf("destroyed\n");
}

static int
clumsy_open(struct cdev *dev, int oflags, int devtype, struct thread *td)
{
    return (devfs_set_cdevpriv(&clumsy_data, clumsy_destructor));
}

static int
clumsy_read(struct cdev *dev, struct uio *uio, int ioflag)
{
    static char zeroes[64];

    if (clumsy_rule == PURGE_PANICS)
        return (tsleep(&clumsy_dev, 0, "clumsy", 10) == EWOULDBLOCK ? 0 : EIO);
    if (clumsy_rule == READ_SLEEPS) {
        void *data;

        pause("clumsy", 1);
        return (devfs_get_cdevpriv(&data));
    }
    if (clumsy_rule == READ_HOLDS_MUTEX) {
        mtx_lock(&clumsy_mtx);
        uiomove(zeroes, sizeof(zeroes), uio);
        free(malloc(1, M_DEVBUF, M_WAITOK), M_DEVBUF);
        sx_slock(&clumsy_sx);
        sx_sunlock(&clumsy_sx);
        pause("clumsy", 1);
        /* What a mutex is for: another one, and what does not wait. */
        mtx_lock(&clumsy_locks[0]);
        mtx_unlock(&clumsy_locks[0]);
        free(malloc(1, M_DEVBUF, M_NOWAIT), M_DEVBUF);
        msleep(&clumsy_dev, &clumsy_mtx, 0, "clumsy", 1);
        mtx_unlock(&clumsy_mtx);
        return (0);
    }
    if (clumsy_rule == READ_RAISES_RESID)
        uio->uio_resid += sizeof(zeroes);
    return (uiomove(zeroes, sizeof(zeroes), uio));
}

static int
clumsy_write(struct cdev *dev, struct uio *uio, int ioflag)
{
    int i;

    if (clumsy_rule == WRITE_TAKES_ALL_LOCKS) {
        for (i = 0; i < LOCKS; i++)
            mtx_lock(&clumsy_locks[i]);
        for (i = 0; i < LOCKS; i++)
            mtx_unlock(&clumsy_locks[i]);
    }
    uio->uio_resid = 0;
    mtx_lock(&clumsy_mtx);
    KNOTE_LOCKED(&clumsy_sel.si_note, 0);
    mtx_unlock(&clumsy_mtx);
    return (0);
}

static void
clumsy_gone(void *arg)
{
    if (clumsy_rule == CALLBACK_PANICS)
        panic("in a callback");
}

static int
clumsy_ioctl(struct cdev *dev, u_long cmd, caddr_t data, int fflag, struct thread *td)
{
    if (cmd == CLUMSY_RULE) {
        if (clumsy_rule == IOCTL_WRITES_BEHIND)
            *(long *)data = clumsy_rule;
        else
            *(int *)data = clumsy_rule;
        return (0);
    }
    if (cmd != CLUMSY_BREAK)
        return (ENOTTY);
    clumsy_rule = *(int *)data;
    if (clumsy_rule == DESTROYS_TWICE) {
        clumsy_dev = NULL;
        return (destroy_dev_sched(dev) == 1 && destroy_dev_sched(dev) == 0 ? 0 : EIO);
    }
    if (clumsy_rule == CALLBACK_PANICS) {
        clumsy_dev = NULL;
        destroy_dev_sched_cb(dev, clumsy_gone, NULL);
    }
    return (0);
}

static void
clumsy_purge(struct cdev *dev)
{
    if (clumsy_rule == PURGE_PANICS)
        panic("in d_purge");
}

static void
clumsy_kqdetach(struct knote *kn)
{
    if (clumsy_rule != DETACH_FORGETS)
        knlist_remove(&clumsy_sel.si_note, kn, 0);
}

static int
clumsy_kqevent(struct knote *kn, long hint)
{
    if (clumsy_rule == EVENT_PANICS)
        panic("in f_event");
    if (clumsy_rule == EVENT_LOCKS_AGAIN) {
        mtx_lock(&clumsy_mtx);
        mtx_unlock(&clumsy_mtx);
    }
    kn->kn_data = 1;
    return (1);
}

static struct filterops clumsy_filterops = {
    .f_isfd = 1,
    .f_detach = clumsy_kqdetach,
    .f_event = clumsy_kqevent
};

static int
clumsy_kqfilter(struct cdev *dev, struct knote *kn)
{
    if (clumsy_rule == FILTER_SETS_NOTHING)
        return (0);
    kn->kn_fop = &clumsy_filterops;
    knlist_add(&clumsy_sel.si_note, kn, 0);
    if (clumsy_rule == FILTER_FAILS_LATE) {
        mtx_lock(&clumsy_mtx);
        KNOTE_LOCKED(&clumsy_sel.si_note, 0);
        mtx_unlock(&clumsy_mtx);
        return (EINVAL);
    }
    return (0);
}

static struct cdevsw clumsy_cdevsw = {
    .d_version = D_VERSION,
    .d_open = clumsy_open,
    .d_read = clumsy_read,
    .d_write = clumsy_write,
    .d_ioctl = clumsy_ioctl,
    .d_kqfilter = clumsy_kqfilter,
    .d_purge = clumsy_purge,
    .d_name = "clumsy"
};

static int
clumsy_modevent(module_t mod, int type, void *data)
{
    struct make_dev_args args;
    int i;

    switch (type) {
    case MOD_LOAD:
        mtx_init(&clumsy_mtx, "clumsy", NULL, MTX_DEF);
        sx_init(&clumsy_sx, "clumsy sx");
        for (i = 0; i < LOCKS; i++)
            mtx_init(&clumsy_locks[i], "one of many", NULL, MTX_DEF);
        knlist_init_mtx(&clumsy_sel.si_note, &clumsy_mtx);
        make_dev_args_init(&args);
        args.mda_flags = MAKEDEV_WAITOK | MAKEDEV_CHECKNAME;
        args.mda_devsw = &clumsy_cdevsw;
        args.mda_mode = 0600;
        return (make_dev_s(&args, &clumsy_dev, "clumsy"));
    case MOD_UNLOAD:
        if (clumsy_dev != NULL)
            destroy_dev(clumsy_dev);
        knlist_clear(&clumsy_sel.si_note, 0);
        knlist_destroy(&clumsy_sel.si_note);
        return (0);
    default:
        return (EOPNOTSUPP);
    }
}

DEV_MODULE(clumsy, clumsy_modevent, NULL);
