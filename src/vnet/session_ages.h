// Sessions by how long they have been idle: which of them have ended, and which are next.
//
// A session is of a *kind*, whose sessions all end after the same time of idleness, so that the one
// longest idle ends first; and of a *group* (of an interface, of an address), which may be ended as
// a whole, at once. Whoever has ended is taken away later: few at a time, so that packets pass in
// between, or when there is no room for another. Until then only has_ended() tells that it has.
//
// Ownership: sessions are their owner's, who is told to take each away. Threads: the loop's.
#pragma once

#include <array>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <utility>

#include "core/intrusive_list.h"
#include "core/loop.h"

namespace wh::vnet {

class SessionAges {
 public:
  static constexpr size_t kKinds = 4;
  using IdleTimes = std::array<Duration, kKinds>;  // By kind.

  struct Group;
  // What an owner's session is, beside what else it is.
  struct Session {
    ListLink by_idleness, by_group;
    Group* group = nullptr;
    Instant used{};
    uint8_t kind = 0;
  };
  struct Group {
    IntrusiveList<Session, &Session::by_group> sessions;
    uint64_t key = 0;
    size_t size = 0;
    bool has_ended = false;
  };

  // `erase` is called with each session that is taken away, once it is nowhere here.
  SessionAges(Loop& loop, const IdleTimes& idle_times, size_t most,
              std::function<void(Session&)> erase);

  // Of sessions that there are, too.
  void set_idle_times(const IdleTimes& times) { idle_times_ = times; }
  void set_most(size_t most);  // Above it those longest idle go.

  // False when there are as many as there may be, and none of them has ended.
  bool make_room();
  // REQUIRES: there is room.
  void add(Session& session, uint64_t group, uint8_t kind);
  // It is used now, and of this kind.
  void touch(Session& session, uint8_t kind);
  void erase(Session& session);
  bool erase_ended();         // One that has. False: none has.
  void erase_longest_idle();  // REQUIRES: there is a session.
  // Ends all sessions of these groups.
  void end_groups(const std::function<bool(uint64_t group)>& which);

  Instant end_of(const Session& s) const { return s.used + idle_times_[s.kind]; }
  bool has_ended(const Session& s) const { return s.group->has_ended || end_of(s) <= loop_.now(); }
  size_t most() const { return most_; }
  size_t size() const { return size_ - size_of_ended_; }  // But those of groups that have ended.
  // Those, by kind, longest idle first.
  template <class Look>
  void each(Look look) const {
    for (Sessions& sessions : const_cast<SessionAges*>(this)->by_kind_) {
      for (Session* s = sessions.front(); s != nullptr; s = sessions.next(*s)) {
        if (!s->group->has_ended) look(std::as_const(*s));
      }
    }
  }

 private:
  using Sessions = IntrusiveList<Session, &Session::by_idleness>;
  void sweep();

  Loop& loop_;
  IdleTimes idle_times_;
  size_t most_;
  std::function<void(Session&)> erase_;
  std::array<Sessions, kKinds> by_kind_;  // Longest idle first.
  // Those that have sessions. Of one key there may be some that have ended.
  std::map<uint64_t, std::unique_ptr<Group>> groups_;
  std::list<std::unique_ptr<Group>> ended_;
  size_t size_ = 0, size_of_ended_ = 0;  // All, and those of groups that have ended.
  Timer timer_;
};

}  // namespace wh::vnet
