// Knote lists: how a device or a socket tells the queues that watch it.
//
//   socket, driver ---- list_event(list) ----> f_event of each knote ----> its queue's active list
//
// Every function takes the list's own lock unless told that the caller holds it. Lock order: the
// list's lock first, then the queue's. A list without lock functions belongs to one loop. Source:
// kqueue(9).
#pragma once

#include "event/kevent.h"

namespace wh::event {

enum class ListLock { Take, Held };

void list_add(::knlist& list, ::knote& kn, ListLock lock);
void list_remove(::knlist& list, ::knote& kn, ListLock lock);

// Something changed: asks every knote on the list, and queues those whose f_event says 1.
void list_event(::knlist& list, long hint, ListLock lock);

// The thing watched goes away: every knote leaves the list, and is delivered once more with EV_EOF.
// After it the filter's functions are not called again. May let go of the lock and take it again.
void list_clear(::knlist& list, ListLock lock);

inline bool list_empty(const ::knlist& list) {
  return list.kl_first == nullptr;
}

// A list's own lock for a scope; nothing for no list, or one without a lock.
class ScopedListLock {
 public:
  explicit ScopedListLock(::knlist* list) : list_(list) {
    if (list_ != nullptr && list_->kl_lock != nullptr) list_->kl_lock(list_->kl_lockarg);
  }
  ~ScopedListLock() {
    if (list_ != nullptr && list_->kl_unlock != nullptr) list_->kl_unlock(list_->kl_lockarg);
  }
  ScopedListLock(const ScopedListLock&) = delete;
  ScopedListLock& operator=(const ScopedListLock&) = delete;

 private:
  ::knlist* list_;
};

}  // namespace wh::event
