#include "packetdrill/udp_socket.h"

#include <netinet/in.h>

#include <algorithm>
#include <cstring>

namespace wh::packetdrill {

uint32_t UdpSocket::ready() const {
  uint32_t bits = POLLOUT | POLLWRNORM;
  if (!waiting_.empty() || error_ != 0) bits |= POLLIN | POLLRDNORM;
  if (error_ != 0) bits |= POLLERR;
  return bits;
}

Outcome UdpSocket::open(const tcp::Endpoint& local) {
  vnet::UdpSocket::Config config;
  config.family = local.address.family;
  config.address = local.address;
  config.port = local.port;
  auto made = world_.vnet().open_udp(config, [this](const vnet::UdpDatagram& d) {
    const tcp::Endpoint from{d.source, d.source_port};
    if (peer_ && *peer_ != from) return;
    if (waiting_.size() >= kMostWaiting) return world_.count_full_udp();
    waiting_.push_back({from, d.payload()});
    ++news_;
  });
  if (!made) return error(static_cast<int>(made.error().code));
  socket_ = std::move(*made);
  socket_->on_error([this](const net::IpError& e) {
    // A connected socket hears of it (RFC 1122 section 4.1.3.3).
    if (!peer_ || e.kind != net::IpError::Kind::PortUnreachable) return;
    error_ = ECONNREFUSED;
    ++news_;
  });
  return 0;
}

Outcome UdpSocket::bind(const tcp::Endpoint& local) {
  if (socket_ != nullptr) return error(EINVAL);
  world_.wire().learn_local(local.address);
  return open(local);
}

Outcome UdpSocket::connect(World::Lock&, const tcp::Endpoint& to) {
  world_.wire().learn_remote(to.address);
  if (socket_ == nullptr) {
    tcp::Endpoint any;
    any.address.family = to.address.family;
    if (auto opened = open(any); !opened) return opened;
  }
  peer_ = to;
  return 0;
}

Outcome UdpSocket::disconnect() {
  peer_.reset();
  return 0;
}

Outcome UdpSocket::receive(World::Lock& lock, std::span<const iovec> parts, int flags,
                           tcp::Endpoint& from) {
  const auto is_ready = [this] { return !waiting_.empty() || error_ != 0; };
  if (!is_ready()) {
    if (nonblocking || (flags & MSG_DONTWAIT) != 0) return error(EAGAIN);
    if (!world_.block(lock, is_ready)) return error(EAGAIN);
  }
  if (error_ != 0) return error(std::exchange(error_, 0));
  const Datagram& d = waiting_.front();
  from = d.from;
  const size_t all = d.bytes.size();
  const size_t got = std::min(all, size_of(parts));
  scatter(d.bytes, parts);
  if ((flags & MSG_PEEK) == 0) waiting_.pop_front();
  return static_cast<int64_t>((flags & MSG_TRUNC) != 0 ? all : got);
}

Outcome UdpSocket::send(World::Lock& lock, std::span<const iovec> parts, int,
                        const tcp::Endpoint* to) {
  if (error_ != 0) return error(std::exchange(error_, 0));
  if (to == nullptr && !peer_) return error(EDESTADDRREQ);
  const tcp::Endpoint target = to != nullptr ? *to : *peer_;
  if (socket_ == nullptr) {
    const auto before = peer_;
    if (auto connected = connect(lock, target); !connected) return connected;
    peer_ = before;
  }
  world_.wire().learn_remote(target.address);
  const std::vector<uint8_t> bytes = gather(parts);
  if (auto sent = socket_->send(target.address, target.port, std::span<const uint8_t>(bytes));
      !sent) {
    return error(static_cast<int>(sent.error().code));
  }
  return static_cast<int64_t>(bytes.size());
}

Outcome UdpSocket::get_option(int level, int name, std::span<uint8_t> value) {
  if (level != SOL_SOCKET || value.size() < sizeof(int)) return error(ENOPROTOOPT);
  int n = 0;
  if (name == SO_ERROR) {
    n = std::exchange(error_, 0);
  } else if (name == SO_TYPE) {
    n = SOCK_DGRAM;
  } else {
    return error(ENOPROTOOPT);
  }
  std::memcpy(value.data(), &n, sizeof n);
  return sizeof n;
}

// What can be set on a datagram socket here changes nothing a script can see.
Outcome UdpSocket::set_option(int level, int, std::span<const uint8_t>) {
  const bool is_known = level == SOL_SOCKET || level == IPPROTO_IP || level == IPPROTO_IPV6;
  return is_known ? Outcome(0) : error(ENOPROTOOPT);
}

}  // namespace wh::packetdrill
