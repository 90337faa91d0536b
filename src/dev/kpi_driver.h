// The functions and macros a driver calls, each a step through the driver's `wh_kernel` pointer.
//
// Included by kpi.h in driver files only (they are compiled with WH_DRIVER): names such as malloc
// and printf mean the kernel's there.
#pragma once

#ifdef __cplusplus
#define WH_INLINE inline
#define CTASSERT(claim) static_assert(claim, #claim)
extern "C" {
#else
#define WH_INLINE static inline __attribute__((unused))
#define CTASSERT(claim) _Static_assert(claim, #claim)
#endif

// ---- Small things: <sys/param.h>

#define hz 1000  // Ticks a second: a timeout of 1 is one millisecond.
#define PAGE_SIZE 4096
#define PAGE_MASK (PAGE_SIZE - 1)
#define round_page(x) (((uintptr_t)(x) + PAGE_MASK) & ~(uintptr_t)PAGE_MASK)
#define vtophys(va) ((vm_paddr_t)(uintptr_t)(va))  // Here an address is its own physical address.
#ifndef MIN
#define MIN(a, b) (((a) < (b)) ? (a) : (b))
#define MAX(a, b) (((a) > (b)) ? (a) : (b))
#endif
#define rounddown2(x, y) ((x) & ~((y)-1))
#define roundup2(x, y) (((x) + ((y)-1)) & ~((y)-1))
#ifndef nitems
#define nitems(x) (sizeof((x)) / sizeof((x)[0]))
#endif
#ifndef __unused
#define __unused __attribute__((__unused__))
#endif

// ---- The image. One of each per shared object, however many files include this.
extern struct wh_meta* __start_wh_meta[] __attribute__((weak, visibility("hidden")));
extern struct wh_meta* __stop_wh_meta[] __attribute__((weak, visibility("hidden")));
__attribute__((weak, visibility("hidden"))) const struct wh_kernel* wh_kernel = NULL;
extern __attribute__((weak, visibility("default"))) const struct wh_driver_image wh_driver_image;
const struct wh_driver_image wh_driver_image = {WH_KPI_VERSION, &wh_kernel, __start_wh_meta,
                                                __stop_wh_meta};

#define WH_META(unique, kind, what, call, arg)                                            \
  static struct wh_meta wh_meta_##unique = {kind, what, call, arg};                       \
  static struct wh_meta* wh_meta_ref_##unique __attribute__((section("wh_meta"), used)) = \
      &wh_meta_##unique

// ---- Modules

#define SI_SUB_DRIVERS 0
#define SI_SUB_LOCK 0
#define SI_ORDER_ANY 0
#define SI_ORDER_FIRST 0
#define SI_ORDER_MIDDLE 0
#define DECLARE_MODULE(name, data, sub, order) \
  WH_META(module_##name, WH_META_MODULE, &(data), NULL, NULL)
#define DEV_MODULE(name, evh, arg)                             \
  static moduledata_t name##_mod = {#name, evh, (void*)(arg)}; \
  DECLARE_MODULE(name, name##_mod, SI_SUB_DRIVERS, SI_ORDER_MIDDLE)
#define MODULE_VERSION(name, version) struct wh_swallow_semicolon
#define MODULE_DEPEND(name, on, min, preferred, max) struct wh_swallow_semicolon
#define SYSINIT(unique, sub, order, function, arg) \
  WH_META(init_##unique, WH_META_SYSINIT, NULL, (void (*)(void*))(function), (void*)(arg))
#define SYSUNINIT(unique, sub, order, function, arg) \
  WH_META(uninit_##unique, WH_META_SYSUNINIT, NULL, (void (*)(void*))(function), (void*)(arg))

// ---- Memory

#define MALLOC_DEFINE(type, shortdesc, longdesc)              \
  struct malloc_type type[1] = {{shortdesc, longdesc, NULL}}; \
  WH_META(malloc_##type, WH_META_MALLOC, type, NULL, NULL)
#define MALLOC_DECLARE(type) extern struct malloc_type type[1]
#define M_DEVBUF (wh_kernel->m_devbuf)
#define M_TEMP (wh_kernel->m_devbuf)

WH_INLINE void wh_free(void* p, struct malloc_type* type) {
  wh_kernel->free(wh_kernel, p, type);
}
WH_INLINE void* wh_reallocf(void* p, size_t size, struct malloc_type* type, int flags) {
  void* q = wh_kernel->realloc(wh_kernel, p, size, type, flags);
  if (q == NULL && p != NULL) wh_free(p, type);
  return q;
}
// A count that overflows is what no machine has, to be refused or reported as such.
WH_INLINE void* wh_mallocarray(size_t count, size_t size, struct malloc_type* type, int flags) {
  size_t bytes = 0;
  if (__builtin_mul_overflow(count, size, &bytes)) bytes = SIZE_MAX;
  return wh_kernel->malloc(wh_kernel, bytes, type, flags);
}
#ifdef __cplusplus
}  // Overloads of the C library's names.
inline void* malloc(size_t size, struct malloc_type* type, int flags) {
  return wh_kernel->malloc(wh_kernel, size, type, flags);
}
inline void* realloc(void* p, size_t size, struct malloc_type* type, int flags) {
  return wh_kernel->realloc(wh_kernel, p, size, type, flags);
}
inline void free(void* p, struct malloc_type* type) {
  wh_free(p, type);
}
extern "C" {
#else
#define malloc(size, type, flags) wh_kernel->malloc(wh_kernel, size, type, flags)
#define realloc(p, size, type, flags) wh_kernel->realloc(wh_kernel, p, size, type, flags)
#define free(p, type) wh_free(p, type)
#endif
#define mallocarray(count, size, type, flags) wh_mallocarray(count, size, type, flags)
#define reallocf(p, size, type, flags) wh_reallocf(p, size, type, flags)

// ---- Devices

WH_NORETURN __attribute__((format(printf, 1, 2))) WH_INLINE void panic(const char* format, ...) {
  va_list ap;
  va_start(ap, format);
  wh_kernel->panic(wh_kernel, format, ap);
}

WH_INLINE void make_dev_args_init_impl(struct make_dev_args* args, size_t size) {
  memset(args, 0, size);
  args->mda_size = size;
}
#define make_dev_args_init(a) make_dev_args_init_impl((a), sizeof(struct make_dev_args))

__attribute__((format(printf, 3, 4))) WH_INLINE int make_dev_s(struct make_dev_args* args,
                                                               struct cdev** dev,
                                                               const char* format, ...) {
  va_list ap;
  va_start(ap, format);
  const int error = wh_kernel->make_dev(wh_kernel, args, dev, format, ap);
  va_end(ap);
  return error;
}
// The older ways, all of them make_dev_s's. make_dev is for names that are known to be free.
__attribute__((format(printf, 8, 9))) WH_INLINE int make_dev_p(int flags, struct cdev** dev,
                                                               struct cdevsw* devsw,
                                                               struct ucred* cr, uid_t uid,
                                                               gid_t gid, int mode,
                                                               const char* format, ...) {
  struct make_dev_args args = {sizeof(args), flags, devsw, cr, uid, gid, mode, 0, NULL, NULL};
  va_list ap;
  va_start(ap, format);
  const int error = wh_kernel->make_dev(wh_kernel, &args, dev, format, ap);
  va_end(ap);
  return error;
}
// Null only where `flags` let it fail: MAKEDEV_CHECKNAME, MAKEDEV_NOWAIT.
__attribute__((format(printf, 8, 9))) WH_INLINE struct cdev* make_dev_credf(
    int flags, struct cdevsw* devsw, int unit, struct ucred* cr, uid_t uid, gid_t gid, int mode,
    const char* format, ...) {
  struct make_dev_args args = {sizeof(args), flags, devsw, cr, uid, gid, mode, unit, NULL, NULL};
  struct cdev* dev = NULL;
  va_list ap;
  va_start(ap, format);
  const int error = wh_kernel->make_dev(wh_kernel, &args, &dev, format, ap);
  va_end(ap);
  if (error != 0 && (flags & (MAKEDEV_CHECKNAME | MAKEDEV_NOWAIT)) == 0) {
    panic("make_dev: bad name %s (error %d)", format, error);
  }
  return dev;
}
#define make_dev_cred(devsw, unit, cr, uid, gid, mode, ...) \
  make_dev_credf(0, devsw, unit, cr, uid, gid, mode, __VA_ARGS__)
#define make_dev(devsw, unit, uid, gid, mode, ...) \
  make_dev_credf(0, devsw, unit, NULL, uid, gid, mode, __VA_ARGS__)
__attribute__((format(printf, 4, 5))) WH_INLINE int make_dev_alias_p(int flags, struct cdev** alias,
                                                                     struct cdev* dev,
                                                                     const char* format, ...) {
  (void)flags;
  va_list ap;
  va_start(ap, format);
  const int error = wh_kernel->make_dev_alias(wh_kernel, alias, dev, format, ap);
  va_end(ap);
  return error;
}
__attribute__((format(printf, 2, 3))) WH_INLINE struct cdev* make_dev_alias(struct cdev* dev,
                                                                            const char* format,
                                                                            ...) {
  struct cdev* alias = NULL;
  va_list ap;
  va_start(ap, format);
  const int error = wh_kernel->make_dev_alias(wh_kernel, &alias, dev, format, ap);
  va_end(ap);
  if (error != 0) panic("make_dev_alias: bad name %s (error %d)", format, error);
  return alias;
}
WH_INLINE void destroy_dev(struct cdev* dev) {
  wh_kernel->destroy_dev(wh_kernel, dev);
}
WH_INLINE int destroy_dev_sched(struct cdev* dev) {
  return wh_kernel->destroy_dev_sched(wh_kernel, dev, NULL, NULL);
}
WH_INLINE int destroy_dev_sched_cb(struct cdev* dev, void (*cb)(void*), void* arg) {
  return wh_kernel->destroy_dev_sched(wh_kernel, dev, cb, arg);
}
// Waits until every device that was scheduled to go has gone, whoever's it was.
WH_INLINE void destroy_dev_drain(struct cdevsw* devsw) {
  (void)devsw;
  wh_kernel->drain_devs(wh_kernel);
}
WH_INLINE const char* devtoname(struct cdev* dev) {
  return dev->si_name;
}
#define dev2unit(dev) ((dev)->si_drv0)
WH_INLINE int devfs_set_cdevpriv(void* priv, d_priv_dtor_t* dtor) {
  return wh_kernel->set_cdevpriv(wh_kernel, priv, dtor);
}
WH_INLINE int devfs_get_cdevpriv(void** priv) {
  return wh_kernel->get_cdevpriv(wh_kernel, priv);
}
WH_INLINE void devfs_clear_cdevpriv(void) {
  wh_kernel->clear_cdevpriv(wh_kernel);
}
WH_INLINE int uiomove(void* buffer, size_t n, struct uio* uio) {
  return wh_kernel->uiomove(wh_kernel, buffer, n, uio);
}

// Of a buffer that is the whole file.
WH_INLINE int uiomove_frombuf(void* buffer, int size, struct uio* uio) {
  if (uio->uio_offset < 0 || size < 0) return EINVAL;
  if (uio->uio_offset >= size) return 0;
  return uiomove((char*)buffer + uio->uio_offset, (size_t)(size - uio->uio_offset), uio);
}

// ---- Locks

#define sx_init_flags(sx, name, flags) wh_kernel->lock_init(wh_kernel, &(sx)->lock, name, flags)
#define sx_init(sx, name) sx_init_flags(sx, name, 0)
#define sx_destroy(sx) wh_kernel->lock_destroy(wh_kernel, &(sx)->lock)
#define WH_LOCK(l, op) wh_kernel->lock_op(wh_kernel, &(l)->lock, op)
#define sx_slock(sx) ((void)WH_LOCK(sx, WH_SLOCK))
#define sx_xlock(sx) ((void)WH_LOCK(sx, WH_XLOCK))
#define sx_slock_sig(sx) WH_LOCK(sx, WH_SLOCK_SIG)
#define sx_xlock_sig(sx) WH_LOCK(sx, WH_XLOCK_SIG)
#define sx_try_slock(sx) WH_LOCK(sx, WH_TRY_SLOCK)
#define sx_try_xlock(sx) WH_LOCK(sx, WH_TRY_XLOCK)
#define sx_try_upgrade(sx) WH_LOCK(sx, WH_TRY_UPGRADE)
#define sx_downgrade(sx) ((void)WH_LOCK(sx, WH_DOWNGRADE))
#define sx_sunlock(sx) ((void)WH_LOCK(sx, WH_SUNLOCK))
#define sx_xunlock(sx) ((void)WH_LOCK(sx, WH_XUNLOCK))
#define sx_unlock(sx) ((void)WH_LOCK(sx, WH_UNLOCK))
#define sx_assert(sx, what) wh_kernel->lock_assert(wh_kernel, &(sx)->lock, what)
#define mtx_init(m, name, type, flags) \
  wh_kernel->lock_init(wh_kernel, &(m)->lock, name, (flags) | WH_LOCK_MUTEX)
#define mtx_destroy(m) wh_kernel->lock_destroy(wh_kernel, &(m)->lock)
#define mtx_lock(m) ((void)WH_LOCK(m, WH_XLOCK))
#define mtx_trylock(m) WH_LOCK(m, WH_TRY_XLOCK)
#define mtx_unlock(m) ((void)WH_LOCK(m, WH_XUNLOCK))
#define mtx_assert(m, what) wh_kernel->lock_assert(wh_kernel, &(m)->lock, what)

#define WH_LOCK_SYSINIT(unique, object, desc, flags)                                         \
  static void unique##_lock_init(void* l) {                                                  \
    wh_kernel->lock_init(wh_kernel, (struct wh_lock*)l, desc, flags);                        \
  }                                                                                          \
  static void unique##_lock_destroy(void* l) {                                               \
    wh_kernel->lock_destroy(wh_kernel, (struct wh_lock*)l);                                  \
  }                                                                                          \
  SYSINIT(unique##_lock, SI_SUB_LOCK, SI_ORDER_MIDDLE, unique##_lock_init, &(object)->lock); \
  SYSUNINIT(unique##_lock, SI_SUB_LOCK, SI_ORDER_MIDDLE, unique##_lock_destroy, &(object)->lock)
#define SX_SYSINIT(unique, sx, desc) WH_LOCK_SYSINIT(unique, sx, desc, 0)
#define MTX_SYSINIT(unique, m, desc, flags) \
  WH_LOCK_SYSINIT(unique, m, desc, (flags) | WH_LOCK_MUTEX)

// ---- Sleep and wakeup. A timeout of 0 is none; otherwise ticks, see `hz`.

#define WH_SLEEP(chan, lock, pri, wmesg, timo) \
  wh_kernel->sleep(wh_kernel, chan, lock, pri, wmesg, (sbintime_t)(timo)*SBT_1MS)
#define sx_sleep(chan, sx, pri, wmesg, timo) WH_SLEEP(chan, &(sx)->lock, pri, wmesg, timo)
#define mtx_sleep(chan, m, pri, wmesg, timo) WH_SLEEP(chan, &(m)->lock, pri, wmesg, timo)
#define msleep(chan, m, pri, wmesg, timo) mtx_sleep(chan, m, pri, wmesg, timo)
#define tsleep(chan, pri, wmesg, timo) WH_SLEEP(chan, NULL, pri, wmesg, timo)
#define pause(wmesg, timo) WH_SLEEP(&(int){0}, NULL, 0, wmesg, timo)
WH_INLINE void wakeup(const void* chan) {
  wh_kernel->wakeup(wh_kernel, chan, 0);
}
WH_INLINE void wakeup_one(const void* chan) {
  wh_kernel->wakeup(wh_kernel, chan, 1);
}

// Condition variables: sleeps whose channel is their own.
#define cv_init(cv, desc) ((void)((cv)->cv_description = (desc)))
#define cv_destroy(cv) ((void)((cv)->cv_description = NULL))
#define WH_CV_WAIT(cv, l, pri, timo) WH_SLEEP(cv, &(l)->lock, pri, (cv)->cv_description, timo)
#define cv_wait(cv, l) ((void)WH_CV_WAIT(cv, l, 0, 0))
#define cv_wait_unlock(cv, l) ((void)WH_CV_WAIT(cv, l, PDROP, 0))
#define cv_wait_sig(cv, l) WH_CV_WAIT(cv, l, PCATCH, 0)
#define cv_timedwait(cv, l, timo) WH_CV_WAIT(cv, l, 0, timo)
#define cv_timedwait_sig(cv, l, timo) WH_CV_WAIT(cv, l, PCATCH, timo)
#define cv_signal(cv) wakeup_one(cv)
#define cv_broadcast(cv) wakeup(cv)

// ---- Readiness

WH_INLINE void selrecord(struct thread* td, struct selinfo* sip) {
  wh_kernel->selrecord(wh_kernel, td, sip);
}
WH_INLINE void selwakeup(struct selinfo* sip) {
  wh_kernel->selwakeup(wh_kernel, sip);
}
#define selwakeuppri(sip, pri) selwakeup(sip)
#define seldrain(sip) selwakeup(sip)

#define knlist_init(list, arg, take, leave, check) \
  (wh_kernel->knlist_init)(wh_kernel, list, NULL, arg, take, leave, check)
#define knlist_init_mtx(list, m) \
  (wh_kernel->knlist_init)(wh_kernel, list, (m) == NULL ? NULL : &(m)->lock, NULL, NULL, NULL, NULL)
#define knlist_add(list, kn, locked) wh_kernel->knlist_add(wh_kernel, list, kn, locked)
#define knlist_remove(list, kn, locked) wh_kernel->knlist_remove(wh_kernel, list, kn, locked)
#define knlist_clear(list, locked) wh_kernel->knlist_clear(wh_kernel, list, locked)
#define knlist_destroy(list) wh_kernel->knlist_destroy(wh_kernel, list)
#define knlist_empty(list) ((list)->kl_first == NULL)
#define KNOTE_LOCKED(list, hint) wh_kernel->knote(wh_kernel, list, hint, 1)
#define KNOTE(list, hint, flags) \
  wh_kernel->knote(wh_kernel, list, hint, ((flags)&KNF_LISTLOCKED) != 0)
#define KNF_LISTLOCKED 0x0001
#define KNOTE_UNLOCKED(list, hint) wh_kernel->knote(wh_kernel, list, hint, 0)

// ---- Network interfaces. Unlike FreeBSD's, ether_ifattach can fail: the stack is not ours.

#define if_initname(ifp, name, unit) \
  ((void)__builtin_snprintf((ifp)->if_xname, sizeof((ifp)->if_xname), "%s%d", name, unit))
WH_INLINE int ether_ifattach(struct ifnet* ifp, const uint8_t* mac) {
  if (ifp->if_mtu == 0) ifp->if_mtu = ETHERMTU;
  return wh_kernel->if_attach(wh_kernel, ifp, mac);
}
WH_INLINE void ether_ifdetach(struct ifnet* ifp) {
  wh_kernel->if_detach(wh_kernel, ifp);
}
WH_INLINE void if_input(struct ifnet* ifp, const void* frame, size_t length) {
  wh_kernel->if_input(wh_kernel, ifp, frame, length);
}

// ---- The rest

#define curthread (wh_kernel->curthread(wh_kernel))
WH_INLINE uint32_t arc4random(void) {
  return (uint32_t)wh_kernel->random(wh_kernel);
}

#define WH_LESSER(name, type)           \
  WH_INLINE type name(type a, type b) { \
    return a < b ? a : b;               \
  }
#define WH_GREATER(name, type)          \
  WH_INLINE type name(type a, type b) { \
    return a > b ? a : b;               \
  }
WH_LESSER(imin, int)
WH_GREATER(imax, int)
WH_LESSER(ulmin, unsigned long)
WH_GREATER(ulmax, unsigned long)
#ifndef __cplusplus
WH_LESSER(min, unsigned int)
WH_GREATER(max, unsigned int)
#endif

// Copies what fits, and a zero; the length of `from` says whether it all did.
WH_INLINE size_t wh_strlcpy(char* to, const char* from, size_t size) {
  const size_t length = strlen(from);
  if (size == 0) return length;
  const size_t n = MIN(length, size - 1);
  memcpy(to, from, n);
  to[n] = '\0';
  return length;
}
#ifndef __cplusplus
#define strlcpy(to, from, size) wh_strlcpy(to, from, size)
#define snprintf(...) __builtin_snprintf(__VA_ARGS__)
#endif

__attribute__((format(printf, 1, 2))) WH_INLINE void wh_print(const char* format, ...) {
  va_list ap;
  va_start(ap, format);
  wh_kernel->print(wh_kernel, format, ap);
  va_end(ap);
}
#define uprintf(...) wh_print(__VA_ARGS__)  // To the message buffer: a program's terminal is far.
#ifndef __cplusplus
#define printf(...) wh_print(__VA_ARGS__)
#endif
#define MPASS(claim) KASSERT(claim, ("%s", #claim))
#define KASSERT(claim, message)  \
  do {                           \
    if (!(claim)) panic message; \
  } while (0)

#ifdef __cplusplus
}
#endif
