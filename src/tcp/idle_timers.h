// The connections of a stack that wait for something far away: the next keepalive, the end of
// FIN-WAIT-2 or of TIME-WAIT.
//
// The wheel turns once a second, and whoever waits for longer is placed anew each time: a hundred
// thousand idle connections would cost a hundred thousand moves a second. Here a connection that
// waits costs nothing until its time comes. Entries are lazy, like the wheel's: one that is earlier
// than needed stays, and is placed again when it comes.
//
// Order: by time, then in the order of their making. Ownership: the loop must outlive it.
#pragma once

#include <map>

#include "core/loop.h"

namespace wh::tcp {

class Connection;

class IdleTimers {
 public:
  using Entry = std::multimap<Instant, Connection*>::iterator;
  explicit IdleTimers(Loop& loop) : loop_(loop), timer_(loop, [this] { run(); }) {}

  // At `due`, or earlier, the connection is called (Connection::idle_output). REQUIRES: no entry of
  // it is as early.
  void arm(Connection& c, Instant due);
  void forget(Connection& c);  // Nothing when it has no entry.
  size_t size() const { return entries_.size(); }

 private:
  void run();

  Loop& loop_;
  Timer timer_;
  std::multimap<Instant, Connection*> entries_;
};

}  // namespace wh::tcp
