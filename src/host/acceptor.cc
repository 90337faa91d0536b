#include "host/acceptor.h"

#include <sys/socket.h>

#include "host/system.h"

namespace wh::host {

Acceptor::Acceptor(Fd socket, RealLoop& loop, std::string name, std::function<void(Fd)> on_accept)
    : socket_(std::move(socket)),
      on_accept_(std::move(on_accept)),
      loop_(loop),
      rest_(loop, [this] { watch_.set_interest(Interest::Read); }),
      watch_(loop, std::move(name), [this] { return take(); }) {}

Progress Acceptor::take() {
  Fd made(uninterrupted(
      [&] { return ::accept4(socket_.raw(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK); }));
  if (made) {
    on_accept_(std::move(made));
  } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
    watch_.set_interest(Interest::None);
    rest_.arm(loop_.now() + kRest);
  }
  return Progress::Some;  // Whoever knocked may be gone again, which is progress as well.
}

}  // namespace wh::host
