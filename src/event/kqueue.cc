#include "event/kqueue.h"

#include <cerrno>

namespace wh::event {
namespace {

constexpr unsigned kTimerUnits = NOTE_SECONDS | NOTE_MSECONDS | NOTE_USECONDS | NOTE_NSECONDS;
constexpr unsigned short kActions = EV_ADD | EV_DELETE | EV_ENABLE | EV_DISABLE | EV_RECEIPT;

void detach_nothing(::knote*) {}
int is_due(::knote* kn, long) {
  return kn->kn_data != 0;
}
int is_triggered(::knote* kn, long) {
  return kn->kn_hookid != 0;
}
constexpr ::filterops kTimerOps = {0, nullptr, detach_nothing, is_due};
constexpr ::filterops kUserOps = {0, nullptr, detach_nothing, is_triggered};

bool is_descriptor(short filter) {
  return filter == EVFILT_READ || filter == EVFILT_WRITE;
}

::kevent describe(const ::knote& kn) {
  return {kn.kn_id, kn.kn_filter, kn.kn_flags, kn.kn_fflags, kn.kn_data, kn.kn_udata};
}

bool is_whole(const ::filterops* filter) {
  return filter != nullptr && filter->f_event != nullptr && filter->f_detach != nullptr;
}

Error error_of(int code, const char* attempt) {
  return fail_with(static_cast<std::errc>(code), attempt).value();
}

}  // namespace

// What EVFILT_TIMER's fflags and data ask for; nullopt when they make no sense.
struct Kqueue::TimerPlan {
  Duration amount;
  bool absolute;
  bool repeats;
};

std::optional<Kqueue::TimerPlan> Kqueue::plan_timer(unsigned fflags, int64_t data, unsigned flags) {
  int64_t scale = 0;
  switch (fflags & kTimerUnits) {
    case 0:
    case NOTE_MSECONDS: scale = 1'000'000; break;
    case NOTE_SECONDS: scale = 1'000'000'000; break;
    case NOTE_USECONDS: scale = 1'000; break;
    case NOTE_NSECONDS: scale = 1; break;
    default: return std::nullopt;
  }
  if (data < 0) return std::nullopt;
  const bool absolute = (fflags & NOTE_ABSTIME) != 0;
  const bool repeats = !absolute && (flags & EV_ONESHOT) == 0;
  // A period of zero would fire without end, so it counts as one unit.
  const int64_t count = data == 0 && repeats ? 1 : data;
  int64_t ns = 0;
  if (__builtin_mul_overflow(count, scale, &ns)) ns = std::numeric_limits<int64_t>::max();
  return TimerPlan{Duration(ns), absolute, repeats};
}

// Runs a filter's function on a knote: in flux, so that it stays, and without the queue's lock,
// which comes after the list's. False: it threw, and the knote is on no list any more.
template <class F>
bool Kqueue::without_lock(Note& note, F&& function) {
  ++note.in_flux;
  monitor_.unlock();
  std::exception_ptr thrown;
  try {
    function();
  } catch (...) {
    thrown = std::current_exception();
  }
  if (thrown != nullptr) {  // Outside the handler: what follows may switch threads.
    monitor_.filter_failed(thrown);
    take_off_list(note);
  }
  monitor_.lock();
  leave_flux(note);
  return thrown == nullptr;
}

// The same, but the queue's own filters run under its lock, which is all that guards their knotes.
template <class F>
bool Kqueue::with_filter(Note& note, F&& function) {
  if (note.kn_fop != &kTimerOps && note.kn_fop != &kUserOps) {
    return without_lock(note, std::forward<F>(function));
  }
  function();
  return true;
}

// Off the list that a filter has left its knote on. Without the lock.
void Kqueue::take_off_list(Note& note) {
  if (note.kn_knlist != nullptr) list_remove(*note.kn_knlist, note, ListLock::Take);
}

void Kqueue::close() {
  const Lock lock(*this);
  is_closed_ = true;
  monitor_.notify_all();
  clear();
}

void Kqueue::clear() {
  while (Note* any = notes_.any()) {
    Note* note = find_settled(any->kn_id, any->kn_filter);
    if (note != nullptr) drop(*note);
  }
}

Kqueue::~Kqueue() {
  const Lock lock(*this);
  clear();
  if (limits_.shared != nullptr) limits_.shared->used -= notes_.capacity();
  while (watchers_.kl_first != nullptr) {
    Note& watcher = static_cast<Note&>(*watchers_.kl_first);
    if (watcher.in_flux != 0) {
      watcher.queue->wait_for_flux();
      continue;
    }
    leave_watchers(watcher);
    watcher.queue->orphan(watcher);
  }
  // Somebody may have waited for one of those knotes, and come back to find it gone.
  is_going_ = true;
  while (flux_waiters_ != 0) {
    monitor_.notify_all();
    monitor_.wait(kNever, Monitor::Signals::Ignored);
  }
}

Result<size_t> Kqueue::kevent(std::span<const ::kevent> changes, std::span<::kevent> events,
                              std::optional<Duration> timeout) {
  const Lock lock(*this);
  size_t filled = 0;
  for (const ::kevent& request : changes) {
    const int code = change(request);
    if (code == 0 && (request.flags & EV_RECEIPT) == 0) continue;
    if (filled < events.size()) {
      events[filled] = request;
      events[filled].flags = EV_ERROR;
      events[filled++].data = code;
    } else if (code != 0) {
      return tl::unexpected(error_of(code, "kevent"));
    } else {
      return filled;  // A receipt without a place: what comes after it is not changed.
    }
  }
  if (filled != 0 || events.empty()) return filled;

  const Instant start = monitor_.now();
  const Instant end = !timeout || *timeout > kNever - start ? kNever : start + *timeout;
  for (;;) {
    if (is_closed_) return tl::unexpected(error_of(EBADF, "kevent"));
    expire_timers(monitor_.now());
    bool skipped = false;
    const uint64_t left_before = flux_left_;
    const size_t n = scan(events, skipped);
    if (n != 0) return n;
    // What came in while the scan had let go of the lock is looked at before the queue rests: a
    // knote that has left flux, or fired. Nobody says so twice.
    if (skipped) {
      if (flux_left_ == left_before) wait_for_flux();
      continue;
    }
    if (monitor_.now() >= end) return size_t{0};
    if (!active_.empty()) continue;
    const Instant until = std::min(end, next_deadline());
    ++sleepers_;
    const Monitor::Wake wake = monitor_.wait(until, Monitor::Signals::Caught);
    --sleepers_;
    if (wake == Monitor::Wake::Interrupted) return tl::unexpected(error_of(EINTR, "kevent"));
    // A monitor that cannot wait says so at once; there is then nothing more to come.
    if (wake == Monitor::Wake::TimedOut && monitor_.now() < until) return size_t{0};
  }
}

// ---- Changes. All with the lock held.

// The knote named, once nobody is working on it; null when there is none.
Note* Kqueue::find_settled(uintptr_t ident, short filter) {
  for (;;) {
    Note* note = notes_.find(ident, filter);
    if (note == nullptr || note->in_flux == 0) return note;
    wait_for_flux();
  }
}

int Kqueue::change(const ::kevent& request) {
  const bool known = is_descriptor(request.filter) || request.filter == EVFILT_TIMER ||
                     request.filter == EVFILT_USER;
  constexpr int kContradiction = EV_ADD | EV_KEEPUDATA;
  if (!known || (request.flags & kContradiction) == kContradiction) return EINVAL;
  Note* note = find_settled(request.ident, request.filter);
  std::shared_ptr<Selectable> thing;
  // After the wait, in which the queue or the thing may have been closed.
  if (is_closed_) return EBADF;
  if (is_descriptor(request.filter)) {
    thing = descriptors_.selectable(request.ident);
    if (thing == nullptr) return EBADF;
  }
  if (note == nullptr) return (request.flags & EV_ADD) != 0 ? add(request, thing.get()) : ENOENT;
  if ((request.flags & EV_DELETE) != 0) {
    drop(*note);
    return 0;
  }
  return retune(*note, request);
}

// For one more knote. What a queue has had memory for counts until it goes, whatever it deletes.
bool Kqueue::make_room() {
  if (notes_.size() >= limits_.knotes) return false;
  Allowance* shared = limits_.shared;
  if (shared == nullptr || notes_.has_room()) return true;
  if (shared->used + NoteTable::kBlock > shared->knotes) {
    ++shared->refused;
    return false;
  }
  shared->used += NoteTable::kBlock;
  return true;
}

int Kqueue::add(const ::kevent& request, Selectable* thing) {
  if (!make_room()) {
    ++rejected_full_;
    return ENOMEM;
  }
  Note& note = notes_.add(request.ident, request.filter);
  note.queue = this;
  note.kn_flags = static_cast<unsigned short>(request.flags & ~kActions);
  note.kn_udata = request.udata;
  note.kn_sfflags = request.fflags;
  note.kn_sdata = request.data;
  note.is_disabled = (request.flags & EV_DISABLE) != 0;
  const int code = attach(note, thing);
  if (code != 0) {
    dequeue(note);  // It may have fired meanwhile.
    notes_.remove(note);
    monitor_.notify_all();
    return code;
  }
  return 0;
}

// `thing` is what a descriptor's knote watches.
int Kqueue::attach(Note& note, Selectable* thing) {
  if (note.kn_filter == EVFILT_TIMER) {
    const std::optional<TimerPlan> plan = plan_timer(note.kn_sfflags, note.kn_sdata, note.kn_flags);
    if (!plan) return EINVAL;
    note.kn_fop = &kTimerOps;
    note.kn_flags |= EV_CLEAR;
    start_timer(note, *plan);
    return 0;
  }
  if (note.kn_filter == EVFILT_USER) {
    note.kn_fop = &kUserOps;
    const ::kevent request = {note.kn_id,      note.kn_filter, note.kn_flags,
                              note.kn_sfflags, note.kn_sdata,  note.kn_udata};
    note.kn_sfflags = 0;
    touch_user(note, request);
    return 0;
  }
  int code = 0;
  int event = 0;
  const bool is_done = without_lock(note, [&] {
    code = thing->kqfilter(note);
    if (code == 0 && !is_whole(note.kn_fop)) code = EINVAL;
    if (code == 0) {
      const ScopedListLock list(note.kn_knlist);
      event = note.kn_fop->f_event(&note, 0);
    } else if (note.kn_knlist != nullptr) {
      monitor_.filter_failed(nullptr);
      take_off_list(note);
    }
  });
  if (!is_done) code = EIO;
  if (code == 0 && event != 0) activate(note);
  return code;
}

// EV_ADD, EV_ENABLE or EV_DISABLE on a knote that exists.
int Kqueue::retune(Note& note, const ::kevent& request) {
  const bool adds = (request.flags & EV_ADD) != 0;
  std::optional<TimerPlan> plan;
  if (adds && note.kn_filter == EVFILT_TIMER) {
    plan = plan_timer(request.fflags, request.data, request.flags);
    if (!plan) return EINVAL;
  }
  if ((request.flags & (EV_ADD | EV_ENABLE)) != 0) note.is_disabled = false;
  if ((request.flags & EV_DISABLE) != 0) {
    note.is_disabled = true;
    dequeue(note);
  }
  if ((request.flags & EV_KEEPUDATA) == 0) note.kn_udata = request.udata;
  if (note.kn_filter == EVFILT_USER) {
    touch_user(note, request);
    return 0;
  }
  if (plan) {
    note.kn_data = 0;
    dequeue(note);
    start_timer(note, *plan);
  }
  int event = 0;
  const bool is_done = with_filter(note, [&] {
    const ScopedListLock list(note.kn_knlist);
    if (adds) {
      constexpr unsigned short kTold = EV_EOF | EV_ERROR;  // The filter's to say.
      const int manner = (request.flags & ~(kActions | kTold)) | (plan ? EV_CLEAR : 0);
      note.kn_flags = static_cast<unsigned short>((note.kn_flags & kTold) | manner);
      note.kn_sfflags = request.fflags;
      note.kn_sdata = request.data;
    }
    event = note.kn_fop->f_event(&note, 0);
  });
  if (!is_done) orphan(note);
  if (event != 0) activate(note);
  return is_done ? 0 : EIO;
}

// Deletes a knote. REQUIRES: it is not in flux.
void Kqueue::drop(Note& note) {
  dequeue(note);
  if (note.due != kNever) timers_.erase({note.due, &note});
  with_filter(note, [&] {
    note.kn_fop->f_detach(&note);
    if (note.kn_knlist == nullptr) return;
    monitor_.filter_failed(nullptr);
    take_off_list(note);
  });
  dequeue(note);  // It may have fired meanwhile.
  notes_.remove(note);
}

// ---- Timers and user events.

void Kqueue::start_timer(Note& note, const TimerPlan& plan) {
  if (note.due != kNever) timers_.erase({note.due, &note});
  const Instant now = monitor_.now();
  note.period = plan.repeats ? plan.amount : Duration::zero();
  if (plan.absolute) {
    note.due = Instant(plan.amount);
  } else {
    note.due = plan.amount > kNever - now ? kNever : now + plan.amount;
  }
  if (note.due != kNever) timers_.insert({note.due, &note});
  monitor_.notify_all();  // Whoever waits may now wait too long.
  for (::knote* kn = watchers_.kl_first; kn != nullptr; kn = kn->kn_selnext) {
    static_cast<Note*>(kn)->queue->monitor_.notify_all();
  }
}

Instant Kqueue::next_deadline() const {
  Instant next = timers_.empty() ? kNever : timers_.begin()->first;
  for (const Kqueue* queue : watched_) next = std::min(next, queue->next_deadline());
  return next;
}

void Kqueue::expire_timers(Instant now) {
  expire_own_timers(now);
  for (Kqueue* queue : watched_) queue->expire_own_timers(now);
}

void Kqueue::expire_own_timers(Instant now) {
  while (!timers_.empty() && timers_.begin()->first <= now) {
    Note& note = *timers_.begin()->second;
    timers_.erase(timers_.begin());
    if (note.period == Duration::zero()) {
      note.kn_data += 1;
      note.due = kNever;
    } else {
      const int64_t fired = 1 + (now - note.due) / note.period;
      note.kn_data += fired;
      note.due += fired * note.period;
      timers_.insert({note.due, &note});
    }
    activate(note);
  }
}

void Kqueue::touch_user(Note& note, const ::kevent& request) {
  if ((request.fflags & NOTE_TRIGGER) != 0) note.kn_hookid = 1;
  const unsigned flags = request.fflags & NOTE_FFLAGSMASK;
  switch (request.fflags & NOTE_FFCTRLMASK) {
    case NOTE_FFAND: note.kn_sfflags &= flags; break;
    case NOTE_FFOR: note.kn_sfflags |= flags; break;
    case NOTE_FFCOPY: note.kn_sfflags = flags; break;
    default: break;
  }
  note.kn_sdata = request.data;
  note.kn_fflags = note.kn_sfflags;
  note.kn_data = note.kn_sdata;
  if (note.kn_hookid != 0) activate(note);
}

// ---- Delivery.

// One pass over the active list: each knote there is asked once. `skipped` says that some could not
// be, because another call is working on them.
size_t Kqueue::scan(std::span<::kevent> events, bool& skipped) {
  size_t filled = 0;
  for (size_t left = active_count_; left != 0 && filled < events.size(); --left) {
    Note* note = active_.pop_front();
    if (note == nullptr) break;
    --active_count_;
    if (note->in_flux != 0) {
      skipped = true;
      enqueue(*note);
      continue;
    }
    if (deliver(*note, events[filled])) ++filled;
  }
  return filled;
}

bool Kqueue::deliver(Note& note, ::kevent& out) {
  bool report = false;
  const bool is_done = with_filter(note, [&] {
    const ScopedListLock list(note.kn_knlist);
    report = note.kn_fop->f_event(&note, 0) != 0;
    out = describe(note);
    if (report && (note.kn_flags & EV_CLEAR) != 0) {
      note.kn_data = 0;
      note.kn_fflags = 0;
      if (note.kn_filter == EVFILT_USER) note.kn_hookid = 0;
    }
  });
  if (!is_done) orphan(note);
  if (!report || note.is_disabled) return false;
  if ((out.flags & EV_ONESHOT) != 0) {
    drop(note);
  } else if ((out.flags & EV_DISPATCH) != 0) {
    note.is_disabled = true;
    dequeue(note);
  } else if ((out.flags & EV_CLEAR) == 0) {
    enqueue(note);
    // Who has found the queue empty meanwhile.
    if (sleepers_ != 0) monitor_.notify_all();
  }
  return true;
}

void Kqueue::activate(Note& note) {
  if (note.is_disabled || note.on_active.is_linked()) return;
  const bool was_empty = active_.empty();
  enqueue(note);
  monitor_.notify_all();
  if (was_empty && ready_hook_) ready_hook_();
  if (watchers_.kl_first != nullptr) tell_watchers();
}

void Kqueue::enqueue(Note& note) {
  if (note.on_active.is_linked()) return;
  active_.push_back(note);
  ++active_count_;
}

void Kqueue::dequeue(Note& note) {
  if (!note.on_active.is_linked()) return;
  note.on_active.unlink();
  --active_count_;
}

// Waits until some knote has left flux. REQUIRES: one is in flux.
void Kqueue::wait_for_flux() {
  ++flux_waiters_;
  monitor_.wait(kNever, Monitor::Signals::Ignored);
  --flux_waiters_;
  if (is_going_) monitor_.notify_all();
}

// The same for who holds the lock of a list, and must let go of it first: with `leave`, which may
// want the queue's lock itself. The knote, and the queue but for this call, may be gone after it.
void Kqueue::wait_for_flux_without(const std::function<void()>& leave) {
  const uint64_t before = flux_left_;
  ++flux_waiters_;
  monitor_.unlock();
  leave();
  monitor_.lock();
  while (flux_left_ == before) monitor_.wait(kNever, Monitor::Signals::Ignored);
  --flux_waiters_;
  if (is_going_) monitor_.notify_all();
}

void Kqueue::leave_flux(Note& note) {
  CHECK_GT(note.in_flux, 0u);
  if (--note.in_flux != 0) return;
  ++flux_left_;
  if (flux_waiters_ != 0) monitor_.notify_all();
}

}  // namespace wh::event
