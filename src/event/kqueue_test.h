// What the tests of kqueue share: a thing whose readiness the test sets, in virtual time.
#pragma once

#include <gtest/gtest.h>

#include <cerrno>
#include <map>
#include <vector>

#include "core/virtual_loop.h"
#include "event/kqueue.h"

namespace wh::event {

// A thing with a readable byte count, as a socket or a device has.
class Source : public Selectable {
 public:
  int kqfilter(::knote& kn) override {
    if (kn.kn_filter != EVFILT_READ) return EINVAL;
    kn.kn_fop = &kOps;
    kn.kn_hook = this;
    list_add(list, kn, ListLock::Take);
    return 0;
  }
  void put(int64_t n) {
    bytes += n;
    list_event(list, 0, ListLock::Take);
  }
  static void detach(::knote* kn) {
    list_remove(static_cast<Source*>(kn->kn_hook)->list, *kn, ListLock::Take);
  }
  static int event(::knote* kn, long) {
    Source& s = *static_cast<Source*>(kn->kn_hook);
    ++s.asked;
    kn->kn_data = s.bytes;
    if (s.closed) {
      kn->kn_flags |= EV_EOF;
      return 1;
    }
    return s.bytes > 0;
  }
  static constexpr ::filterops kOps = {1, nullptr, detach, event};
  ::knlist list{};
  int64_t bytes = 0;
  bool closed = false;
  int asked = 0;
};

class Table : public Descriptors {
 public:
  std::shared_ptr<Selectable> selectable(uintptr_t ident) override {
    if (const auto queue = queues.find(ident); queue != queues.end()) return queue->second;
    const auto it = things.find(ident);
    return it == things.end() ? nullptr : it->second;
  }
  std::map<uintptr_t, std::shared_ptr<Source>> things;
  std::map<uintptr_t, std::shared_ptr<Kqueue>> queues;
};

class KqueueTest : public testing::Test {
 protected:
  KqueueTest() {
    table_.things[3] = std::make_shared<Source>();
    table_.things[4] = std::make_shared<Source>();
  }
  Source& at(uintptr_t fd) { return *table_.things[fd]; }
  static ::kevent make(uintptr_t ident, short filter, unsigned flags, unsigned fflags = 0,
                       int64_t data = 0, void* udata = nullptr) {
    return {ident, filter, static_cast<unsigned short>(flags), fflags, data, udata};
  }
  // One change without room for events; returns the errno.
  int change(const ::kevent& c, Kqueue& q) {
    auto r = q.kevent({&c, 1}, {}, Duration::zero());
    return r ? 0 : static_cast<int>(r.error().code);
  }
  int change(const ::kevent& c) { return change(c, queue_); }
  std::vector<::kevent> take(size_t room = 16) {
    std::vector<::kevent> events(room);
    auto n = queue_.kevent({}, events, Duration::zero());
    EXPECT_TRUE(n.has_value());
    events.resize(n.value_or(0));
    return events;
  }

  VirtualLoop loop_;
  LoopMonitor monitor_{loop_};
  Table table_;
  Kqueue queue_{monitor_, table_};
};

}  // namespace wh::event
