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
// Threads: safe to call from any thread that the Monitor serialises. The monitor's lock is not held
// while a filter's function runs; a knote that such a call works on is `in flux`, and others wait
// for it. Left out: signal, process and vnode filters.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <span>
#include <unordered_map>

#include "core/intrusive_list.h"
#include "core/result.h"
#include "event/knlist.h"
#include "event/monitor.h"
#include "event/selectable.h"

namespace wh::event {

class Kqueue;

// A knote with what the queue keeps about it. Every ::knote that a filter sees is one of these.
struct Note : ::knote {
  Kqueue* queue = nullptr;
  ListLink on_active;  // Its filter said yes; delivery will ask again.
  bool is_disabled = false;
  uint32_t in_flux = 0;  // Calls that work on it without the lock.
  Instant due = kNever;  // TIMER.
  Duration period{};     // TIMER; zero when it fires once.
};

struct KqueueCounters {
  uint64_t registered = 0, deleted = 0, delivered = 0, activations = 0;
  uint64_t rejected_full = 0;  // EV_ADD refused: the queue holds its limit of knotes.
};

class Kqueue {
 public:
  struct Limits {
    size_t knotes = size_t{1} << 20;
  };
  Kqueue(Monitor& monitor, Descriptors& descriptors) : Kqueue(monitor, descriptors, Limits{}) {}
  Kqueue(Monitor& monitor, Descriptors& descriptors, Limits limits)
      : monitor_(monitor), descriptors_(descriptors), limits_(limits) {}
  ~Kqueue();  // Detaches every knote. REQUIRES: nobody is inside kevent().
  Kqueue(const Kqueue&) = delete;
  Kqueue& operator=(const Kqueue&) = delete;

  // Applies `changes`, then fills `events` and returns how many; waits for the first until
  // `timeout` (nullopt: for ever; zero: not at all). A change that fails, or carries EV_RECEIPT,
  // takes a place in `events` with EV_ERROR and an errno in data. Errors: that of a failed change
  // when `events` is full or empty; interrupted. Changes made before the error stay made.
  Result<size_t> kevent(std::span<const ::kevent> changes, std::span<::kevent> events,
                        std::optional<Duration> timeout);

  // close(2): deletes every knote on the descriptor `ident`.
  void descriptor_closed(uintptr_t ident);
  // Detaches every knote whose filter functions lie in [begin, end): code about to be unmapped.
  // They are delivered once more with EV_EOF. Returns how many there were.
  size_t detach_code(const void* begin, const void* end);

  // Called with the lock held when the queue stops being empty.
  void set_ready_hook(std::function<void()> hook) { ready_hook_ = std::move(hook); }
  Instant next_deadline() const { return timers_.empty() ? kNever : timers_.begin()->first; }
  bool has_active() const { return !active_.empty(); }
  size_t knotes() const { return notes_.size(); }
  const KqueueCounters& counters() const { return counters_; }

 private:
  friend void list_event(::knlist& list, long hint, ListLock lock);
  friend void list_clear(::knlist& list, ListLock lock);
  struct Key {
    uintptr_t ident;
    short filter;
    bool operator==(const Key&) const = default;
  };
  struct HashKey {
    size_t operator()(const Key& k) const {
      return (k.ident ^ (static_cast<uintptr_t>(static_cast<uint16_t>(k.filter)) << 48)) *
             0x9e3779b97f4a7c15u;
    }
  };
  struct Lock;
  struct TimerPlan;

  template <class F>
  void without_lock(Note& note, F&& function);
  int change(const ::kevent& request);
  int add(const ::kevent& request);
  int attach(Note& note);
  int retune(Note& note, const ::kevent& request);
  void drop(Note& note);
  static std::optional<TimerPlan> plan_timer(unsigned fflags, int64_t data, unsigned flags);
  void start_timer(Note& note, const TimerPlan& plan);
  void touch_user(Note& note, const ::kevent& request);
  Note* find_settled(const Key& key);

  size_t scan(std::span<::kevent> events, bool& skipped);
  bool deliver(Note& note, ::kevent& out);
  void expire_timers(Instant now);

  // With the lock held.
  void activate(Note& note);
  void enqueue(Note& note);
  void dequeue(Note& note);
  void wait_for_flux();
  void wait_for_flux_without(const std::function<void()>& leave);
  void leave_flux(Note& note);
  void orphan(Note& note);

  Monitor& monitor_;
  Descriptors& descriptors_;
  const Limits limits_;
  std::unordered_map<Key, Note, HashKey> notes_;  // Node-based: a knote does not move.
  IntrusiveList<Note, &Note::on_active> active_;
  size_t active_count_ = 0;
  size_t flux_waiters_ = 0;  // A queue that goes waits for them.
  uint64_t flux_left_ = 0;   // How often a knote has left flux.
  bool is_closing_ = false;
  std::set<std::pair<Instant, Note*>> timers_;
  std::function<void()> ready_hook_;
  KqueueCounters counters_;
};

}  // namespace wh::event
