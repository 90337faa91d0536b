// A queue as a thing that other queues watch. The list of its watchers is locked as the queue is.
#include <cerrno>

#include "event/kqueue.h"

namespace wh::event {

const ::filterops Kqueue::kQueueOps = {1, nullptr, &Kqueue::stop_watching, &Kqueue::count_active};

int Kqueue::kqfilter(::knote& kn) {
  // Sound: every ::knote is made by a Kqueue, as the base of a Note.
  Kqueue& outer = *static_cast<Note&>(kn).queue;
  if (kn.kn_filter != EVFILT_READ) return EINVAL;
  const Lock lock(*this);
  if (is_closed_) return EBADF;
  const bool is_second_level = !watched_.empty() || !list_empty(outer.watchers_);
  if (&outer == this || is_second_level) return EINVAL;
  watchers_.kl_lock = [](void* self) { static_cast<Kqueue*>(self)->monitor_.lock(); };
  watchers_.kl_unlock = [](void* self) { static_cast<Kqueue*>(self)->monitor_.unlock(); };
  watchers_.kl_lockarg = this;
  kn.kn_fop = &kQueueOps;
  kn.kn_hook = this;
  list_add(watchers_, kn, ListLock::Held);
  outer.watched_.push_back(this);
  return 0;
}

int Kqueue::count_active(::knote* kn, long) {
  kn->kn_data = static_cast<int64_t>(static_cast<Kqueue*>(kn->kn_hook)->active_count_);
  return kn->kn_data != 0;
}

void Kqueue::stop_watching(::knote* kn) {
  Kqueue& inner = *static_cast<Kqueue*>(kn->kn_hook);
  const Lock lock(inner);
  inner.leave_watchers(static_cast<Note&>(*kn));
}

void Kqueue::leave_watchers(Note& watcher) {
  std::vector<Kqueue*>& watched = watcher.queue->watched_;
  watched.erase(std::find(watched.begin(), watched.end(), this));
  list_remove(watchers_, watcher, ListLock::Held);
}

size_t Kqueue::ready() {
  const Lock lock(*this);
  expire_timers(monitor_.now());
  return active_count_;
}

// A queue that watches is itself not watched, so this goes no further.
void Kqueue::tell_watchers() {
  for (::knote* kn = watchers_.kl_first; kn != nullptr; kn = kn->kn_selnext) {
    Note& watcher = static_cast<Note&>(*kn);
    if (kn->kn_fop->f_event(kn, 0) != 0) watcher.queue->activate(watcher);
  }
}

}  // namespace wh::event
