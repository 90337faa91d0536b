#include "host/stream.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <utility>

#include "host/socket_address.h"
#include "host/system.h"

namespace wh::host {
namespace {

constexpr int kBacklog = 128;  // Who knocks and has not been accepted.

}  // namespace

Stream::Stream(Fd fd, RealLoop& loop, Actions actions, std::string name)
    : fd_(std::move(fd)),
      actions_(std::move(actions)),
      watch_(
          loop, std::move(name), [this] { return read(); }, [this] { return flush(); }) {}

Stream::~Stream() {
  watch_.unwatch();
}

Result<void> Stream::start() {
  TRY(set_nonblocking(fd_.raw()));
  return watch_.watch(fd_.raw());
}

void Stream::update_interest() {
  if (!watch_.is_watching()) return;
  const bool reads = is_reading_ && !is_ending_, writes = queued() != 0 || is_ending_;
  watch_.set_interest(reads && writes ? Interest::ReadWrite
                      : reads         ? Interest::Read
                      : writes        ? Interest::Write
                                      : Interest::None);
}

void Stream::set_reading(bool reading) {
  is_reading_ = reading;
  update_interest();
}

void Stream::write(std::string_view bytes) {
  if (!is_open() || is_ending_) return;
  if (queued() + bytes.size() > kMostQueued) {
    is_ending_ = true;
    queue_.clear();
    sent_ = 0;
    ::shutdown(fd_.raw(), SHUT_RDWR);  // Wakes flush(), which ends it.
  } else {
    queue_ += bytes;
  }
  // At most one attempt now; the rest when the other side has room. Ending waits for the loop, so
  // that nobody loses the stream within write().
  if (queued() == bytes.size() && !bytes.empty()) (void)send();
  update_interest();
}

// Of what waits, as much as the other side takes now. As send(2).
ssize_t Stream::send() {
  const ssize_t n = uninterrupted(
      [&] { return ::send(fd_.raw(), queue_.data() + sent_, queued(), MSG_NOSIGNAL); });
  if (n > 0) sent_ += static_cast<size_t>(n);
  if (sent_ >= queue_.size() / 2) queue_.erase(0, std::exchange(sent_, 0));
  return n;
}

void Stream::close_when_written() {
  is_ending_ = true;
  // Writable at once when nothing waits: flush() then ends it.
  if (is_open()) watch_.set_interest(Interest::Write);
}

Progress Stream::flush() {
  if (queued() != 0) {
    const ssize_t n = send();
    if (n < 0 && errno == EAGAIN) return Progress::None;
    if (n < 0) {
      end();
      return Progress::Some;
    }
  }
  if (queued() == 0 && is_ending_) {
    end();
  } else {
    update_interest();
  }
  return Progress::Some;
}

Progress Stream::read() {
  std::array<char, 16384> bytes;
  const ssize_t n = uninterrupted([&] { return ::recv(fd_.raw(), bytes.data(), bytes.size(), 0); });
  if (n < 0 && errno == EAGAIN) return Progress::None;
  if (n <= 0) {
    end();
    return Progress::Some;
  }
  actions_.on_bytes({bytes.data(), static_cast<size_t>(n)});
  return Progress::Some;
}

void Stream::end() {
  watch_.unwatch();
  // Held here, so that it survives the stream.
  const auto on_close = std::move(actions_.on_close);
  if (on_close) on_close();
}

// --- listeners ---

namespace {

Result<sockaddr_un> unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return fail("socket path '{}': accepted: 1 to {} characters", path,
                sizeof address.sun_path - 1);
  }
  path.copy(address.sun_path, path.size());
  return address;
}

// Sound: socket calls take any address by its common beginning.
template <class Address>
const sockaddr* as_sockaddr(const Address& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

}  // namespace

Listener::Listener(Fd fd, std::string path, uint16_t port, RealLoop& loop,
                   std::function<void(Fd)> on_accept)
    : path_(std::move(path)),
      port_(port),
      acceptor_(std::move(fd), loop, "listener", std::move(on_accept)) {}

Listener::~Listener() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

Result<std::unique_ptr<Listener>> Listener::open_unix(const std::string& path, RealLoop& loop,
                                                      std::function<void(Fd)> on_accept) {
  const sockaddr_un address = TRY(unix_address(path));
  if (auto other = connect_unix(path)) return fail("socket {}: somebody listens there", path);
  struct stat left {};
  if (::lstat(path.c_str(), &left) == 0) {
    if (!S_ISSOCK(left.st_mode)) return fail("socket {}: a file that is no socket is there", path);
    ::unlink(path.c_str());
  }
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd || ::bind(fd.raw(), as_sockaddr(address), sizeof address) != 0 ||
      ::listen(fd.raw(), kBacklog) != 0) {
    return os_error("listen on socket {}", path);
  }
  std::unique_ptr<Listener> made(new Listener(std::move(fd), path, 0, loop, std::move(on_accept)));
  TRY(made->acceptor_.start());
  return made;
}

Result<std::unique_ptr<Listener>> Listener::open_loopback(uint16_t port, RealLoop& loop,
                                                          std::function<void(Fd)> on_accept,
                                                          net::Family family) {
  const bool is_v4 = family == net::Family::V4;
  net::Ip6 one;
  one.bytes[15] = 1;
  SocketAddress address(is_v4 ? net::IpAddress(net::Ip4::of(127, 0, 0, 1)) : one, port);
  const int on = 1;
  Fd fd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (fd) ::setsockopt(fd.raw(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (!fd || ::bind(fd.raw(), address.get(), address.size) != 0 ||
      ::listen(fd.raw(), kBacklog) != 0 ||
      ::getsockname(fd.raw(), reinterpret_cast<sockaddr*>(&address.storage), &address.size) != 0) {
    return os_error("listen on {}:{}", is_v4 ? "127.0.0.1" : "[::1]", port);
  }
  std::unique_ptr<Listener> made(
      new Listener(std::move(fd), "", address.port(), loop, std::move(on_accept)));
  TRY(made->acceptor_.start());
  return made;
}

Result<Fd> connect_unix(const std::string& path) {
  const sockaddr_un address = TRY(unix_address(path));
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd || ::connect(fd.raw(), as_sockaddr(address), sizeof address) != 0) {
    return os_error("connect to socket {}", path);
  }
  return fd;
}

}  // namespace wh::host
