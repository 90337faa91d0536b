// A slot's list is a stack: an insert writes the slot and the client and touches no other client,
// whose lines lie anywhere in memory. What a stack lacks comes when it is needed. Who stands before
// a client in the list (its newer_) is noted by a walk from the top when the client is removed from
// below it; each insert is walked over once at most, so a removal too costs constant time on
// average. First in, first out comes when the slot is served, by turning its list round.
//
//   lists_[s] --> C --older--> B --older--> A        inserted in the order A, B, C
//                  <--newer--               served in the order A, B, C
#include "pacing/hpts.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "pacing/hpts_tick.h"

namespace wh::pacing {
namespace {

constexpr int64_t kWheel = kHptsWheelSlots;
constexpr uint32_t kNearLists = kHptsSlot / 1ns;
// Slots between asking for the memory of a slot's newest client, which lies anywhere, and serving
// it; half way, the one before it in the list is asked for.
constexpr int64_t kAhead = 16;
// The span of a pass in which nobody was called.
constexpr HptsSlots kNobody{-1};
// Longer delays (146 years) are cut to this, so that the sum with an Instant cannot overflow.
constexpr Duration kLongestDelay = Duration::max() / 2;

}  // namespace

HptsClient::~HptsClient() {
  Hpts::remove(*this);
}

HptsClient::OutputConsidered HptsClient::hpts_do_queued_segments(Duration) {
  return OutputConsidered::No;
}

Hpts::Hpts(Loop& loop, HptsBooks& books)
    : loop_(loop),
      books_(books),
      lists_(std::make_unique<HptsClient*[]>(kHptsWheelSlots + kNearLists)),
      drained_(tick_of(loop.clock())),
      callout_(loop, [this] { on_callout(); }),
      mysleep_(books.tunables.min_sleep),
      last_run_(loop.clock()),
      served_at_(last_run_) {
  choose_sleep(last_run_);
}

Hpts::~Hpts() {
  CHECK(!active_);
  while (const auto slot = occupied_.distance_to_next(0)) remove(*lists_[*slot]);
  while (const auto near = near_.distance_to_next(0)) remove(*lists_[kHptsWheelSlots + *near]);
}

void Hpts::insert(HptsClient& client, Duration delay) {
  const Instant now = loop_.clock();
  if (delay <= Duration::zero()) {
    insert_asap(client, now);
  } else {
    insert_due(client, due_after(now, delay), now);
  }
}

void Hpts::insert(HptsClient& client, HptsSlots slots) {
  const Instant now = loop_.clock();
  if (slots.count() <= 0) {
    insert_asap(client, now);
  } else {
    const int64_t most = kLongestDelay / kHptsSlot;
    insert_due(client, start_of(tick_of(now) + std::min(slots.count(), most)), now);
  }
}

// When a delay ends: at a slot's edge, or exactly.
Instant Hpts::due_after(Instant now, Duration delay) const {
  const Instant due = now + std::min(delay, kLongestDelay);
  return is_precise() ? due : start_of(tick_at_or_after(due));
}

void Hpts::rearm(HptsClient& client, Duration delay) {
  if (client.in_hpts()) {
    CHECK(client.hpts_ == this);
    const Instant now = loop_.clock(), due = due_after(now, delay);
    const bool is_later =
        client.is_near() ? due >= client.due_ : tick_of(due) >= tick_of_slot(client);
    if (delay > Duration::zero() && is_later) {
      client.due_ = due;
      // Within its slot it may now be the first.
      if (is_precise() && !active_) shorten_sleep(due, now);
      return;
    }
    remove(client);
  }
  insert(client, delay);
}

void Hpts::insert_due(HptsClient& client, Instant due, Instant now) {
  // An empty wheel has nothing left to serve up to now, so all of it lies ahead.
  if (queued_ == 0 && !active_) drained_ = std::max(drained_, tick_of(now));
  const int64_t at = std::max(tick_of(due), drained_);
  if (at <= furthest()) {
    admit(client, at, due);
  } else {
    ++books_.counters.long_timers;
    if (active_ && tick_of(now) > furthest()) ++books_.counters.comb_wheel_wrap;
    admit(client, furthest(), due);
  }
  if (!active_ && !on_min_sleep_) shorten_sleep(due, now);
}

// The slot after the last one served: in this tick unless the wheel has already run in it.
void Hpts::insert_asap(HptsClient& client, Instant now) {
  const int64_t current = tick_of(now);
  if (queued_ == 0 && !active_) drained_ = std::max(drained_, current - 1);
  admit(client, drained_ + 1, start_of(std::max(drained_ + 1, current)));
  if (!active_ && !on_min_sleep_) wake(now);
}

void Hpts::admit(HptsClient& client, int64_t at, Instant due) {
  CHECK(!client.in_hpts());
  client.hpts_ = this;
  client.due_ = due;
  place(client, at);
  ++queued_;
  ++books_.counters.inserts;
  books_.counters.max_queued = std::max<uint64_t>(books_.counters.max_queued, queued_);
}

// A list that is empty by its bit is written without being read: among many slots it lies in no
// cache, and nobody waits for a write.
void Hpts::place(HptsClient& client, int64_t at) {
  const uint32_t slot = slot_of(at);
  push(client, slot, occupied_.test(slot));
  occupied_.set(slot);
}

void Hpts::push(HptsClient& client, uint32_t list, bool has_others) {
  client.slot_ = list;
  client.older_ = has_others ? lists_[list] : nullptr;
  client.older_is_told_ = false;
  client.newer_ = nullptr;
  lists_[list] = &client;
}

// From its slot's list, or from the one being served.
void Hpts::unlink(HptsClient& client) {
  HptsClient*& top = client.is_being_served_ ? serving_ : lists_[client.slot_];
  if (top == &client) {
    top = client.older_;
  } else {
    if (client.newer_ == nullptr) {
      for (HptsClient* c = top; c != &client; c = c->older_) {
        c->older_->newer_ = c;
        c->older_is_told_ = true;
      }
    }
    client.newer_->older_ = client.older_;
    client.newer_->older_is_told_ = client.older_is_told_;
  }
  if (client.older_is_told_) client.older_->newer_ = client.newer_;
}

// One thread owns the wheel, so a client whose slot is being served can be taken off the detached
// list at once; FreeBSD, whose runner has let go of the lock there, marks it MOVING and leaves it
// to the runner.
void Hpts::remove(HptsClient& client) {
  if (!client.in_hpts()) return;
  Hpts& wheel = *client.hpts_;
  wheel.unlink(client);
  if (!client.is_being_served_) {
    const bool is_empty = wheel.lists_[client.slot_] == nullptr;
    if (client.is_near()) {
      wheel.near_.clear_if(client.slot_ - kHptsWheelSlots, is_empty);
    } else {
      wheel.occupied_.clear_if(client.slot_, is_empty);
    }
  }
  client.is_being_served_ = false;
  client.slot_ = HptsClient::kNoSlot;
  --wheel.queued_;
  ++wheel.books_.counters.removes;
}

// Serves all slots up to now and, from the callout, again while that took so long that more are
// due. Returns how many slots lie from the first slot in which a client was called to the end of
// that pass: how late the run came.
HptsSlots Hpts::run(Source source) {
  HptsCounters& counters = books_.counters;
  HptsSlots span = kNobody;
  Instant now = last_run_ = loop_.clock();
  int wraps = 0;
  active_ = true;
  for (int64_t loops = 0;; ++loops) {
    const int64_t cur = tick_of(now);
    if (queued_ == 0 ||
        (cur <= drained_ && lists_[slot_of(drained_)] == nullptr && near_.empty())) {
      drained_ = std::max(drained_, cur);
      break;
    }
    if (cur - drained_ >= kWheel) {
      ++wraps;
      ++counters.wheel_wrap;
    }
    served_at_ = now;
    const HptsSlots passed = serve_until(cur);
    if (span == kNobody) span = passed;
    if (source == Source::Soft) break;
    if (loops > books_.tunables.loop_max) {
      ++counters.hopeless;
      break;
    }
    now = loop_.clock();
    if (wraps == 2 || tick_of(now) == cur) break;
    ++counters.loops;
  }
  active_ = false;
  if (span != kNobody) return span;
  if (source == Source::Callout) ++counters.no_tcbsfound;
  return HptsSlots(0);
}

// One pass. When more than a wheel of time has gone by, each slot is still served, in order.
// From here on inserts go beyond `cur`; one that lands, a turn ahead, on a slot still to be served
// in this pass is found not to be due and stays. Returns kNobody when no client was called.
HptsSlots Hpts::serve_until(int64_t cur) {
  int64_t tick = drained_;
  const int64_t end = std::min(cur, drained_ + kWheel);
  HptsSlots span = kNobody;
  drained_ = cur;
  if (!near_.empty() && serve_near(start_of(tick), cur)) span = HptsSlots(end - tick);
  while (tick <= end) {
    const auto distance = occupied_.distance_to_next(slot_of(tick));
    if (!distance) break;
    if (*distance > end - tick) {
      __builtin_prefetch(&lists_[slot_of(tick + *distance)], 1);  // For the run that serves it.
      break;
    }
    tick += *distance;
    if (const uint32_t slot = slot_of(tick + kAhead); occupied_.test(slot)) {
      __builtin_prefetch(lists_[slot], 1);
    }
    if (const uint32_t slot = slot_of(tick + kAhead / 2); occupied_.test(slot)) {
      __builtin_prefetch(lists_[slot]->older_, 1);
    }
    occupied_.clear(slot_of(tick));
    if (serve_list(slot_of(tick), cur) && span == kNobody) span = HptsSlots(end - tick);
    ++tick;
  }
  return span;
}

// The near lists, of the tick that begins at `from`, as far as they are due. Nobody is put on one
// meanwhile, so that they are empty before another tick's clients come.
bool Hpts::serve_near(Instant from, int64_t cur) {
  bool called = false;
  while (const auto at = near_.distance_to_next(0)) {
    if (from + Duration(*at) > served_at_) break;
    near_.clear(*at);
    called |= serve_list(kHptsWheelSlots + *at, cur);
  }
  return called;
}

// Makes serving_ of a list, turned round: there `older_` leads to who is served next.
void Hpts::detach(uint32_t list) {
  HptsClient* next = nullptr;
  for (HptsClient* c = std::exchange(lists_[list], nullptr); c != nullptr;) {
    HptsClient* rest = c->older_;
    c->older_ = next;
    c->older_is_told_ = next != nullptr;
    if (next != nullptr) next->newer_ = c;
    c->newer_ = nullptr;
    c->is_being_served_ = true;
    next = std::exchange(c, rest);
  }
  serving_ = next;
}

// Calls every client of a list that is due, and places the others anew. Returns whether any was
// called.
bool Hpts::serve_list(uint32_t list, int64_t cur) {
  bool called = false;
  detach(list);
  while (serving_ != nullptr) {
    HptsClient& client = *serving_;
    unlink(client);
    client.is_being_served_ = false;
    if (client.due_ > served_at_) {
      move_on(client);
      continue;
    }
    client.slot_ = HptsClient::kNoSlot;
    --queued_;
    called = true;
    call(client, cur);
  }
  return called;
}

// From a list that was served before the client is due: to its slot, and from there, once its tick
// has begun, to a near list.
void Hpts::move_on(HptsClient& client) {
  ++books_.counters.moves;
  const int64_t tick = tick_of(client.due_);
  if (tick != drained_ || client.is_near()) return place(client, std::min(tick, furthest()));
  const auto near = static_cast<uint32_t>((client.due_ - start_of(tick)) / 1ns);
  push(client, kHptsWheelSlots + near, near_.test(near));
  near_.set(near);
}

// The client may be gone when this returns.
void Hpts::call(HptsClient& client, int64_t cur) {
  const HptsSlots slots_late(cur - tick_of(client.due_));
  const auto late = static_cast<uint64_t>(slots_late.count());
  HptsCounters& counters = books_.counters;
  ++counters.calls;
  ++counters.late_calls[std::min<size_t>(std::bit_width(late), counters.late_calls.size() - 1)];
  const Duration delayed_by = slots_late.duration();
  client.hpts_calls_ = true;
  if (client.queued_segments_ &&
      client.hpts_do_queued_segments(delayed_by) == HptsClient::OutputConsidered::Yes) {
    return;
  }
  client.hpts_output(delayed_by);
}

// The tick at which a client's slot is served next, or, in a run that has yet to come to it, a turn
// later.
int64_t Hpts::tick_of_slot(const HptsClient& client) const {
  if (client.is_near()) return drained_;
  const uint32_t from = slot_of(drained_);
  return drained_ + (client.slot_ + kHptsWheelSlots - from) % kHptsWheelSlots;
}

HptsSlots Hpts::remaining(const HptsClient& client) const {
  CHECK(client.in_hpts() && client.hpts_ == this);
  return HptsSlots(std::max<int64_t>(0, tick_of(client.due_) - tick_of_slot(client)));
}

uint32_t Hpts::prev_slot() const {
  return slot_of(drained_);
}

}  // namespace wh::pacing
