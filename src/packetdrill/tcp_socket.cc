#include "packetdrill/tcp_socket.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cstring>

namespace wh::packetdrill {
namespace {

using tcp::State;

int to_errno(const Error& e) {
  return static_cast<int>(e.code);
}

// Where a connection goes out from when no script said: packetdrill's own defaults.
net::IpAddress usual_local(net::Family family) {
  return MUST(net::parse_ip(family == net::Family::V4 ? "192.168.0.1" : "fd3d:0a0b:17d6::1"));
}

}  // namespace

int errno_of(tcp::End end) {
  switch (end) {
    case tcp::End::None:
    case tcp::End::Normal: return 0;
    case tcp::End::Reset: return ECONNRESET;
    case tcp::End::Refused: return ECONNREFUSED;
    case tcp::End::TimedOut: return ETIMEDOUT;
    case tcp::End::Unreachable: return EHOSTUNREACH;
    case tcp::End::Aborted: return ECONNABORTED;
  }
  return EIO;
}

TcpSocket::TcpSocket(World& world, int domain) : Descriptor(world), domain_(domain) {}

TcpSocket::~TcpSocket() {
  if (connection_ != nullptr) connection_->abort();
  if (listener_ != nullptr) listener_->close();
}

void TcpSocket::on_ready(tcp::Connection& connection, uint8_t readiness) {
  ++news_;
  if ((readiness & tcp::kEnded) != 0 && error_ == 0) {
    error_ = errno_of(connection.end());
  }
  if (is_deaf_) (void)connection.discard(connection.readable());
}

// An IPv4 address where only IPv6's are wanted (IPV6_V6ONLY).
bool TcpSocket::is_mapped(const tcp::Endpoint& e) const {
  return e.address.is_v4() && domain_ == AF_INET6 && settings_.v6_only != 0;
}
bool TcpSocket::is_connected() const {
  return connection_ != nullptr && tcp::is_synchronised(connection_->state());
}
bool TcpSocket::is_at_end() const {
  return is_deaf_ || connection_ == nullptr || is_over() || connection_->at_end();
}
int TcpSocket::take_error() {
  return std::exchange(error_, 0);
}

uint32_t TcpSocket::ready() const {
  if (listener_ != nullptr) {
    const bool has_any = listener_->waiting() + listener_->aborted() > 0;
    return has_any ? POLLIN | POLLRDNORM : 0;
  }
  if (connection_ == nullptr) return POLLOUT | POLLHUP;
  uint32_t bits = 0;
  const auto low = static_cast<size_t>(settings_.receive_low_water);
  const bool is_open = connection_->state() != State::SynSent;
  // Told of as soon as it is so, whatever is still to be read.
  const bool has_ended = is_open && (is_at_end() || tcp::has_peer_closed(connection_->state()));
  if (has_come(low) || has_ended || error_ != 0) bits |= POLLIN | POLLRDNORM;
  if (has_ended) bits |= POLLRDHUP;
  const bool can_write =
      is_connected() && !is_mute_ &&
      (connection_->writable() >=
           std::min<size_t>(static_cast<size_t>(settings_.send_low_water),
                            static_cast<size_t>(connection_->send_buffer().count())) ||
       is_over());
  if (can_write || error_ != 0 || (is_mute_ && is_open)) bits |= POLLOUT | POLLWRNORM;
  if (error_ != 0) bits |= POLLERR;
  if (is_over() || (has_ended && is_mute_)) bits |= POLLHUP;
  return bits;
}

Outcome TcpSocket::bind(const tcp::Endpoint& local) {
  if (bound_ || connection_ != nullptr || listener_ != nullptr) return error(EINVAL);
  if (!local.address.is_v4() && domain_ == AF_INET) return error(EAFNOSUPPORT);
  if (is_mapped(local)) return error(EINVAL);
  world_.wire().learn_local(local.address);
  bound_ = local;
  return 0;
}

void TcpSocket::apply(tcp::Connection& c) const {
  const TcpSettings& s = settings_;
  if (s.send_buffer > 0) c.set_send_buffer(Bytes(s.send_buffer));
  if (s.receive_buffer > 0) c.set_receive_buffer(Bytes(s.receive_buffer));
  if (s.nodelay != 0) c.set_nodelay(true);
  if (s.cork != 0) c.set_cork(true);
  c.set_keepalive_times(std::chrono::seconds(s.keep_idle), std::chrono::seconds(s.keep_interval),
                        s.keep_count);
  c.set_connect_timeout(std::chrono::seconds(s.keep_init));
  if (s.keepalive >= 0) c.set_keepalive(s.keepalive != 0);
  if (s.user_timeout_ms > 0) c.set_user_timeout(std::chrono::milliseconds(s.user_timeout_ms));
  if (s.max_segment > 0) c.set_max_segment(static_cast<uint32_t>(s.max_segment));
  if (s.pace_rate > 0) c.set_pace_rate(Rate::bytes_per_second(s.pace_rate));
  for (const auto& [name, value] : s.pacing)
    (void)c.set_option(name, value);  // One may want another first.
  if (s.delayed_ack >= 0) c.set_delayed_ack(s.delayed_ack != 0);
  c.set_no_options(s.no_options != 0);
  c.set_traffic_class(static_cast<uint8_t>(s.tos));
  if (s.ttl > 0) c.set_hop_limit(static_cast<uint8_t>(s.ttl));
}

Outcome TcpSocket::listen(World::Lock&, int backlog) {
  if (connection_ != nullptr) return error(EINVAL);
  if (listener_ != nullptr) return 0;
  tcp::Listener::Config config;
  if (bound_) config.local = *bound_;
  if (!bound_) config.local.address.family = domain_ == AF_INET ? net::Family::V4 : net::Family::V6;
  if (config.local.port == 0) config.local.port = world_.free_port();
  config.takes_ipv4 = settings_.v6_only == 0;
  config.congestion = settings_.congestion;
  // FreeBSD's queue admits half as many again, and keeps handshakes elsewhere.
  constexpr size_t kHandshakes = 30;
  const int64_t most = world_.tcp().tunables().soacceptqueue;
  const int64_t asked = backlog < 0 ? most : std::clamp<int64_t>(backlog, 1, most);
  config.backlog = static_cast<size_t>(asked) * 3 / 2 + kHandshakes;
  config.on_create = [this](tcp::Connection& c) { apply(c); };
  config.on_ready = [this] { ++news_; };
  auto made = world_.tcp().listen(std::move(config));
  if (!made) return error(to_errno(made.error()));
  listener_ = *made;
  return 0;
}

tl::expected<std::shared_ptr<Descriptor>, int> TcpSocket::accept(World::Lock& lock,
                                                                 tcp::Endpoint& from) {
  if (listener_ == nullptr) return error(EINVAL);
  const auto has_any = [this] { return listener_->waiting() + listener_->aborted() > 0; };
  if (!has_any()) {
    if (nonblocking) return error(EAGAIN);
    const bool came = world_.block(lock, [&] { return listener_ == nullptr || has_any(); });
    if (!came) return error(EAGAIN);
    if (listener_ == nullptr) return error(ECONNABORTED);
  }
  if (listener_->take_aborted()) return error(ECONNABORTED);  // As accept(2) has it.
  auto socket = std::make_shared<TcpSocket>(world_, domain_);
  socket->settings_ = settings_;
  socket->connection_ = listener_->accept();
  socket->connection_->set_observer(socket.get());
  if (socket->connection_->end() != tcp::End::None) {
    socket->error_ = errno_of(socket->connection_->end());
  }
  from = socket->connection_->remote();
  return socket;
}

Outcome TcpSocket::connect(World::Lock& lock, const tcp::Endpoint& to) {
  if (listener_ != nullptr) return error(EOPNOTSUPP);
  if (connection_ != nullptr) {
    if (const int e = take_error(); e != 0) return error(e);
    if (is_over()) return error(EINVAL);
    return error(is_connected() ? EISCONN : EALREADY);
  }
  if (!to.address.is_v4() && domain_ == AF_INET) return error(EAFNOSUPPORT);
  if (is_mapped(to)) return error(EINVAL);
  tcp::TcpStack::ConnectOptions options;
  if (bound_) options.local = *bound_;
  if (!bound_ || bound_->address.is_unspecified()) {
    options.local.address.family = to.address.family;
    if (!world_.vnet().route(to.address)) {
      world_.wire().learn_local(usual_local(to.address.family));
    }
  }
  world_.wire().learn_remote(to.address);
  options.observer = this;
  options.congestion = settings_.congestion;
  options.on_create = [this](tcp::Connection& c) { apply(c); };
  auto made = world_.tcp().connect(to, options);
  if (!made) return error(to_errno(made.error()));
  connection_ = *made;
  if (nonblocking) return error(EINPROGRESS);
  world_.block(lock, [this] { return connection_ == nullptr || is_connected() || is_over(); });
  if (const int e = take_error(); e != 0) return error(e);
  return is_connected() ? Outcome(0) : error(ETIMEDOUT);
}

Outcome TcpSocket::disconnect() {  // connect() to AF_UNSPEC, as Linux has it.
  if (connection_ != nullptr) std::exchange(connection_, nullptr)->abort();
  if (listener_ != nullptr) std::exchange(listener_, nullptr)->close();
  is_deaf_ = is_mute_ = false;
  error_ = 0;
  return 0;
}

Outcome TcpSocket::receive(World::Lock& lock, std::span<const iovec> parts, int flags,
                           tcp::Endpoint&) {
  if (connection_ == nullptr) return error(ENOTCONN);
  if (!is_connected() && !is_over() && nonblocking) return error(EAGAIN);
  const size_t wanted = size_of(parts);
  const bool may_wait = !nonblocking && (flags & MSG_DONTWAIT) == 0;
  const bool is_peek = (flags & MSG_PEEK) != 0, is_all = (flags & MSG_WAITALL) != 0 && may_wait;
  const auto low = static_cast<size_t>(settings_.receive_low_water);
  std::vector<uint8_t> bytes;  // Of what there is, not of what is asked for: that may be anything.
  do {  // MSG_WAITALL may want more than the buffer holds: what has come makes room.
    const size_t got = bytes.size();
    const size_t rest = wanted - got, least = is_all ? rest : std::min(rest, low);
    const auto is_ready = [&] { return has_come(least) || error_ != 0 || is_at_end(); };
    if (rest > 0 && !is_ready()) {
      if (!may_wait) return error(EAGAIN);
      const Instant deadline = settings_.receive_timeout > Duration::zero()
                                   ? world_.loop().now() + settings_.receive_timeout
                                   : kNever;
      if (!world_.block(lock, is_ready, deadline) && readable() == 0 && got == 0)
        return error(EAGAIN);
    }
    const size_t more = std::min(rest, readable());
    if (more == 0) break;
    bytes.resize(got + more);
    const auto room = std::span(bytes).subspan(got);
    bytes.resize(got + (is_peek ? connection_->peek(room) : connection_->recv(room)));
  } while (is_all && !is_peek && bytes.size() < wanted);
  if (bytes.empty()) {
    if (const int e = take_error(); e != 0) return error(e);
    return 0;
  }
  if ((flags & MSG_TRUNC) == 0) scatter(bytes, parts);
  return static_cast<int64_t>(bytes.size());
}

// Whether so much can be read, or all that can come before something is.
bool TcpSocket::has_come(size_t least) const {
  if (readable() == 0) return false;
  const auto most = static_cast<size_t>(connection_->receive_buffer().count());
  return readable() >= std::min(least, most) || connection_->info().receive_window == Bytes(0);
}

Outcome TcpSocket::send(World::Lock& lock, std::span<const iovec> parts, int flags,
                        const tcp::Endpoint*) {
  const auto refuse = [&]() -> Outcome {
    if (const int e = take_error(); e != 0) return error(e);
    return error(connection_ == nullptr || !is_connected() ? ENOTCONN : EPIPE);
  };
  if (connection_ == nullptr) return refuse();
  // As FreeBSD's sosend(): why it is over is for who reads or asks.
  if (is_over() || is_mute_) return error(EPIPE);
  if (!is_connected()) return refuse();
  const std::vector<uint8_t> bytes = gather(parts);
  const bool holds_back = (flags & MSG_MORE) != 0;
  if (holds_back) connection_->set_cork(true);
  size_t sent = 0;
  const auto can_go_on = [this] {
    return connection_ == nullptr || connection_->writable() > 0 || is_over() || is_mute_;
  };
  while (sent < bytes.size()) {
    const auto taken = connection_->send(std::span(bytes).subspan(sent));
    if (!taken) break;
    sent += *taken;
    if (sent == bytes.size()) break;
    if (nonblocking || (flags & MSG_DONTWAIT) != 0) break;
    const Instant deadline = settings_.send_timeout > Duration::zero()
                                 ? world_.loop().now() + settings_.send_timeout
                                 : kNever;
    const bool goes_on = world_.block(lock, can_go_on, deadline);
    if (connection_ == nullptr) return error(EPIPE);
    if (!goes_on || is_over() || is_mute_) break;
  }
  if (!holds_back && settings_.cork == 0) connection_->set_cork(false);
  if (sent > 0 || bytes.empty()) return static_cast<int64_t>(sent);
  return error(is_over() || is_mute_ ? EPIPE : EAGAIN);
}

Outcome TcpSocket::shutdown(int how) {
  if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR) return error(EINVAL);
  if (listener_ != nullptr) {
    std::exchange(listener_, nullptr)->close();
    ++news_;
    return 0;
  }
  if (connection_ == nullptr || is_over()) return error(ENOTCONN);
  if (how != SHUT_WR) {
    is_deaf_ = true;
    (void)connection_->discard(connection_->readable());
  }
  if (how != SHUT_RD) {
    is_mute_ = true;
    connection_->shutdown_send();
  }
  ++news_;
  return 0;
}

Outcome TcpSocket::control(unsigned long request, void* argument) {
  auto* value = static_cast<int*>(argument);
  switch (request) {
    case FIONBIO: nonblocking = *value != 0; return 0;
    case FIONREAD:
      if (listener_ != nullptr) return error(EINVAL);
      *value = connection_ == nullptr ? 0 : static_cast<int>(readable());
      return 0;
    case SIOCOUTQ:
      *value = connection_ == nullptr ? 0 : static_cast<int>(connection_->unacknowledged());
      return 0;
    case SIOCOUTQNSD:
      *value = connection_ == nullptr ? 0 : static_cast<int>(connection_->info().unsent.count());
      return 0;
    default: return error(ENOTTY);
  }
}

Outcome TcpSocket::close(World::Lock& lock) {
  if (listener_ != nullptr) std::exchange(listener_, nullptr)->close();
  if (connection_ == nullptr) return 0;
  if (settings_.linger && settings_.linger_s == 0) {
    std::exchange(connection_, nullptr)->abort();
    return 0;
  }
  if (settings_.linger && !nonblocking && is_connected()) {
    connection_->shutdown_send();
    const auto is_done = [this] {
      return is_over() || connection_->state() == State::FinWait2 ||
             connection_->state() == State::TimeWait;
    };
    world_.block(lock, is_done, world_.loop().now() + std::chrono::seconds(settings_.linger_s));
  }
  std::exchange(connection_, nullptr)->close();
  return 0;
}

}  // namespace wh::packetdrill
