#include "tcp/selectable.h"

#include <cerrno>

#include "tcp/connection.h"

namespace wh::tcp {
namespace {

SelectableConnection& socket_of(::knote* kn) {
  return *static_cast<SelectableConnection*>(kn->kn_hook);  // Sound: kqfilter() set it.
}

int is_enough(::knote* kn, size_t bytes) {
  kn->kn_data = static_cast<int64_t>(bytes);
  const int64_t least = (kn->kn_sfflags & NOTE_LOWAT) != 0 ? kn->kn_sdata : 1;
  return kn->kn_data >= least ? 1 : 0;
}

int say_eof(::knote* kn) {
  kn->kn_flags = static_cast<unsigned short>(kn->kn_flags | EV_EOF);
  return 1;
}

}  // namespace

const ::filterops SelectableConnection::kRead = {1, nullptr, forget, can_read};
const ::filterops SelectableConnection::kWrite = {1, nullptr, forget, can_write};

SelectableConnection::SelectableConnection(Connection& connection)
    : connection_(&connection),
      next_(connection.observer()),
      peer_closed_(has_peer_closed(connection.state())) {
  connection.set_observer(this);
}

SelectableConnection::~SelectableConnection() {
  event::list_clear(readers_, event::ListLock::Take);
  event::list_clear(writers_, event::ListLock::Take);
  if (connection_ != nullptr && connection_->observer() == this) connection_->set_observer(next_);
}

int SelectableConnection::kqfilter(::knote& kn) {
  if (kn.kn_filter != EVFILT_READ && kn.kn_filter != EVFILT_WRITE) return EINVAL;
  const bool reads = kn.kn_filter == EVFILT_READ;
  kn.kn_fop = reads ? &kRead : &kWrite;
  kn.kn_hook = this;
  event::list_add(reads ? readers_ : writers_, kn, event::ListLock::Take);
  return 0;
}

int SelectableConnection::can_read(::knote* kn, long) {
  const Connection* c = socket_of(kn).connection_;
  const int ready = is_enough(kn, c == nullptr ? 0 : c->readable());
  const bool no_more = c == nullptr || socket_of(kn).peer_closed_;
  return no_more ? say_eof(kn) : ready;
}

int SelectableConnection::can_write(::knote* kn, long) {
  const Connection* c = socket_of(kn).connection_;
  const int ready = is_enough(kn, c == nullptr ? 0 : c->writable());
  const bool no_more = c == nullptr || has_closed(c->state());
  return no_more ? say_eof(kn) : ready;
}

void SelectableConnection::forget(::knote* kn) {
  event::list_remove(*kn->kn_knlist, *kn, event::ListLock::Take);
}

void SelectableConnection::on_ready(Connection& connection, uint8_t readiness) {
  if ((readiness & kEnded) != 0) connection_ = nullptr;
  if ((readiness & kPeerClosed) != 0) peer_closed_ = true;
  if ((readiness & (kReadable | kPeerClosed | kEnded)) != 0) {
    event::list_event(readers_, 0, event::ListLock::Take);
  }
  if ((readiness & (kConnected | kWritable | kEnded)) != 0) {
    event::list_event(writers_, 0, event::ListLock::Take);
  }
  if (next_ != nullptr) next_->on_ready(connection, readiness);
}

void SelectableConnection::on_rtt(Connection& connection, Duration rtt) {
  if (next_ != nullptr) next_->on_rtt(connection, rtt);
}

}  // namespace wh::tcp
