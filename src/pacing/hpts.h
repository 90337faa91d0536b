// The High Precision Timing System: one wheel that calls connections when their pacing delay has
// ended.
//
// A wheel is 102,400 lists of connections, one for each 10 us of the coming 1.024 s. A connection
// that asks for more is parked at the wheel's far end and placed anew when that comes round. The
// wheel runs from two sources: its callout, a timer on the loop, and softclock(), which a stack
// calls whenever it is about to return from a call into it (FreeBSD: a system call). A run serves,
// in slot order and first in first out within a slot, every connection whose slot lies between the
// last run and now: it is taken off the wheel and told to output.
//
//        drained: the last slot served            now
//   ...........|  .  A  .  .  B C  .  .  .  .  .  . | .  .  D  .  .  .  .  .  E
//              '---- this run calls A, B, C --------'
//
// How long the callout sleeps tunes itself (see hpts_sleep.cc). With few connections it sleeps
// until the next occupied slot but at least min_sleep; with cnt_thresh or more it sleeps mysleep(),
// between dyn_minsleep and dyn_maxsleep, and counts on softclock() to be prompt. HPTS therefore has
// a precision of about min_sleep (250 us) and does not promise it: a stack carries its lateness
// into the next delay (PaceAccount). In virtual time the callout fires exactly at its deadline, so
// an experiment shows FreeBSD's precision, neither worse nor better. The tunable `precise` makes
// the callout sleep until the next client is due, to the nanosecond and not to the end of a slot,
// for a wake-up per client where there was one per slot, and makes no idle wake-ups. So that many
// of one slot do not cost a search each time, a slot that is reached before all of its clients are
// due is spread over 10,000 near lists of 1 ns each: a second, finer wheel, of that tick alone.
//
// Ownership: the loop and the books must outlive the wheel. A client that is destroyed takes itself
// off. Threads: belongs to its loop. Nothing is allocated after construction (0.93 MB), and there
// is no limit to the number of clients.
//
// Invariants: (1) a client is never called before its time; (2) every client on the wheel stands on
// the slot of a tick in (drained, drained + 102,400), or, when precise, still waits in that of
// drained or in a near list; (3) a list's bit is set exactly when it is not empty.
#pragma once

#include <cstdint>
#include <memory>

#include "core/loop.h"
#include "core/units.h"
#include "pacing/hpts_books.h"
#include "pacing/hpts_time.h"
#include "pacing/slot_bitmap.h"

namespace wh::pacing {

class Hpts;

// Something that waits on a wheel: a TCP connection derives from this. One cache line.
class alignas(64) HptsClient {
 public:
  enum class OutputConsidered : bool { No, Yes };

  HptsClient() = default;
  HptsClient(const HptsClient&) = delete;
  HptsClient& operator=(const HptsClient&) = delete;

  bool in_hpts() const { return slot_ != kNoSlot; }
  // The wheel of the last insert, or the one chosen by tcp_set_hpts(); nullptr before either.
  Hpts* hpts() const { return hpts_; }

  // TF2_HPTS_CALLS: true, once, when the current output call comes from HPTS.
  bool take_hpts_calls() {
    const bool called = hpts_calls_;
    hpts_calls_ = false;
    return called;
  }
  // Says whether packets wait to be processed as a batch (LRO). While they do, the wheel calls
  // input first.
  void set_queued_segments(bool queued) { queued_segments_ = queued; }

  uint32_t hpts_slot() const { return slot_; }  // On the wheel; meaningless when !in_hpts().

 protected:
  virtual ~HptsClient();

  // The delay has ended. The client is off the wheel and may insert itself again, remove or destroy
  // others, or destroy itself. `delayed_by` is how many slots after its own it is served, in time.
  virtual void hpts_output(Duration delayed_by) = 0;
  // tfb_do_queued_segments(): process the waiting packets. Returns whether output was considered on
  // the way (always so when the client destroyed itself); otherwise hpts_output() follows. So that
  // output is considered exactly once per expiry.
  virtual OutputConsidered hpts_do_queued_segments(Duration delayed_by);

 private:
  friend class Hpts;
  friend class HptsGroup;
  static constexpr uint32_t kNoSlot = ~uint32_t{0};
  // In a near list, whose number follows those of the slots.
  bool is_near() const { return slot_ >= kHptsWheelSlots; }

  Hpts* hpts_ = nullptr;
  // In its slot's list: who was inserted before it and who after, that one only where told (see
  // hpts.cc).
  HptsClient* older_ = nullptr;
  HptsClient* newer_ = nullptr;
  Instant due_{};  // It is to be called at or after this; a slot's beginning unless precise.
  uint32_t slot_ = kNoSlot;
  bool hpts_calls_ = false;
  bool queued_segments_ = false;
  bool older_is_told_ = false;    // older_->newer_ is this.
  bool is_being_served_ = false;  // Stands in Hpts::serving_, no longer in its slot.
  bool wheel_is_final_ = false;   // HptsGroup's.
};

class Hpts {
 public:
  Hpts(Loop& loop, HptsBooks& books);
  ~Hpts();  // Clients still on the wheel are taken off. REQUIRES: not called from a client.
  Hpts(const Hpts&) = delete;
  Hpts& operator=(const Hpts&) = delete;

  // tcp_hpts_insert(): calls `client` once, when `delay` has passed since this call (loop.clock()):
  // never sooner, and in precise mode as soon as the loop can. A delay of zero or less means as
  // soon as possible: in the next run, which is woken unless the wheel is in its least sleep or
  // above cnt_thresh. REQUIRES: !client.in_hpts().
  void insert(HptsClient& client, Duration delay);
  // The same, counted in slots of the wheel from the current one, as FreeBSD has it.
  void insert(HptsClient& client, HptsSlots slots);

  // Gives `client`, on this wheel or on none, another delay. A client that stands on an earlier
  // slot stays there: when that is served it is found not to be due and goes on to its own. So a
  // deadline that is pushed on again and again costs a line of memory each time, and a move now and
  // then.
  void rearm(HptsClient& client, Duration delay);

  // tcp_hpts_remove(): `client` will not be called, not even if its slot is being served. Nothing
  // when it is not on a wheel.
  static void remove(HptsClient& client);

  // The soft timer: to be called before returning from any call into the stack and after each batch
  // of received packets. Runs the wheel when cnt_thresh or more connections wait; otherwise the
  // callout alone drives it. Never loops. Nothing when called from within a run.
  void softclock() {
    if (is_over_thresh()) soft_run();
  }

  // The least delay HPTS enforces: min_sleep and one slot, 260 us by default; one slot when
  // precise.
  Duration get_hpts_min_sleep_time() const {
    if (is_precise()) return kHptsSlot;
    return Microseconds(books_.tunables.min_sleep) + kHptsSlot;
  }

  bool is_precise() const { return books_.tunables.precise != 0; }
  size_t queued() const { return queued_; }
  // cnt_thresh or more connections wait.
  bool is_over_thresh() const {
    return static_cast<int64_t>(queued_) >= books_.tunables.cnt_thresh;
  }
  // What remains of a long or pushed-on delay beyond the slot that `client` is parked on. REQUIRES:
  // it is on this wheel.
  HptsSlots remaining(const HptsClient& client) const;
  bool is_active() const { return active_; }  // A run is in progress.
  // Inserts do not shorten the sleep that the callout is in.
  bool is_on_min_sleep() const { return on_min_sleep_; }
  Duration mysleep() const { return mysleep_; }             // The self-tuned sleep.
  Instant wakes_at() const { return callout_.deadline(); }  // kNever only in precise mode.
  Instant last_run() const { return last_run_; }
  // The clock when the pass in progress, or the last one, began: the time of whoever it calls.
  Instant served_at() const { return served_at_; }
  uint32_t prev_slot() const;  // The last slot served.
  HptsBooks& books() { return books_; }
  const HptsBooks& books() const { return books_; }
  Loop& loop() { return loop_; }

  // Registers this wheel's own state below `net.inet.tcp.hpts.<index>`. REQUIRES: not registered
  // yet.
  void add_sysctls(SysctlTree& tree, uint32_t index);

 private:
  friend class HptsClient;
  friend class HptsGroup;
  enum class Source : uint8_t { Callout, Soft };

  // hpts.cc: placing and serving. `at`, `cur`: ticks.
  Instant due_after(Instant now, Duration delay) const;
  void insert_due(HptsClient& client, Instant due, Instant now);
  void insert_asap(HptsClient& client, Instant now);
  void admit(HptsClient& client, int64_t at, Instant due);
  void place(HptsClient& client, int64_t at);
  void push(HptsClient& client, uint32_t list, bool has_others);
  void unlink(HptsClient& client);
  void detach(uint32_t list);
  void move_on(HptsClient& client);
  int64_t tick_of_slot(const HptsClient& client) const;
  int64_t furthest() const { return drained_ + kHptsWheelSlots - 1; }
  HptsSlots run(Source source);
  HptsSlots serve_until(int64_t cur);
  bool serve_near(Instant from, int64_t cur);
  bool serve_list(uint32_t list, int64_t cur);
  void call(HptsClient& client, int64_t cur);

  // hpts_sleep.cc: waking and sleeping.
  void wake(Instant now);
  void shorten_sleep(Instant until, Instant now);
  void bound_sleep(Instant now);
  void on_callout();
  void go_back_to_sleep(Instant now);
  void soft_run();
  void tune(HptsSlots span);
  void choose_sleep(Instant now);
  Duration over_thresh_sleep(Instant now) const;
  Duration until_next_occupied(Instant now) const;
  Instant next_due(int64_t tick) const;

  Loop& loop_;
  HptsBooks& books_;
  std::unique_ptr<HptsClient*[]> lists_;  // The newest client of each: the slots', the near ones'.
  SlotBitmap occupied_;                   // Of the slots.
  SlotBitmap near_;                       // Of the near lists: nanoseconds since the last tick.
  HptsClient* serving_ = nullptr;         // Of the list being served, detached: the oldest left.
  // The tick up to which all slots have been served, or are by the run in progress. When precise,
  // who was not due yet in the last of them is in a near list.
  int64_t drained_;
  size_t queued_ = 0;
  bool active_ = false;

  Timer callout_;
  Microseconds mysleep_;
  Instant last_run_, served_at_;
  bool on_min_sleep_ = false;
  bool direct_wake_ = false;  // The callout is set off by an insert, not by the end of its sleep.
  bool wake_scheduled_ = false;
  uint64_t soft_runs_ = 0;
};

// The article's names.
inline bool tcp_in_hpts(const HptsClient& client) {
  return client.in_hpts();
}
inline void tcp_hpts_insert(Hpts& hpts, HptsClient& client, HptsSlots slots) {
  hpts.insert(client, slots);
}
inline void tcp_hpts_remove(HptsClient& client) {
  Hpts::remove(client);
}
inline Duration get_hpts_min_sleep_time(const Hpts& hpts) {
  return hpts.get_hpts_min_sleep_time();
}

}  // namespace wh::pacing
