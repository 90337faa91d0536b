#include "packetdrill/kernel.h"

#include <fcntl.h>

#include "host/system.h"
#include "packetdrill/tcp_socket.h"
#include "packetdrill/udp_socket.h"

namespace wh::packetdrill {

Kernel::~Kernel() {
  World::Lock lock = world_.lock();
  table_.clear();
}

std::shared_ptr<Descriptor> Kernel::find(int fd) const {
  const auto at = table_.find(fd);
  return at == table_.end() ? nullptr : at->second;
}

Outcome Kernel::add(std::shared_ptr<Descriptor> descriptor) {
  auto held = host::open_file("/dev/null", O_RDWR);
  if (!held) return error(EMFILE);
  const int fd = held->release();
  table_[fd] = std::move(descriptor);
  return fd;
}

Outcome Kernel::socket(int domain, int type, int protocol) {
  if (domain != AF_INET && domain != AF_INET6) return error(EAFNOSUPPORT);
  const int kind = type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC);
  std::shared_ptr<Descriptor> made;
  if (kind == SOCK_STREAM && (protocol == 0 || protocol == IPPROTO_TCP)) {
    made = std::make_shared<TcpSocket>(world_, domain);
  } else if (kind == SOCK_DGRAM && (protocol == 0 || protocol == IPPROTO_UDP)) {
    made = std::make_shared<UdpSocket>(world_, domain);
  } else {
    return error(EPROTONOSUPPORT);
  }
  made->nonblocking = (type & SOCK_NONBLOCK) != 0;
  return add(std::move(made));
}

Outcome Kernel::close(World::Lock& lock, int fd) {
  const auto at = table_.find(fd);
  if (at == table_.end()) return error(EBADF);
  const std::shared_ptr<Descriptor> descriptor = at->second;
  table_.erase(at);
  host::Fd(fd).close();
  return descriptor->close(lock);
}

Outcome Kernel::poll(World::Lock& lock, std::span<pollfd> fds, int timeout_ms) {
  const auto look = [&] {
    int64_t count = 0;
    for (pollfd& p : fds) {
      p.revents = 0;
      if (p.fd < 0) continue;
      const auto descriptor = find(p.fd);
      const uint32_t always = POLLERR | POLLHUP | POLLNVAL;
      const uint32_t bits = descriptor == nullptr ? uint32_t{POLLNVAL} : descriptor->ready();
      p.revents = static_cast<short>(bits & (static_cast<uint16_t>(p.events) | always));
      if (p.revents != 0) ++count;
    }
    return count;
  };
  if (const int64_t count = look(); count > 0 || timeout_ms == 0) return count;
  const Instant deadline =
      timeout_ms < 0 ? kNever : world_.loop().now() + std::chrono::milliseconds(timeout_ms);
  world_.block(
      lock, [&] { return look() > 0; }, deadline);
  return look();
}

Outcome Kernel::splice(World::Lock& lock, int from, int to, size_t size, unsigned flags) {
  const auto source = find(from), sink = find(to);
  if (source == nullptr || sink == nullptr) return error(EBADF);
  constexpr size_t kMost = 65536;
  std::vector<uint8_t> bytes(std::min(size, kMost));
  const int how = (flags & SPLICE_F_NONBLOCK) != 0 ? MSG_DONTWAIT : 0;
  tcp::Endpoint sender;
  const iovec all{bytes.data(), bytes.size()};
  const Outcome got = source->receive(lock, {&all, 1}, how | MSG_PEEK, sender);
  if (!got || *got == 0) return got;
  const iovec offered{bytes.data(), static_cast<size_t>(*got)};
  const Outcome sent = sink->send(lock, {&offered, 1}, how, nullptr);
  if (!sent || *sent == 0) return sent;
  // What the sink had no room for stays where it is.
  const iovec taken{bytes.data(), static_cast<size_t>(*sent)};
  (void)source->receive(lock, {&taken, 1}, MSG_DONTWAIT, sender);  // It is there: it was seen.
  return sent;
}

}  // namespace wh::packetdrill
