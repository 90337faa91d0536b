// What programs and drivers see of kqueue: struct kevent, struct knote, knote lists, filter
// operations.
//
// Plain C, under FreeBSD's names and with FreeBSD's values, because driver files are C and include
// it (as <sys/event.h>). A program speaks `struct kevent`. A driver is handed a `struct knote`,
// sets its kn_fop and kn_hook, and puts it on a `struct knlist` of its own; when something changes
// it calls KNOTE_LOCKED on the list, which asks f_event of every knote there and queues those that
// say 1.
//
// The list's lock is the driver's: kn_data, kn_fflags and kn_flags are touched only under it.
// Source: kqueue(2), kqueue(9).
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kevent {
  uintptr_t ident;       // Descriptor, or a number of the program's choosing (timers, user events).
  short filter;          // EVFILT_*
  unsigned short flags;  // EV_*
  unsigned int fflags;   // NOTE_*, per filter.
  int64_t data;          // Per filter: bytes, expirations, or an errno with EV_ERROR.
  void* udata;           // The program's own; handed back unchanged.
};

#define EV_SET(kevp, a, b, c, d, e, f) \
  do {                                 \
    struct kevent* ev_set_ = (kevp);   \
    ev_set_->ident = (a);              \
    ev_set_->filter = (b);             \
    ev_set_->flags = (c);              \
    ev_set_->fflags = (d);             \
    ev_set_->data = (e);               \
    ev_set_->udata = (f);              \
  } while (0)

#define EVFILT_READ (-1)
#define EVFILT_WRITE (-2)
#define EVFILT_TIMER (-7)
#define EVFILT_USER (-11)

// Actions.
#define EV_ADD 0x0001
#define EV_DELETE 0x0002
#define EV_ENABLE 0x0004
#define EV_DISABLE 0x0008
// Manners of delivery.
#define EV_ONESHOT 0x0010
#define EV_CLEAR 0x0020
#define EV_RECEIPT 0x0040
#define EV_DISPATCH 0x0080
#define EV_KEEPUDATA 0x0200
// Told by the filter.
#define EV_ERROR 0x4000
#define EV_EOF 0x8000

#define NOTE_LOWAT 0x00000001  // READ, WRITE: least kn_data, where the filter supports it.

#define NOTE_SECONDS 0x00000001  // TIMER: unit of data; milliseconds when none is named.
#define NOTE_MSECONDS 0x00000002
#define NOTE_USECONDS 0x00000004
#define NOTE_NSECONDS 0x00000008
#define NOTE_ABSTIME 0x00000010  // data is an instant of the queue's clock; fires once.

#define NOTE_FFNOP 0x00000000u  // USER: what to do with the knote's flags.
#define NOTE_FFAND 0x40000000u
#define NOTE_FFOR 0x80000000u
#define NOTE_FFCOPY 0xc0000000u
#define NOTE_FFCTRLMASK 0xc0000000u
#define NOTE_FFLAGSMASK 0x00ffffffu
#define NOTE_TRIGGER 0x01000000u

struct knote;

struct filterops {
  int f_isfd;                         // 1: ident is a descriptor.
  int (*f_attach)(struct knote* kn);  // Unused for devices: their kqfilter method attaches.
  void (*f_detach)(struct knote* kn);
  int (*f_event)(struct knote* kn, long hint);  // 1: report it. Called with the list's lock held.
};

// A list of knotes. All zeroes is an empty list without a lock.
struct knlist {
  struct knote* kl_first;
  void (*kl_lock)(void* arg);
  void (*kl_unlock)(void* arg);
  void (*kl_assert_lock)(void* arg, int what);  // LA_LOCKED, LA_UNLOCKED
  void* kl_lockarg;
};
#define LA_LOCKED 0x1
#define LA_UNLOCKED 0x2

struct knote {
  uintptr_t kn_id;
  short kn_filter;
  // EV_ONESHOT, CLEAR, DISPATCH as registered; EV_EOF, EV_ERROR by the filter.
  unsigned short kn_flags;
  unsigned int kn_fflags;
  int64_t kn_data;
  void* kn_udata;

  const struct filterops* kn_fop;  // Set by the kqfilter method.
  void* kn_hook;                   // The filter's own.
  int kn_hookid;
  unsigned int kn_sfflags;  // fflags and data as the program gave them.
  int64_t kn_sdata;

  struct knlist* kn_knlist;  // The list it is on; kept by the knlist functions.
  struct knote* kn_selnext;
  struct knote* kn_selprev;
};

#ifdef __cplusplus
}
#endif
