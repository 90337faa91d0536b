#include "event/knlist.h"

#include "event/kqueue.h"

namespace wh::event {
namespace {

void unlink(::knlist& list, ::knote& kn) {
  if (kn.kn_selprev != nullptr) {
    kn.kn_selprev->kn_selnext = kn.kn_selnext;
  } else {
    list.kl_first = kn.kn_selnext;
  }
  if (kn.kn_selnext != nullptr) kn.kn_selnext->kn_selprev = kn.kn_selprev;
  kn.kn_selnext = kn.kn_selprev = nullptr;
  kn.kn_knlist = nullptr;
}

::knlist* to_lock(::knlist& list, ListLock lock) {
  return lock == ListLock::Take ? &list : nullptr;
}

}  // namespace

void list_add(::knlist& list, ::knote& kn, ListLock lock) {
  const ScopedListLock guard(to_lock(list, lock));
  CHECK(kn.kn_knlist == nullptr);
  kn.kn_knlist = &list;
  kn.kn_selprev = nullptr;
  kn.kn_selnext = list.kl_first;
  if (list.kl_first != nullptr) list.kl_first->kn_selprev = &kn;
  list.kl_first = &kn;
}

void list_remove(::knlist& list, ::knote& kn, ListLock lock) {
  const ScopedListLock guard(to_lock(list, lock));
  if (kn.kn_knlist == &list) unlink(list, kn);
}

void list_event(::knlist& list, long hint, ListLock lock) {
  const ScopedListLock guard(to_lock(list, lock));
  for (::knote* kn = list.kl_first; kn != nullptr; kn = kn->kn_selnext) {
    if (kn->kn_fop->f_event(kn, hint) == 0) continue;
    // Sound: every ::knote is made by a Kqueue, as the base of a Note.
    Note& note = static_cast<Note&>(*kn);
    note.queue->monitor_.lock();
    note.queue->activate(note);
    note.queue->monitor_.unlock();
  }
}

// The list's lock is held while a knote is taken off, but not while waiting for one in flux:
// whoever works on it wants that lock.
void list_clear(::knlist& list, ListLock lock) {
  const auto take = [&] {
    if (list.kl_lock != nullptr) list.kl_lock(list.kl_lockarg);
  };
  const auto leave = [&] {
    if (list.kl_unlock != nullptr) list.kl_unlock(list.kl_lockarg);
  };
  if (lock == ListLock::Take) take();
  while (list.kl_first != nullptr) {
    Note& note = static_cast<Note&>(*list.kl_first);
    Monitor& monitor = note.queue->monitor_;
    monitor.lock();
    if (note.in_flux != 0) {
      note.queue->wait_for_flux_without(leave);
      monitor.unlock();
      take();
      continue;
    }
    unlink(list, note);
    note.queue->orphan(note);
    monitor.unlock();
  }
  if (lock == ListLock::Take) leave();
}

}  // namespace wh::event
