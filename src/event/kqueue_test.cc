// kevent(2) action by action, against a thing whose readiness the test sets, in virtual time.
#include "event/kqueue_test.h"

namespace wh::event {
namespace {

TEST_F(KqueueTest, add_reports_what_is_already_ready) {
  at(3).bytes = 5;
  ASSERT_EQ(change(make(3, EVFILT_READ, EV_ADD)), 0);
  const auto events = take();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].ident, 3u);
  EXPECT_EQ(events[0].data, 5);
}

TEST_F(KqueueTest, level_event_is_reported_until_the_condition_ends) {
  ASSERT_EQ(change(make(3, EVFILT_READ, EV_ADD)), 0);
  EXPECT_TRUE(take().empty());
  at(3).put(2);
  EXPECT_EQ(take().size(), 1u);
  EXPECT_EQ(take().size(), 1u);
  at(3).bytes = 0;
  EXPECT_TRUE(take().empty());
  EXPECT_TRUE(take().empty());
}

TEST_F(KqueueTest, event_tells_the_state_at_delivery_not_at_its_cause) {
  ASSERT_EQ(change(make(3, EVFILT_READ, EV_ADD | EV_CLEAR)), 0);
  at(3).put(2);
  at(3).bytes = 1;
  const auto events = take();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].data, 1);
}

TEST_F(KqueueTest, clear_reports_once_for_each_change) {
  ASSERT_EQ(change(make(3, EVFILT_READ, EV_ADD | EV_CLEAR)), 0);
  at(3).put(2);
  at(3).put(2);
  EXPECT_EQ(take().size(), 1u);
  EXPECT_TRUE(take().empty());
  at(3).put(1);
  const auto again = take();
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].data, 5);
}

TEST_F(KqueueTest, oneshot_is_deleted_after_delivery) {
  ASSERT_EQ(change(make(3, EVFILT_READ, EV_ADD | EV_ONESHOT)), 0);
  at(3).put(1);
  EXPECT_EQ(take().size(), 1u);
  EXPECT_EQ(queue_.knotes(), 0u);
  EXPECT_EQ(at(3).list.kl_first, nullptr);
  EXPECT_EQ(change(make(3, EVFILT_READ, EV_DELETE)), ENOENT);
}

TEST_F(KqueueTest, dispatch_is_disabled_after_delivery_until_enabled) {
  ASSERT_EQ(change(make(3, EVFILT_READ, EV_ADD | EV_DISPATCH)), 0);
  at(3).put(1);
  EXPECT_EQ(take().size(), 1u);
  at(3).put(1);
  EXPECT_TRUE(take().empty());
  ASSERT_EQ(change(make(3, EVFILT_READ, EV_ENABLE)), 0);
  const auto events = take();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].data, 2);
}

TEST_F(KqueueTest, disabled_event_is_held_back_and_not_lost) {
  ASSERT_EQ(change(make(3, EVFILT_READ, EV_ADD | EV_DISABLE)), 0);
  at(3).put(1);
  EXPECT_TRUE(take().empty());
  ASSERT_EQ(change(make(3, EVFILT_READ, EV_ENABLE)), 0);
  EXPECT_EQ(take().size(), 1u);
  ASSERT_EQ(change(make(3, EVFILT_READ, EV_DISABLE)), 0);
  EXPECT_TRUE(take().empty());
  ASSERT_EQ(change(make(3, EVFILT_READ, EV_ADD)), 0);  // kqueue(2): adding enables.
  EXPECT_EQ(take().size(), 1u);
}

TEST_F(KqueueTest, adding_again_changes_the_knote_and_makes_no_second) {
  int a = 0, b = 0;
  ASSERT_EQ(change(make(3, EVFILT_READ, EV_ADD, 0, 0, &a)), 0);
  ASSERT_EQ(change(make(3, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, &b)), 0);
  EXPECT_EQ(queue_.knotes(), 1u);
  at(3).put(1);
  const auto events = take();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].udata, &b);
  EXPECT_TRUE(take().empty());
}

TEST_F(KqueueTest, delete_takes_a_queued_event_with_it) {
  ASSERT_EQ(change(make(3, EVFILT_READ, EV_ADD)), 0);
  at(3).put(1);
  ASSERT_EQ(change(make(3, EVFILT_READ, EV_DELETE)), 0);
  EXPECT_TRUE(take().empty());
  at(3).put(1);
  EXPECT_TRUE(take().empty());
}

TEST_F(KqueueTest, receipt_acknowledges_each_change_and_drains_nothing) {
  at(4).bytes = 9;
  ASSERT_EQ(change(make(4, EVFILT_READ, EV_ADD)), 0);
  const ::kevent changes[] = {make(3, EVFILT_READ, EV_ADD | EV_RECEIPT),
                              make(9, EVFILT_READ, EV_ADD | EV_RECEIPT)};
  ::kevent events[4];
  const auto n = queue_.kevent(changes, events, Duration::zero());
  ASSERT_EQ(n.value(), 2u);
  EXPECT_EQ(events[0].flags, EV_ERROR);
  EXPECT_EQ(events[0].data, 0);
  EXPECT_EQ(events[1].flags, EV_ERROR);
  EXPECT_EQ(events[1].data, EBADF);
}

TEST_F(KqueueTest, failed_change_is_an_event_when_there_is_room_and_an_error_when_not) {
  const ::kevent bad[] = {make(3, EVFILT_WRITE, EV_ADD), make(4, EVFILT_READ, EV_ADD)};
  ::kevent events[2];
  ASSERT_EQ(queue_.kevent(bad, events, Duration::zero()).value(), 1u);
  EXPECT_EQ(events[0].data, EINVAL);
  EXPECT_EQ(queue_.knotes(), 1u);  // The change after the bad one was made.
  EXPECT_EQ(change(make(3, EVFILT_WRITE, EV_ADD)), EINVAL);
  EXPECT_EQ(change(make(3, -5, EV_ADD)), EINVAL);
  EXPECT_EQ(change(make(3, EVFILT_READ, EV_ENABLE)), ENOENT);
  EXPECT_EQ(change(make(77, EVFILT_READ, EV_DELETE)), EBADF);
}

TEST_F(KqueueTest, eof_is_told_with_what_is_left) {
  ASSERT_EQ(change(make(3, EVFILT_READ, EV_ADD | EV_CLEAR)), 0);
  at(3).closed = true;
  at(3).put(0);
  const auto events = take();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_NE(events[0].flags & EV_EOF, 0);
  EXPECT_NE(events[0].flags & EV_CLEAR, 0);
}

TEST_F(KqueueTest, full_event_list_leaves_the_rest_for_the_next_call_in_turn) {
  for (uintptr_t fd = 10; fd < 15; ++fd) {
    table_.things[fd] = std::make_shared<Source>();
    at(fd).bytes = 1;
    ASSERT_EQ(change(make(fd, EVFILT_READ, EV_ADD)), 0);
  }
  EXPECT_EQ(take(3).back().ident, 12u);
  EXPECT_EQ(take(3).front().ident, 13u);
}

TEST_F(KqueueTest, limit_refuses_one_more_and_counts_it) {
  Kqueue small(monitor_, table_, {.knotes = 1});
  EXPECT_EQ(change(make(3, EVFILT_READ, EV_ADD), small), 0);
  EXPECT_EQ(change(make(4, EVFILT_READ, EV_ADD), small), ENOMEM);
  EXPECT_EQ(small.rejected_full(), 1u);
}

TEST_F(KqueueTest, queues_that_share_an_allowance_have_that_much_together) {
  constexpr auto kBlock = static_cast<uintptr_t>(NoteTable::kBlock);
  Allowance shared{.knotes = 2 * kBlock};
  auto first = std::make_unique<Kqueue>(monitor_, table_, Kqueue::Limits{.shared = &shared});
  Kqueue second(monitor_, table_, {.shared = &shared});
  EXPECT_EQ(change(make(0, EVFILT_USER, EV_ADD), *first), 0);
  for (uintptr_t i = 0; i < kBlock; ++i) EXPECT_EQ(change(make(i, EVFILT_USER, EV_ADD), second), 0);
  EXPECT_EQ(change(make(kBlock, EVFILT_USER, EV_ADD), second), ENOMEM);
  EXPECT_EQ(second.rejected_full(), 1u);
  EXPECT_EQ(shared.refused, 1u);
  // Memory that was had once is kept by the queue, for its own use.
  EXPECT_EQ(change(make(0, EVFILT_USER, EV_DELETE), *first), 0);
  EXPECT_EQ(change(make(kBlock, EVFILT_USER, EV_ADD), second), ENOMEM);
  first.reset();
  EXPECT_EQ(change(make(kBlock, EVFILT_USER, EV_ADD), second), 0);
}

// Another thread may come between, and count a timer's expirations on while they are delivered.
TEST_F(KqueueTest, timers_and_user_events_are_delivered_without_letting_go_of_the_lock) {
  struct : Monitor {
    void lock() override {}
    void unlock() override { ++unlocks; }
    Wake wait(Instant, Signals) override { return Wake::TimedOut; }
    void notify_all() override {}
    Instant now() override { return time; }
    int unlocks = 0;
    Instant time = VirtualLoop::kEpoch;
  } monitor;
  Kqueue queue(monitor, table_);
  const ::kevent changes[] = {make(1, EVFILT_TIMER, EV_ADD | EV_CLEAR, 0, 1),
                              make(2, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER)};
  ASSERT_TRUE(queue.kevent(changes, {}, 0ns));
  monitor.time += 3ms;
  monitor.unlocks = 0;
  ::kevent events[2];
  ASSERT_EQ(queue.kevent({}, events, 0ns).value_or(0), 2u);
  EXPECT_EQ(monitor.unlocks, 1);
  monitor.unlocks = 0;
  ASSERT_TRUE(queue.kevent(changes, {}, 0ns));
  EXPECT_EQ(monitor.unlocks, 1);
}

TEST_F(KqueueTest, closing_a_descriptor_deletes_its_knotes) {
  at(3).bytes = 1;
  ASSERT_EQ(change(make(3, EVFILT_READ, EV_ADD)), 0);
  queue_.descriptor_closed(3);
  EXPECT_EQ(queue_.knotes(), 0u);
  EXPECT_TRUE(take().empty());
}

TEST_F(KqueueTest, cleared_list_says_eof_once_and_the_filter_is_not_asked_again) {
  ASSERT_EQ(change(make(3, EVFILT_READ, EV_ADD)), 0);
  list_clear(at(3).list, ListLock::Take);
  const int asked = at(3).asked;
  const auto events = take();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_NE(events[0].flags & EV_EOF, 0);
  EXPECT_TRUE(take().empty());
  EXPECT_EQ(at(3).asked, asked);
  EXPECT_EQ(queue_.knotes(), 0u);
}

TEST_F(KqueueTest, code_about_to_go_is_let_go_of) {
  ASSERT_EQ(change(make(3, EVFILT_READ, EV_ADD)), 0);
  const char* ops = reinterpret_cast<const char*>(&Source::kOps);
  EXPECT_EQ(queue_.detach_code(ops + 1, ops + 2), 0u);
  EXPECT_EQ(queue_.detach_code(ops, ops + 1), 1u);
  at(3).list = {};
  EXPECT_EQ(take().size(), 1u);
}

// ---- EVFILT_TIMER

TEST_F(KqueueTest, timer_fires_at_its_period_and_not_a_nanosecond_before) {
  ASSERT_EQ(change(make(1, EVFILT_TIMER, EV_ADD, 0, 10)), 0);
  loop_.run_for(10ms - 1ns);
  EXPECT_TRUE(take().empty());
  loop_.run_for(1ns);
  const auto events = take();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].data, 1);
  loop_.run_for(35ms);  // Expired at 20, 30 and 40; now is 45.
  const auto later = take();
  ASSERT_EQ(later.size(), 1u);
  EXPECT_EQ(later[0].data, 3);
  EXPECT_EQ(queue_.next_deadline(), loop_.now() + 5ms);
}

TEST_F(KqueueTest, timer_units_absolute_time_and_oneshot) {
  ASSERT_EQ(change(make(1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_USECONDS, 7)), 0);
  ASSERT_EQ(change(make(2, EVFILT_TIMER, EV_ADD, NOTE_SECONDS, 1)), 0);
  const int64_t at = (loop_.now() + 2s).time_since_epoch() / 1s;
  ASSERT_EQ(change(make(3, EVFILT_TIMER, EV_ADD, NOTE_SECONDS | NOTE_ABSTIME, at)), 0);
  loop_.run_for(7us);
  EXPECT_EQ(take().size(), 1u);
  EXPECT_EQ(queue_.knotes(), 2u);
  loop_.run_for(2s - 7us - 1ns);
  EXPECT_EQ(take().size(), 1u);
  loop_.run_for(1ns);
  EXPECT_EQ(take().size(), 2u);
  EXPECT_EQ(change(make(4, EVFILT_TIMER, EV_ADD, NOTE_SECONDS | NOTE_USECONDS, 1)), EINVAL);
  EXPECT_EQ(change(make(4, EVFILT_TIMER, EV_ADD, 0, -1)), EINVAL);
  EXPECT_EQ(change(make(4, EVFILT_TIMER, EV_ADD, NOTE_SECONDS, INT64_MAX)), 0);
}

TEST_F(KqueueTest, adding_a_timer_again_restarts_it_and_a_bad_change_leaves_it_alone) {
  ASSERT_EQ(change(make(1, EVFILT_TIMER, EV_ADD, 0, 10)), 0);
  loop_.run_for(9ms);
  ASSERT_EQ(change(make(1, EVFILT_TIMER, EV_ADD, 0, 10)), 0);
  loop_.run_for(9ms);
  EXPECT_TRUE(take().empty());
  ASSERT_EQ(change(make(1, EVFILT_TIMER, EV_ADD, 0, -3)), EINVAL);
  loop_.run_for(1ms);
  EXPECT_EQ(take().size(), 1u);
  ASSERT_EQ(change(make(1, EVFILT_TIMER, EV_DELETE)), 0);
  EXPECT_EQ(queue_.next_deadline(), kNever);
}

// ---- EVFILT_USER

TEST_F(KqueueTest, user_event_waits_for_its_trigger_and_combines_flags) {
  ASSERT_EQ(change(make(1, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_FFCOPY | 0x0f)), 0);
  EXPECT_TRUE(take().empty());
  ASSERT_EQ(change(make(1, EVFILT_USER, 0, NOTE_FFAND | 0x3c)), 0);
  ASSERT_EQ(change(make(1, EVFILT_USER, 0, NOTE_FFOR | NOTE_TRIGGER | 0x100, 42)), 0);
  const auto events = take();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].fflags, 0x10cu);
  EXPECT_EQ(events[0].data, 42);
  EXPECT_TRUE(take().empty());
  ASSERT_EQ(change(make(1, EVFILT_USER, 0, NOTE_TRIGGER)), 0);
  EXPECT_EQ(take().size(), 1u);
}

// ---- A queue as a descriptor

class WatchedKqueue : public KqueueTest {
 protected:
  static constexpr uintptr_t kInner = 100;
  WatchedKqueue() { table_.queues[kInner] = std::make_shared<Kqueue>(monitor_, table_); }
  Kqueue& inner() { return *table_.queues[kInner]; }
  void drain_inner() {
    ::kevent e[4];
    ASSERT_TRUE(inner().kevent({}, e, Duration::zero()).has_value());
  }
};

TEST_F(WatchedKqueue, is_readable_while_a_knote_of_it_is_active) {
  ASSERT_EQ(change(make(kInner, EVFILT_READ, EV_ADD)), 0);
  ASSERT_EQ(change(make(3, EVFILT_READ, EV_ADD | EV_CLEAR), inner()), 0);
  ASSERT_EQ(change(make(4, EVFILT_READ, EV_ADD | EV_CLEAR), inner()), 0);
  EXPECT_TRUE(take().empty());
  at(3).put(1);
  at(4).put(1);
  for (int again = 0; again < 2; ++again) {
    const auto events = take();
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].ident, kInner);
    EXPECT_EQ(events[0].data, 2);
  }
  drain_inner();
  EXPECT_TRUE(take().empty());
}

TEST_F(WatchedKqueue, with_clear_tells_of_each_event_once) {
  ASSERT_EQ(change(make(kInner, EVFILT_READ, EV_ADD | EV_CLEAR)), 0);
  ASSERT_EQ(change(make(3, EVFILT_READ, EV_ADD | EV_CLEAR), inner()), 0);
  for (int event = 0; event < 2; ++event) {
    at(3).put(1);
    EXPECT_EQ(take().size(), 1u);
    EXPECT_TRUE(take().empty());
    drain_inner();
  }
}

TEST_F(WatchedKqueue, its_timers_fire_for_the_watcher) {
  ASSERT_EQ(change(make(kInner, EVFILT_READ, EV_ADD)), 0);
  ASSERT_EQ(change(make(1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 10), inner()), 0);
  EXPECT_EQ(queue_.next_deadline(), loop_.now() + 10ms);
  loop_.run_for(10ms);
  EXPECT_EQ(take().size(), 1u);
  drain_inner();
  EXPECT_TRUE(take().empty());
  EXPECT_EQ(queue_.next_deadline(), kNever);
}

TEST_F(WatchedKqueue, that_goes_says_eof_and_one_that_is_closed_says_nothing) {
  ASSERT_EQ(change(make(kInner, EVFILT_READ, EV_ADD)), 0);
  table_.queues.clear();
  const auto events = take();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_NE(events[0].flags & EV_EOF, 0);
  table_.queues[kInner] = std::make_shared<Kqueue>(monitor_, table_);
  ASSERT_EQ(change(make(kInner, EVFILT_READ, EV_ADD)), 0);
  queue_.descriptor_closed(kInner);
  table_.queues.clear();
  EXPECT_TRUE(take().empty());
}

TEST_F(WatchedKqueue, cannot_be_written_nor_watch_itself_nor_go_deeper) {
  EXPECT_EQ(change(make(kInner, EVFILT_WRITE, EV_ADD)), EINVAL);
  EXPECT_EQ(change(make(kInner, EVFILT_READ, EV_ADD), inner()), EINVAL);
  ASSERT_EQ(change(make(kInner, EVFILT_READ, EV_ADD)), 0);
  table_.queues[101] = std::make_shared<Kqueue>(monitor_, table_);
  EXPECT_EQ(change(make(101, EVFILT_READ, EV_ADD), inner()), EINVAL);  // inner is watched
  ASSERT_EQ(change(make(101, EVFILT_READ, EV_ADD)), 0);
  table_.queues[102] = std::make_shared<Kqueue>(monitor_, table_);
  Kqueue& middle = *table_.queues[102];
  ASSERT_EQ(change(make(kInner, EVFILT_READ, EV_ADD), middle), 0);
  EXPECT_EQ(change(make(102, EVFILT_READ, EV_ADD)), EINVAL);  // middle watches
  table_.queues.erase(102);
}

TEST_F(KqueueTest, ready_hook_runs_when_the_queue_stops_being_empty) {
  int calls = 0;
  queue_.set_ready_hook([&] { ++calls; });
  ASSERT_EQ(change(make(3, EVFILT_READ, EV_ADD)), 0);
  ASSERT_EQ(change(make(4, EVFILT_READ, EV_ADD)), 0);
  at(3).put(1);
  at(4).put(1);
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace wh::event
