// The sentences of kqueue(2) that kqueue_test.cc does not show, in the manual's order and words.
#include "event/kqueue_test.h"

namespace wh::event {
namespace {

using KqueueManual = KqueueTest;

// "A kevent is identified by the (ident, filter) pair; there may only be one unique kevent per
// kqueue."
TEST_F(KqueueManual, one_ident_may_have_a_knote_for_each_filter) {
  ASSERT_EQ(change(make(3, EVFILT_READ, EV_ADD)), 0);
  ASSERT_EQ(change(make(3, EVFILT_TIMER, EV_ADD, 0, 10)), 0);
  ASSERT_EQ(change(make(3, EVFILT_USER, EV_ADD)), 0);
  ASSERT_EQ(change(make(3, EVFILT_USER, EV_ADD)), 0);
  EXPECT_EQ(queue_.knotes(), 3u);
  ASSERT_EQ(change(make(3, EVFILT_TIMER, EV_DELETE)), 0);
  EXPECT_EQ(queue_.knotes(), 2u);
}

// "All changes contained in the changelist are applied before any pending events are read from the
// queue."
TEST_F(KqueueManual, changes_come_before_events) {
  at(3).bytes = at(4).bytes = 1;
  ASSERT_EQ(change(make(3, EVFILT_READ, EV_ADD)), 0);
  const ::kevent changes[] = {make(3, EVFILT_READ, EV_DELETE), make(4, EVFILT_READ, EV_ADD)};
  ::kevent events[4];
  ASSERT_EQ(queue_.kevent(changes, events, Duration::zero()).value(), 1u);
  EXPECT_EQ(events[0].ident, 4u);
}

// "When nevents is zero, kevent() will return immediately even if there is a timeout specified".
TEST_F(KqueueManual, no_room_for_events_is_no_wait) {
  EXPECT_EQ(queue_.kevent({}, {}, std::nullopt).value(), 0u);
  EXPECT_EQ(queue_.kevent({}, {}, 10s).value(), 0u);
}

// "The same array may be used for the changelist and eventlist."
TEST_F(KqueueManual, changes_and_events_may_share_an_array) {
  at(4).bytes = 7;
  ::kevent both[] = {make(3, EVFILT_READ, EV_ADD | EV_RECEIPT), make(99, EVFILT_READ, EV_ADD),
                     make(4, EVFILT_READ, EV_ADD)};
  ASSERT_EQ(queue_.kevent(both, both, Duration::zero()).value(), 2u);
  EXPECT_EQ(both[0].data, 0);
  EXPECT_EQ(both[1].ident, 99u);
  EXPECT_EQ(both[1].data, EBADF);
  ASSERT_EQ(queue_.kevent({}, both, Duration::zero()).value(), 1u);
  EXPECT_EQ(both[0].data, 7);
}

// "The EV_SET() macro is provided for ease of initializing a kevent structure."
TEST_F(KqueueManual, ev_set_sets_every_field_and_evaluates_its_argument_once) {
  ::kevent all[2];
  ::kevent* next = all;
  EV_SET(next++, 5, EVFILT_USER, EV_ADD, 6, 7, all);
  EXPECT_EQ(next, all + 1);
  EXPECT_EQ(all[0].ident, 5u);
  EXPECT_EQ(all[0].filter, EVFILT_USER);
  EXPECT_EQ(all[0].flags, EV_ADD);
  EXPECT_EQ(all[0].fflags, 6u);
  EXPECT_EQ(all[0].data, 7);
  EXPECT_EQ(all[0].udata, all);
}

// EV_DISABLE: "The filter itself is not disabled."
TEST_F(KqueueManual, disabled_knote_is_still_asked) {
  ASSERT_EQ(change(make(3, EVFILT_READ, EV_ADD | EV_DISABLE)), 0);
  const int asked = at(3).asked;
  at(3).put(1);
  EXPECT_EQ(at(3).asked, asked + 1);
}

// EV_RECEIPT: "if this flag is encountered and there is no remaining space in eventlist to hold the
// EV_ERROR event, then subsequent changes will not get processed."
TEST_F(KqueueManual, receipt_without_a_place_ends_the_changes) {
  const ::kevent changes[] = {make(1, EVFILT_USER, EV_ADD | EV_RECEIPT),
                              make(2, EVFILT_USER, EV_ADD | EV_RECEIPT),
                              make(3, EVFILT_USER, EV_ADD)};
  ::kevent event;
  EXPECT_EQ(queue_.kevent(changes, {&event, 1}, Duration::zero()).value(), 1u);
  EXPECT_EQ(event.ident, 1u);
  EXPECT_EQ(queue_.knotes(), 2u);
}

// EV_KEEPUDATA: "Preserve the udata associated with an existing event. ... This flag may not be
// used with EV_ADD."
TEST_F(KqueueManual, udata_changes_with_any_change_unless_kept) {
  int a = 0, b = 0;
  ASSERT_EQ(change(make(1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, &a)), 0);
  ASSERT_EQ(change(make(1, EVFILT_USER, EV_KEEPUDATA, NOTE_TRIGGER, 0, &b)), 0);
  EXPECT_EQ(take().at(0).udata, &a);
  ASSERT_EQ(change(make(1, EVFILT_USER, 0, NOTE_TRIGGER, 0, &b)), 0);
  EXPECT_EQ(take().at(0).udata, &b);
  EXPECT_EQ(change(make(1, EVFILT_USER, EV_ADD | EV_KEEPUDATA, 0, 0, &a)), EINVAL);
  EXPECT_EQ(change(make(2, EVFILT_USER, EV_ADD | EV_KEEPUDATA, 0, 0, &a)), EINVAL);
  EXPECT_EQ(queue_.knotes(), 1u);
}

// EVFILT_TIMER: "Periodic timers with a specified timeout of 0 will be silently adjusted to timeout
// after 1 of the time units specified by the requested precision in fflags."
TEST_F(KqueueManual, period_of_zero_is_one_unit) {
  ASSERT_EQ(change(make(1, EVFILT_TIMER, EV_ADD, NOTE_USECONDS, 0)), 0);
  EXPECT_TRUE(take().empty());
  loop_.run_for(3us);
  EXPECT_EQ(take().at(0).data, 3);
}

TEST_F(KqueueManual, timer_takes_each_unit_and_milliseconds_when_none_is_named) {
  const std::pair<unsigned, Duration> units[] = {{0, 1ms},
                                                 {NOTE_SECONDS, 1s},
                                                 {NOTE_MSECONDS, 1ms},
                                                 {NOTE_USECONDS, 1us},
                                                 {NOTE_NSECONDS, 1ns}};
  for (const auto& [unit, length] : units) {
    ASSERT_EQ(change(make(1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, unit, 3)), 0);
    loop_.run_for(3 * length - 1ns);
    EXPECT_TRUE(take().empty()) << unit;
    loop_.run_for(1ns);
    EXPECT_EQ(take().size(), 1u) << unit;
  }
}

// "If an absolute time is specified that has already passed, then it is treated as if the current
// time were specified and the event will fire as soon as possible."
TEST_F(KqueueManual, absolute_time_that_has_passed_fires_at_once_and_once) {
  loop_.run_for(5s);
  ASSERT_EQ(change(make(1, EVFILT_TIMER, EV_ADD, NOTE_SECONDS | NOTE_ABSTIME, 2)), 0);
  const auto events = take();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].data, 1);
  loop_.run_for(5s);
  EXPECT_TRUE(take().empty());
}

// "If an existing timer is re-added, the existing timer will be effectively canceled (throwing away
// any undelivered record of previous timer expiration)".
TEST_F(KqueueManual, re_added_timer_forgets_what_it_had_not_told) {
  ASSERT_EQ(change(make(1, EVFILT_TIMER, EV_ADD, 0, 10)), 0);
  loop_.run_for(25ms);
  ASSERT_EQ(change(make(1, EVFILT_TIMER, EV_ADD, NOTE_SECONDS, 1)), 0);
  EXPECT_TRUE(take().empty());
  loop_.run_for(1s);
  EXPECT_EQ(take().at(0).data, 1);
}

// EVFILT_USER: "On return, fflags contains the users defined flags in the lower 24 bits."
// NOTE_FFNOP: "Ignore the input fflags."
TEST_F(KqueueManual, user_flags_are_24_bits_and_ffnop_leaves_them) {
  ASSERT_EQ(change(make(1, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_FFCOPY | 0x00ffffff)), 0);
  ASSERT_EQ(change(make(1, EVFILT_USER, 0, NOTE_FFNOP | NOTE_TRIGGER | 0x1)), 0);
  EXPECT_EQ(take().at(0).fflags, NOTE_FFLAGSMASK);
}

// A loop of a program that passes some time, or is interrupted, when it waits.
class WaitingMonitor final : public Monitor {
 public:
  explicit WaitingMonitor(VirtualLoop& loop) : loop_(loop) {}
  void lock() override {}
  void unlock() override {}
  Wake wait(Instant deadline, Signals signals) override {
    if (is_interrupted && signals == Signals::Caught) return Wake::Interrupted;
    loop_.run_for(deadline - loop_.now());
    return Wake::TimedOut;
  }
  void notify_all() override {}
  Instant now() override { return loop_.now(); }
  bool is_interrupted = false;

 private:
  VirtualLoop& loop_;
};

class KqueueWaits : public KqueueTest {
 protected:
  WaitingMonitor waiting_{loop_};
  Kqueue waiter_{waiting_, table_};
  ::kevent events_[4];
};

// "If timeout is a non-NULL pointer, it specifies a maximum interval to wait for an event". "If the
// time limit expires, then kevent() returns 0."
TEST_F(KqueueWaits, no_longer_than_the_timeout) {
  const Instant start = loop_.now();
  EXPECT_EQ(waiter_.kevent({}, events_, 30ms).value(), 0u);
  EXPECT_EQ(loop_.now(), start + 30ms);
}

// "If timeout is a NULL pointer, kevent() waits indefinitely."
TEST_F(KqueueWaits, until_something_happens) {
  const ::kevent timer = make(1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_SECONDS, 1000);
  EXPECT_EQ(waiter_.kevent({&timer, 1}, events_, std::nullopt).value(), 1u);
}

// "When kevent() call fails with EINTR error, all changes in the changelist have been applied."
TEST_F(KqueueWaits, interrupted_has_made_its_changes) {
  waiting_.is_interrupted = true;
  const ::kevent changes[] = {make(3, EVFILT_READ, EV_ADD), make(1, EVFILT_USER, EV_ADD)};
  const auto n = waiter_.kevent(changes, events_, std::nullopt);
  ASSERT_FALSE(n.has_value());
  EXPECT_EQ(n.error().code, std::errc::interrupted);
  EXPECT_EQ(waiter_.knotes(), 2u);
}

}  // namespace
}  // namespace wh::event
