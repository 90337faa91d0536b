// kqueue(2) and kevent(2): a program's list of things to be told about, and the queue of what has
// happened.
//
//   kevent(changes) --> knotes by (ident, filter)          +--> active list --> kevent(events)
//                        |  READ, WRITE: on the thing's knlist --'
//                        |  TIMER: by deadline in timers_ -------'
//                        |  USER: NOTE_TRIGGER ------------------'
//
// Model: a knote is active when its filter last said so, and is then asked again when it is about
// to be delivered: what is reported is the state at that moment, not at the event's. After delivery
// it stays active (level), is reset (EV_CLEAR), disabled (EV_DISPATCH) or deleted (EV_ONESHOT).
//
// A timer needs no callout: the queue looks at the time when it is asked, and waits no longer than
// the next deadline. Programs on a loop use set_ready_hook() and next_deadline() instead of
// waiting.
//
// A queue can be watched as a descriptor is: EVFILT_READ on it says how many of its knotes are
// active. It goes one level deep: a queue that watches queues cannot be watched.
//
// Threads: safe to call from any thread that the Monitor serialises. The monitor's lock is not held
// while a filter's function runs; a knote that such a call works on is `in flux`, and others wait
// for it. Left out: signal, process and vnode filters.
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <set>
#include <span>

#include "core/intrusive_list.h"
#include "core/result.h"
#include "event/knlist.h"
#include "event/monitor.h"
#include "event/note_table.h"
#include "event/selectable.h"

namespace wh::event {

// What several queues may have memory for together, as kern.kq_calloutmax bounds all timers. Their
// monitors have one lock.
struct Allowance {
  size_t knotes;
  size_t used = 0;
  uint64_t refused = 0;
};

class Kqueue final : public Selectable {
 public:
  struct Limits {
    size_t knotes = size_t{1} << 20;
    Allowance* shared = nullptr;  // Outlives the queue.
  };
  Kqueue(Monitor& monitor, Descriptors& descriptors) : Kqueue(monitor, descriptors, Limits{}) {}
  Kqueue(Monitor& monitor, Descriptors& descriptors, Limits limits)
      : monitor_(monitor), descriptors_(descriptors), limits_(limits) {}
  // Detaches every knote; who watches the queue is told EV_EOF. REQUIRES: nobody is in kevent().
  ~Kqueue() override;
  Kqueue(const Kqueue&) = delete;
  Kqueue& operator=(const Kqueue&) = delete;

  // Applies `changes`, then fills `events` and returns how many; waits for the first until
  // `timeout` (nullopt: for ever; zero: not at all). A change that fails, or carries EV_RECEIPT,
  // takes a place in `events` with EV_ERROR and an errno in data; without a place it ends the call,
  // and the changes after it are not made. Errors: that of a failed change without a place;
  // interrupted; EBADF once it is closed. Changes made before the error stay made. `changes` and
  // `events` may be the same.
  Result<size_t> kevent(std::span<const ::kevent> changes, std::span<::kevent> events,
                        std::optional<Duration> timeout);

  // close(2) of the queue itself: deletes every knote, and takes none any more. Calls in progress
  // end. When this returns, none of the filters is called again.
  void close();
  // close(2): deletes every knote on the descriptor `ident`.
  void descriptor_closed(uintptr_t ident);
  // Detaches every knote whose filter functions lie in [begin, end): code about to be unmapped.
  // They are delivered once more with EV_EOF. Returns how many there were.
  size_t detach_code(const void* begin, const void* end);

  // Puts `kn`, of another queue, on this one. Errors: EINVAL, for a filter that is not READ, for
  // the queue itself, and for a second level. REQUIRES: both queues' monitors have one lock.
  int kqfilter(::knote& kn) override;
  // How many knotes are active, timers that are due included.
  size_t ready();

  // Called with the lock held when the queue stops being empty.
  void set_ready_hook(std::function<void()> hook) { ready_hook_ = std::move(hook); }
  Instant next_deadline() const;  // Of its own timers, and of the queues it watches.
  size_t knotes() const { return notes_.size(); }
  // EV_ADD refused: the queue held its limit of knotes, or all that share its allowance theirs.
  uint64_t rejected_full() const { return rejected_full_; }

 private:
  friend void list_event(::knlist& list, long hint, ListLock lock);
  friend void list_clear(::knlist& list, ListLock lock);
  struct Lock {
    explicit Lock(Kqueue& q) : queue(q) { queue.monitor_.lock(); }
    ~Lock() { queue.monitor_.unlock(); }
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;
    Kqueue& queue;
  };
  struct TimerPlan;

  template <class F>
  bool without_lock(Note& note, F&& function);
  template <class F>
  bool with_filter(Note& note, F&& function);
  void take_off_list(Note& note);
  int change(const ::kevent& request);
  bool make_room();
  int add(const ::kevent& request, Selectable* thing);
  int attach(Note& note, Selectable* thing);
  int retune(Note& note, const ::kevent& request);
  void clear();
  void drop(Note& note);
  static std::optional<TimerPlan> plan_timer(unsigned fflags, int64_t data, unsigned flags);
  void start_timer(Note& note, const TimerPlan& plan);
  void touch_user(Note& note, const ::kevent& request);
  Note* find_settled(uintptr_t ident, short filter);

  size_t scan(std::span<::kevent> events, bool& skipped);
  bool deliver(Note& note, ::kevent& out);
  void expire_timers(Instant now);
  void expire_own_timers(Instant now);
  static int count_active(::knote* kn, long hint);
  static void stop_watching(::knote* kn);
  void leave_watchers(Note& watcher);
  static const ::filterops kQueueOps;

  // With the lock held.
  void activate(Note& note);
  void tell_watchers();
  void enqueue(Note& note);
  void dequeue(Note& note);
  void wait_for_flux();
  void wait_for_flux_without(const std::function<void()>& leave);
  void leave_flux(Note& note);
  void orphan(Note& note);

  Monitor& monitor_;
  Descriptors& descriptors_;
  const Limits limits_;
  NoteTable notes_;
  IntrusiveList<Note, &Note::on_active> active_;
  size_t active_count_ = 0;
  size_t sleepers_ = 0;      // In kevent(), for want of active knotes.
  size_t flux_waiters_ = 0;  // A queue that goes waits for them.
  uint64_t flux_left_ = 0;   // How often a knote has left flux.
  bool is_closed_ = false;
  bool is_going_ = false;
  std::set<std::pair<Instant, Note*>> timers_;
  std::function<void()> ready_hook_;
  ::knlist watchers_{};           // Knotes of queues that watch this one, under its lock.
  std::vector<Kqueue*> watched_;  // Queues that this one watches, once for each knote.
  uint64_t rejected_full_ = 0;
};

}  // namespace wh::event
