// The shared object's face: C functions that take the lock, call the kernel, and turn its answers
// into system calls' results. Nothing is decided here.
#include <fcntl.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "packetdrill/epoll_set.h"
#include "packetdrill/interface.h"
#include "packetdrill/interpose.h"
#include "packetdrill/kernel.h"
#include "packetdrill/pipe.h"

namespace wh::packetdrill {
namespace {

Kernel& kernel_of(void* userdata) {
  return *static_cast<Kernel*>(userdata);
}

int64_t result_of(const Outcome& outcome) {
  if (outcome) return *outcome;
  errno = outcome.error();
  return -1;
}

// Runs a call under the lock; what it changed may end another thread's wait.
template <class Call>
int64_t run(void* userdata, Call call) {
  Kernel& kernel = kernel_of(userdata);
  World::Lock lock = kernel.world().lock();
  const Outcome outcome = call(kernel, lock);
  kernel.world().advance(lock, Duration::zero());
  return result_of(outcome);
}
template <class Call>
int64_t on(void* userdata, int fd, Call call) {
  return run(userdata, [&](Kernel& kernel, World::Lock& lock) -> Outcome {
    const auto descriptor = kernel.find(fd);  // Kept alive while the call blocks.
    if (descriptor == nullptr) return error(EBADF);
    return call(*descriptor, lock, kernel);
  });
}

// --so_flags=verbose: each packet, as packetdrill may not show those that match no socket.
void report(const char* way, std::span<const uint8_t> packet) {
  std::string hex;
  for (const uint8_t byte : packet.first(std::min<size_t>(packet.size(), 80)))
    hex += fmt::format("{:02x}", byte);
  std::fprintf(stderr, "libwh-packetdrill: %s %zu bytes %s\n", way, packet.size(), hex.c_str());
}

// The kernel that the program's own getsockopt() is led to.
Kernel* led_to = nullptr;

void destroy(void* userdata) {
  if (led_to == userdata) led_to = nullptr;
  delete static_cast<Kernel*>(userdata);
}

int do_socket(void* u, int domain, int type, int protocol) {
  return static_cast<int>(
      run(u, [&](Kernel& kernel, World::Lock&) { return kernel.socket(domain, type, protocol); }));
}
int do_bind(void* u, int fd, const sockaddr* address, socklen_t length) {
  return static_cast<int>(on(u, fd, [&](Descriptor& d, World::Lock&, Kernel&) -> Outcome {
    const auto local = read_address(address, length);
    return local ? d.bind(*local) : error(local.error());
  }));
}
int do_listen(void* u, int fd, int backlog) {
  return static_cast<int>(on(
      u, fd, [&](Descriptor& d, World::Lock& lock, Kernel&) { return d.listen(lock, backlog); }));
}
int do_accept(void* u, int fd, sockaddr* address, socklen_t* length) {
  return static_cast<int>(
      on(u, fd, [&](Descriptor& d, World::Lock& lock, Kernel& kernel) -> Outcome {
        tcp::Endpoint from;
        auto accepted = d.accept(lock, from);
        if (!accepted) return error(accepted.error());
        write_address(from, d.domain(), address, length);
        return kernel.add(std::move(*accepted));
      }));
}
int do_connect(void* u, int fd, const sockaddr* address, socklen_t length) {
  return static_cast<int>(on(u, fd, [&](Descriptor& d, World::Lock& lock, Kernel&) -> Outcome {
    if (address != nullptr && address->sa_family == AF_UNSPEC) return d.disconnect();
    const auto to = read_address(address, length);
    return to ? d.connect(lock, *to) : error(to.error());
  }));
}

ssize_t receive(void* u, int fd, std::span<const iovec> parts, int flags, sockaddr* address,
                socklen_t* length) {
  return on(u, fd, [&](Descriptor& d, World::Lock& lock, Kernel&) -> Outcome {
    if (parts.data() == nullptr && !parts.empty()) return error(EFAULT);
    // Who has nowhere to put it takes nothing; with MSG_TRUNC it is not asked for.
    const bool is_lost = (flags & MSG_TRUNC) == 0 && lead_nowhere(parts);
    tcp::Endpoint from;
    const Outcome got = d.receive(lock, parts, is_lost ? flags | MSG_PEEK : flags, from);
    if (got && *got > 0 && is_lost) return error(EFAULT);
    if (got && address != nullptr) write_address(from, d.domain(), address, length);
    return got;
  });
}
ssize_t do_read(void* u, int fd, void* buffer, size_t count) {
  const iovec part{buffer, count};
  return receive(u, fd, {&part, 1}, 0, nullptr, nullptr);
}
ssize_t do_readv(void* u, int fd, const iovec* parts, int count) {
  if (count < 0) return result_of(error(EINVAL));
  return receive(u, fd, {parts, static_cast<size_t>(count)}, 0, nullptr, nullptr);
}
ssize_t do_recvfrom(void* u, int fd, void* buffer, size_t count, int flags, sockaddr* address,
                    socklen_t* length) {
  const iovec part{buffer, count};
  return receive(u, fd, {&part, 1}, flags, address, length);
}
ssize_t do_recv(void* u, int fd, void* buffer, size_t count, int flags) {
  return do_recvfrom(u, fd, buffer, count, flags, nullptr, nullptr);
}
ssize_t do_recvmsg(void* u, int fd, msghdr* message, int flags) {
  if (message == nullptr) return result_of(error(EFAULT));
  if ((flags & MSG_ERRQUEUE) != 0) return result_of(error(EAGAIN));  // Nothing is queued there.
  socklen_t length = message->msg_namelen;
  auto* address = static_cast<sockaddr*>(message->msg_name);
  const ssize_t got =
      receive(u, fd, {message->msg_iov, message->msg_iovlen}, flags, address, &length);
  message->msg_namelen = address == nullptr ? 0 : length;
  message->msg_controllen = 0;
  message->msg_flags = 0;
  return got;
}

ssize_t transmit(void* u, int fd, std::span<const iovec> parts, int flags, const sockaddr* address,
                 socklen_t length) {
  return on(u, fd, [&](Descriptor& d, World::Lock& lock, Kernel&) -> Outcome {
    if ((parts.data() == nullptr && !parts.empty()) || lead_nowhere(parts)) return error(EFAULT);
    if (address == nullptr) return d.send(lock, parts, flags, nullptr);
    const auto to = read_address(address, length);
    return to ? d.send(lock, parts, flags, &*to) : error(to.error());
  });
}
ssize_t do_sendto(void* u, int fd, const void* buffer, size_t count, int flags,
                  const sockaddr* address, socklen_t length) {
  const iovec part{const_cast<void*>(buffer), count};
  return transmit(u, fd, {&part, 1}, flags, address, length);
}
ssize_t do_send(void* u, int fd, const void* buffer, size_t count, int flags) {
  return do_sendto(u, fd, buffer, count, flags, nullptr, 0);
}
ssize_t do_write(void* u, int fd, const void* buffer, size_t count) {
  return do_sendto(u, fd, buffer, count, 0, nullptr, 0);
}
ssize_t do_writev(void* u, int fd, const iovec* parts, int count) {
  if (count < 0) return result_of(error(EINVAL));
  return transmit(u, fd, {parts, static_cast<size_t>(count)}, 0, nullptr, 0);
}
ssize_t do_sendmsg(void* u, int fd, const msghdr* message, int flags) {
  if (message == nullptr) return result_of(error(EFAULT));
  return transmit(u, fd, {message->msg_iov, message->msg_iovlen}, flags,
                  static_cast<const sockaddr*>(message->msg_name), message->msg_namelen);
}

int do_fcntl(void* u, int fd, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  const int value = va_arg(arguments, int);
  va_end(arguments);
  return static_cast<int>(on(u, fd, [&](Descriptor& d, World::Lock&, Kernel&) -> Outcome {
    switch (command) {
      case F_GETFL: return O_RDWR | (d.nonblocking ? O_NONBLOCK : 0);
      case F_SETFL: d.nonblocking = (value & O_NONBLOCK) != 0; return 0;
      case F_GETFD:
      case F_SETFD: return 0;
      default: return error(EINVAL);
    }
  }));
}
int do_ioctl(void* u, int fd, unsigned long request, ...) {
  va_list arguments;
  va_start(arguments, request);
  void* argument = va_arg(arguments, void*);
  va_end(arguments);
  return static_cast<int>(on(u, fd, [&](Descriptor& d, World::Lock&, Kernel&) -> Outcome {
    return argument == nullptr ? error(EFAULT) : d.control(request, argument);
  }));
}
int do_close(void* u, int fd) {
  return static_cast<int>(
      run(u, [&](Kernel& kernel, World::Lock& lock) { return kernel.close(lock, fd); }));
}
int do_shutdown(void* u, int fd, int how) {
  return static_cast<int>(
      on(u, fd, [&](Descriptor& d, World::Lock&, Kernel&) { return d.shutdown(how); }));
}
int do_getsockopt(void* u, int fd, int level, int name, void* value, socklen_t* length) {
  return static_cast<int>(on(u, fd, [&](Descriptor& d, World::Lock&, Kernel&) -> Outcome {
    if (value == nullptr || length == nullptr) return error(EFAULT);
    const Outcome got = d.get_option(level, name, {static_cast<uint8_t*>(value), *length});
    if (!got) return got;
    *length = static_cast<socklen_t>(*got);
    return 0;
  }));
}
int do_setsockopt(void* u, int fd, int level, int name, const void* value, socklen_t length) {
  return static_cast<int>(on(u, fd, [&](Descriptor& d, World::Lock&, Kernel&) -> Outcome {
    if (value == nullptr) return error(EFAULT);
    return d.set_option(level, name, {static_cast<const uint8_t*>(value), length});
  }));
}
int do_poll(void* u, pollfd* fds, nfds_t count, int timeout_ms) {
  return static_cast<int>(run(u, [&](Kernel& kernel, World::Lock& lock) -> Outcome {
    if (fds == nullptr && count > 0) return error(EFAULT);
    return kernel.poll(lock, {fds, count}, timeout_ms);
  }));
}

int do_netdev_send(void* u, const void* packet, size_t size) {
  return static_cast<int>(run(u, [&](Kernel& kernel, World::Lock&) -> Outcome {
    if (kernel.world().flags().verbose) report("in", {static_cast<const uint8_t*>(packet), size});
    const bool is_ip = kernel.world().wire().deliver({static_cast<const uint8_t*>(packet), size});
    return is_ip ? Outcome(0) : error(EINVAL);
  }));
}
int do_netdev_receive(void* u, void* packet, size_t* size, long long* time_us) {
  World& world = kernel_of(u).world();
  World::Lock lock = world.lock();
  if (!world.advance_to_packet(lock)) {
    // To say "none yet" would be asked again for ever: an empty packet ends the script, with its
    // line.
    std::fprintf(stderr, "libwh-packetdrill: no packet left the stack, and none will within %s\n",
                 to_string(world.flags().patience).c_str());
    *size = 0;
    *time_us = world.loop().now().time_since_epoch() / 1us;
    return 0;
  }
  const Wire::Sent sent = *world.wire().take();
  if (world.flags().verbose) report("out", sent.packet);
  *size = std::min(*size, sent.packet.size());
  std::memcpy(packet, sent.packet.data(), *size);
  *time_us = sent.when.time_since_epoch() / 1us;
  return 0;
}
int do_usleep(void* u, useconds_t us) {
  World& world = kernel_of(u).world();
  World::Lock lock = world.lock();
  world.advance(lock, std::chrono::microseconds(us));
  return 0;
}
int do_gettimeofday(void* u, timeval* now, struct timezone*) {
  World& world = kernel_of(u).world();
  World::Lock lock = world.lock();
  const int64_t us = world.read_clock(lock).time_since_epoch() / 1us;
  now->tv_sec = us / 1'000'000;
  now->tv_usec = us % 1'000'000;
  return 0;
}

int do_epoll_create(void* u, int size) {
  return static_cast<int>(run(u, [&](Kernel& kernel, World::Lock&) -> Outcome {
    if (size <= 0) return error(EINVAL);
    return kernel.add(std::make_shared<EpollSet>(kernel.world()));
  }));
}
int do_epoll_ctl(void* u, int epoll, int operation, int fd, epoll_event* event) {
  return static_cast<int>(on(u, epoll, [&](Descriptor& d, World::Lock&, Kernel& k) -> Outcome {
    auto* set = dynamic_cast<EpollSet*>(&d);
    const auto target = k.find(fd);
    if (set == nullptr || target.get() == set) return error(EINVAL);
    if (target == nullptr) return error(EBADF);
    return set->change(operation, fd, target, event);
  }));
}
int do_epoll_wait(void* u, int epoll, epoll_event* events, int most, int timeout_ms) {
  return static_cast<int>(on(u, epoll, [&](Descriptor& d, World::Lock& lock, Kernel&) -> Outcome {
    auto* set = dynamic_cast<EpollSet*>(&d);
    if (set == nullptr || most <= 0) return error(EINVAL);
    if (events == nullptr) return error(EFAULT);
    return set->wait(lock, {events, static_cast<size_t>(most)}, timeout_ms);
  }));
}
int do_pipe(void* u, int fds[2]) {
  return static_cast<int>(run(u, [&](Kernel& kernel, World::Lock&) -> Outcome {
    const auto shared = std::make_shared<PipeEnd::Shared>();
    const Outcome reader = kernel.add(std::make_shared<PipeEnd>(kernel.world(), shared, true));
    const Outcome writer = kernel.add(std::make_shared<PipeEnd>(kernel.world(), shared, false));
    if (!reader || !writer) return reader ? writer : reader;
    fds[0] = static_cast<int>(*reader);
    fds[1] = static_cast<int>(*writer);
    return 0;
  }));
}
int do_splice(void* u, int from, loff_t* from_at, int to, loff_t* to_at, size_t size,
              unsigned int flags) {
  return static_cast<int>(run(u, [&](Kernel& kernel, World::Lock& lock) -> Outcome {
    if (from_at != nullptr || to_at != nullptr) return error(ESPIPE);
    return kernel.splice(lock, from, to, size, flags);
  }));
}

int led_getsockopt(int fd, int level, int name, void* value, socklen_t* length) {
  bool is_ours = false;
  if (led_to != nullptr) {
    const World::Lock lock = led_to->world().lock();
    is_ours = led_to->find(fd) != nullptr;
  }
  if (is_ours) return do_getsockopt(led_to, fd, level, name, value, length);
  return ::getsockopt(fd, level, name, value, length);
}

}  // namespace

// The table for a kernel. A bad flag ends the program: there is no other way to say it here.
void fill(const char* text, packetdrill_interface* interface) {
  auto flags = parse_flags(text == nullptr ? "" : text);
  if (!flags) {
    std::fprintf(stderr, "libwh-packetdrill: %s\n", flags.error().text.c_str());
    std::exit(2);
  }
  auto kernel = std::make_unique<Kernel>(*flags);
  for (const std::string& setting : flags->sysctls) {
    if (auto set = kernel->world().sysctl().assign(setting); !set) {
      std::fprintf(stderr, "libwh-packetdrill: so_flags: %s\n", set.error().text.c_str());
      std::exit(2);
    }
  }
  led_to = kernel.get();
  lead_getsockopt_to(led_getsockopt);  // Where it cannot be, code blocks see nothing of ours.
  *interface = {kernel.release(),  destroy,       do_socket,       do_bind,         do_listen,
                do_accept,         do_connect,    do_read,         do_readv,        do_recv,
                do_recvfrom,       do_recvmsg,    do_write,        do_writev,       do_send,
                do_sendto,         do_sendmsg,    do_fcntl,        do_ioctl,        do_close,
                do_shutdown,       do_getsockopt, do_setsockopt,   do_poll,         do_netdev_send,
                do_netdev_receive, do_usleep,     do_gettimeofday, do_epoll_create, do_epoll_ctl,
                do_epoll_wait,     do_pipe,       do_splice};
}

}  // namespace wh::packetdrill

extern "C" void packetdrill_interface_init(const char* flags, packetdrill_interface* interface) {
  wh::packetdrill::fill(flags, interface);
}
