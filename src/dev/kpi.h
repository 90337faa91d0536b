// What a driver sees: the FreeBSD kernel programming interface, as far as character devices need
// it.
//
// Plain C, so that a driver file from the character device articles compiles as printed; C++
// drivers may include it too. Drivers write FreeBSD's includes (<sys/param.h>, <sys/conf.h>, ...);
// those files, in include/freebsd, lead here.
//
// A driver is a shared object. It finds its kernel through `wh_kernel`, a hidden pointer of its own
// that the loader sets before the first call: two kernels in one process never meet, and neither
// has a global. What DEV_MODULE, MALLOC_DEFINE, SYSINIT and the like declare is collected in a
// linker set, `wh_meta`, and reached through the one exported symbol, `wh_driver_image`.
//
// ioctl commands are encoded as Linux encodes them, so that one header (say echodev.h) gives a
// driver and a Linux program the same numbers; errno values are Linux's for the same reason.
// Source: section 9 of the FreeBSD manual; character device articles 1 and 2.
#pragma once

#include <asm/ioctl.h>
#include <bits/types/struct_iovec.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <sys/fcntl.h>
#include <sys/poll.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "event/kevent.h"

#ifdef __cplusplus
extern "C" {
#endif
#define WH_NORETURN __attribute__((noreturn))

#define WH_KPI_VERSION 1

// ---- Units and small things: <sys/param.h>, <sys/types.h>, <sys/systm.h>

typedef int64_t vm_ooffset_t;
typedef uint64_t vm_paddr_t;
typedef int vm_memattr_t;
typedef int64_t sbintime_t;  // Seconds in 32.32 fixed point.
#define SBT_1S ((sbintime_t)1 << 32)
#define SBT_1MS (SBT_1S / 1000)
#define PCATCH 0x100  // A signal ends the sleep.
#define PRIMASK 0x0ff
#define PDROP 0x200  // Do not take the lock again.
#define PZERO 0
#define PRIBIO 0
#define PWAIT 0
#undef ERESTART        // Linux's is an errno like any other.
#define ERESTART (-1)  // "Call me again after the signal"; the caller sees EINTR.
#define ENOIOCTL (-3)  // An ioctl method's "not mine"; the caller sees ENOTTY.

struct thread;
struct ucred;
struct cdev;
struct wh_kernel;

// ---- Locks: <sys/sx.h>, <sys/mutex.h>. The members are the kernel's.

struct wh_lock {
  const char* lo_name;
  uintptr_t lo_word;
  uint32_t lo_magic;
  uint32_t lo_flags;
  void* lo_owner;
};
struct sx {
  struct wh_lock lock;
};
struct mtx {
  struct wh_lock lock;
};
struct cv {  // <sys/condvar.h>
  const char* cv_description;
};
#define SX_RECURSE 0x1
#define SX_NOWITNESS 0x2
#define SX_DUPOK 0x4
#define MTX_DEF 0
#define MTX_RECURSE 0x1
#define WH_LOCK_MUTEX 0x10000  // Who holds it may not sleep.
#define SA_LOCKED 0x00
#define SA_SLOCKED 0x01
#define SA_XLOCKED 0x02
#define SA_UNLOCKED 0x04
#define MA_OWNED SA_XLOCKED
#define MA_NOTOWNED SA_UNLOCKED
enum wh_lock_op {
  WH_SLOCK,
  WH_XLOCK,
  WH_TRY_SLOCK,
  WH_TRY_XLOCK,
  WH_SUNLOCK,
  WH_XUNLOCK,
  WH_UNLOCK,
  WH_SLOCK_SIG,
  WH_XLOCK_SIG,
  WH_TRY_UPGRADE,
  WH_DOWNGRADE
};

// ---- Data transfer: <sys/uio.h>

enum uio_rw { UIO_READ, UIO_WRITE };
enum uio_seg { UIO_USERSPACE, UIO_SYSSPACE, UIO_NOCOPY };
struct uio {
  struct iovec* uio_iov;
  int uio_iovcnt;
  off_t uio_offset;   // Where in the file the request starts.
  ssize_t uio_resid;  // Bytes still to move.
  enum uio_seg uio_segflg;
  enum uio_rw uio_rw;
  struct thread* uio_td;
};

// ---- Open flags and ioctl commands: <sys/fcntl.h>, <sys/ioccom.h>, <sys/filio.h>

#define FREAD 0x0001
#define FWRITE 0x0002
#define FNONBLOCK O_NONBLOCK
#define FLASTCLOSE O_DIRECTORY  // To d_close: nobody has the device open any more.
#define IO_NDELAY O_NONBLOCK
#define _IOWINT(group, number) _IOC(_IOC_NONE, group, number, sizeof(int))  // An int, by value.
#define IOCPARM_LEN(x) _IOC_SIZE(x)
#define IOCGROUP(x) _IOC_TYPE(x)
#define IOCPARM_MAX ((1 << _IOC_SIZEBITS) - 1)
// FreeBSD's own numbers: Linux's FIONREAD and its like carry no size, and a Linux kernel answers
// them itself for a file on FUSE, so they never reach a driver.
#undef FIONREAD
#undef FIONBIO
#undef FIOASYNC
#define FIONREAD _IOR('f', 127, int)
#define FIONBIO _IOW('f', 126, int)
#define FIOASYNC _IOW('f', 125, int)
#define FIONWRITE _IOR('f', 119, int)
#define FIONSPACE _IOR('f', 118, int)

// ---- Polling: <sys/selinfo.h>

struct selinfo {
  void* si_waiters;  // The kernel's. All zeroes is a good start.
  struct knlist si_note;
};

// ---- Memory: <sys/malloc.h>

struct malloc_type {
  const char* ks_shortdesc;
  const char* ks_longdesc;
  void* ks_stats;  // The kernel's.
};
#define M_NOWAIT 0x0001
#define M_WAITOK 0x0002
#define M_ZERO 0x0100

// ---- Character devices: <sys/conf.h>

#define SPECNAMELEN 255
struct cdev {
  unsigned int si_flags;
  int si_drv0;
  void* si_drv1;
  void* si_drv2;
  char si_name[SPECNAMELEN + 1];
};

typedef int d_open_t(struct cdev* dev, int oflags, int devtype, struct thread* td);
typedef int d_fdopen_t(struct cdev* dev, int oflags, struct thread* td, void* fp);
typedef int d_close_t(struct cdev* dev, int fflag, int devtype, struct thread* td);
typedef int d_read_t(struct cdev* dev, struct uio* uio, int ioflag);
typedef int d_write_t(struct cdev* dev, struct uio* uio, int ioflag);
typedef int d_ioctl_t(struct cdev* dev, u_long cmd, caddr_t data, int fflag, struct thread* td);
typedef int d_poll_t(struct cdev* dev, int events, struct thread* td);
typedef int d_mmap_t(struct cdev* dev, vm_ooffset_t offset, vm_paddr_t* paddr, int nprot,
                     vm_memattr_t* memattr);
typedef int d_kqfilter_t(struct cdev* dev, struct knote* kn);
typedef void d_purge_t(struct cdev* dev);
typedef void d_priv_dtor_t(void* data);

struct cdevsw {
  int d_version;  // D_VERSION
  unsigned int d_flags;
  const char* d_name;
  d_open_t* d_open;
  d_fdopen_t* d_fdopen;
  d_close_t* d_close;
  d_read_t* d_read;
  d_write_t* d_write;
  d_ioctl_t* d_ioctl;
  d_poll_t* d_poll;
  d_mmap_t* d_mmap;
  d_kqfilter_t* d_kqfilter;
  d_purge_t* d_purge;
};
#define D_VERSION 0x17122009
#define D_TRACKCLOSE 0x00080000  // d_close on every close, not only the last.
#define D_DISK 0x0002
#define D_MEM 0x0008

#define MAKEDEV_NOWAIT 0x04
#define MAKEDEV_WAITOK 0x08
#define MAKEDEV_ETERNAL 0x10
#define MAKEDEV_CHECKNAME 0x20
struct make_dev_args {
  size_t mda_size;
  int mda_flags;
  struct cdevsw* mda_devsw;
  struct ucred* mda_cr;
  uid_t mda_uid;
  gid_t mda_gid;
  int mda_mode;
  int mda_unit;
  void* mda_si_drv1;
  void* mda_si_drv2;
};
#define UID_ROOT 0
#define UID_BIN 3
#define UID_NOBODY 65534
#define GID_WHEEL 0
#define GID_KMEM 2
#define GID_TTY 4
#define GID_OPERATOR 5
#define GID_NOBODY 65534

// ---- Network interfaces: <net/if.h>, <net/ethernet.h>. Where FreeBSD hands over an mbuf, a frame
// is shown for the time of the call.

#define IFNAMSIZ 16
#define ETHER_ADDR_LEN 6
#define ETHER_HDR_LEN 14
#define ETHERMTU 1500
struct ifnet {
  char if_xname[IFNAMSIZ];
  void* if_softc;
  unsigned int if_mtu;  // Of the payload.
  // The driver's: what the stack sends. Returns 0 or an errno.
  int (*if_transmit)(struct ifnet* ifp, const void* frame, size_t length);
};

// ---- Modules: <sys/module.h>, <sys/kernel.h>

struct module;
typedef struct module* module_t;
typedef enum modeventtype { MOD_LOAD, MOD_UNLOAD, MOD_SHUTDOWN, MOD_QUIESCE } modeventtype_t;
typedef int (*modeventhand_t)(module_t mod, int type, void* data);
typedef struct moduledata {
  const char* name;
  modeventhand_t evhand;
  void* priv;
} moduledata_t;

enum wh_meta_kind { WH_META_MODULE, WH_META_MALLOC, WH_META_SYSINIT, WH_META_SYSUNINIT };
struct wh_meta {
  enum wh_meta_kind kind;
  void* what;               // moduledata_t or malloc_type.
  void (*call)(void* arg);  // Of a sysinit or sysuninit.
  void* arg;
};
struct wh_driver_image {
  int version;
  const struct wh_kernel** kernel;
  struct wh_meta** meta_begin;
  struct wh_meta** meta_end;
};

// ---- The kernel's side: filled in by the loader, reached by the functions below.

struct wh_kernel {
  int (*make_dev)(const struct wh_kernel* k, struct make_dev_args* args, struct cdev** dev,
                  const char* format, va_list ap);
  int (*make_dev_alias)(const struct wh_kernel* k, struct cdev** alias, struct cdev* dev,
                        const char* format, va_list ap);
  void (*destroy_dev)(const struct wh_kernel* k, struct cdev* dev);
  int (*destroy_dev_sched)(const struct wh_kernel* k, struct cdev* dev, void (*cb)(void*),
                           void* arg);
  int (*set_cdevpriv)(const struct wh_kernel* k, void* priv, d_priv_dtor_t* dtor);
  int (*get_cdevpriv)(const struct wh_kernel* k, void** priv);
  void (*clear_cdevpriv)(const struct wh_kernel* k);
  int (*uiomove)(const struct wh_kernel* k, void* buffer, size_t n, struct uio* uio);
  void* (*malloc)(const struct wh_kernel* k, size_t size, struct malloc_type* type, int flags);
  void* (*realloc)(const struct wh_kernel* k, void* p, size_t size, struct malloc_type* type,
                   int flags);
  void (*free)(const struct wh_kernel* k, void* p, struct malloc_type* type);
  struct malloc_type* m_devbuf;
  void (*lock_init)(const struct wh_kernel* k, struct wh_lock* lock, const char* name, int flags);
  void (*lock_destroy)(const struct wh_kernel* k, struct wh_lock* lock);
  int (*lock_op)(const struct wh_kernel* k, struct wh_lock* lock, enum wh_lock_op op);
  void (*lock_assert)(const struct wh_kernel* k, struct wh_lock* lock, int what);
  int (*sleep)(const struct wh_kernel* k, const void* chan, struct wh_lock* lock, int priority,
               const char* wmesg, sbintime_t timeout);
  void (*wakeup)(const struct wh_kernel* k, const void* chan, int how_many);  // 0: all.
  void (*selrecord)(const struct wh_kernel* k, struct thread* td, struct selinfo* sip);
  void (*selwakeup)(const struct wh_kernel* k, struct selinfo* sip);
  void (*knlist_init)(const struct wh_kernel* k, struct knlist* list, struct wh_lock* lock,
                      void* arg, void (*take)(void*), void (*leave)(void*),
                      void (*check)(void*, int));
  void (*knlist_add)(const struct wh_kernel* k, struct knlist* list, struct knote* kn, int locked);
  void (*knlist_remove)(const struct wh_kernel* k, struct knlist* list, struct knote* kn,
                        int locked);
  void (*knlist_clear)(const struct wh_kernel* k, struct knlist* list, int locked);
  void (*knlist_destroy)(const struct wh_kernel* k, struct knlist* list);
  void (*knote)(const struct wh_kernel* k, struct knlist* list, long hint, int locked);
  struct thread* (*curthread)(const struct wh_kernel* k);
  void (*print)(const struct wh_kernel* k, const char* format, va_list ap);
  void (*panic)(const struct wh_kernel* k, const char* format, va_list ap) WH_NORETURN;
  uint64_t (*random)(const struct wh_kernel* k);
  int (*if_attach)(const struct wh_kernel* k, struct ifnet* ifp, const uint8_t* mac);
  void (*if_detach)(const struct wh_kernel* k, struct ifnet* ifp);
  void (*if_input)(const struct wh_kernel* k, struct ifnet* ifp, const void* frame, size_t length);
  void (*drain_devs)(const struct wh_kernel* k);
};

#ifdef __cplusplus
}  // extern "C"
#endif

#ifdef WH_DRIVER
#include "dev/kpi_driver.h"
#endif
