#include "host/stream_socket.h"

#include "host/socket_address.h"
#include "host/system.h"

namespace wh::host {
namespace {

Result<Fd> make_socket(const net::IpAddress& address) {
  const int family = address.is_v4() ? AF_INET : AF_INET6;
  Fd socket(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return os_error("make a socket");
  return socket;
}

StreamSocket::Moved moved(ssize_t n) {
  using Io = StreamSocket::Io;
  if (n >= 0) return {Io::Done, static_cast<size_t>(n)};
  return {errno == EAGAIN ? Io::Blocked : Io::Failed};
}

}  // namespace

StreamSocket::StreamSocket(RealLoop& loop, Fd fd, Observer& observer)
    : fd_(std::move(fd)),
      watch_(
          loop, "stream socket", [&observer] { return observer.on_readable(), Progress::Some; },
          [&observer] { return observer.on_writable(), Progress::Some; }) {}

Result<std::unique_ptr<StreamSocket>> StreamSocket::adopt(RealLoop& loop, Fd fd,
                                                          Observer& observer) {
  TRY(set_nonblocking(fd.raw()));
  std::unique_ptr<StreamSocket> socket(new StreamSocket(loop, std::move(fd), observer));
  TRY(socket->watch_.watch(socket->fd_.raw(), Interest::Read));
  return socket;
}

Result<std::unique_ptr<StreamSocket>> StreamSocket::connect(RealLoop& loop,
                                                            const net::IpAddress& address,
                                                            uint16_t port, Observer& observer) {
  Fd fd = TRY(make_socket(address));
  const SocketAddress to(address, port);
  if (::connect(fd.raw(), to.get(), to.size) != 0 && errno != EINPROGRESS) {
    return os_error("connect to {} port {}", to_string(address), port);
  }
  std::unique_ptr<StreamSocket> socket(new StreamSocket(loop, std::move(fd), observer));
  TRY(socket->watch_.watch(socket->fd_.raw(), Interest::ReadWrite));
  return socket;
}

StreamSocket::Moved StreamSocket::read(std::span<uint8_t> into) {
  const Moved got =
      moved(uninterrupted([&] { return ::read(fd_.raw(), into.data(), into.size()); }));
  return got.io == Io::Done && got.bytes == 0 ? Moved{Io::End} : got;
}

StreamSocket::Moved StreamSocket::write(std::span<const uint8_t> bytes) {
  return moved(
      uninterrupted([&] { return ::send(fd_.raw(), bytes.data(), bytes.size(), MSG_NOSIGNAL); }));
}

void StreamSocket::shut_down_writing() {
  ::shutdown(fd_.raw(), SHUT_WR);  // Fails only when the connection is gone, which reading tells.
}

void StreamSocket::reset() {
  const linger at_once{1, 0};
  ::setsockopt(fd_.raw(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

}  // namespace wh::host
