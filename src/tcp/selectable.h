// A connection as kqueue sees it: EVFILT_READ and EVFILT_WRITE, the same as a device's.
//
//   SelectableConnection socket(connection);          // becomes its observer
//   table[fd] = socket ...; kqueue.kevent({{fd, EVFILT_READ, EV_ADD, ...}}, events, ...);
//
// READ: data is the bytes that recv() has; EV_EOF once the peer has closed, as socket filters in
// kqueue(2) say. WRITE: data is the room in the send buffer; EV_EOF when nothing can be sent any
// more. NOTE_LOWAT sets the least that counts as ready. Of one loop; the knote lists have no lock.
#pragma once

#include "event/knlist.h"
#include "event/selectable.h"
#include "tcp/types.h"

namespace wh::tcp {

class SelectableConnection final : public event::Selectable, public ConnectionObserver {
 public:
  // Takes the observer's place; one that was there is told everything after the knotes. REQUIRES:
  // outlives the connection, or its observer is changed first.
  explicit SelectableConnection(Connection& connection);
  ~SelectableConnection() override;  // Its knotes say EV_EOF once more.
  SelectableConnection(const SelectableConnection&) = delete;
  SelectableConnection& operator=(const SelectableConnection&) = delete;

  int kqfilter(::knote& kn) override;
  void on_ready(Connection& connection, uint8_t readiness) override;
  void on_rtt(Connection& connection, Duration rtt) override;

 private:
  static int can_read(::knote* kn, long hint);
  static int can_write(::knote* kn, long hint);
  static void forget(::knote* kn);
  static const ::filterops kRead, kWrite;

  Connection* connection_;  // Null once it has ended.
  ConnectionObserver* next_;
  bool peer_closed_;
  ::knlist readers_{}, writers_{};
};

}  // namespace wh::tcp
