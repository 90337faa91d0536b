// What a file descriptor of the interface can be: a TCP socket, a UDP socket, an epoll set, an end
// of a pipe. Calls answer with a value or an errno of Linux; which of them a descriptor lacks is
// answered here, once.
//
// A descriptor says what it is ready for in poll(2)'s bits, and counts its news, from which an
// edge-triggered epoll knows an edge.
#pragma once

#include <cerrno>
#include <cstdint>
#include <memory>
#include <span>
#include <tl/expected.hpp>

#include "net/address.h"
#include "packetdrill/interface.h"
#include "packetdrill/world.h"
#include "tcp/types.h"

namespace wh::packetdrill {

using Outcome = tl::expected<int64_t, int>;  // Or an errno.
inline tl::unexpected<int> error(int number) {
  return tl::unexpected<int>(number);
}

// A socket address, as Linux lays it out. An IPv4 address in an IPv6 socket is a mapped one.
tl::expected<tcp::Endpoint, int> read_address(const sockaddr* address, socklen_t length);
void write_address(const tcp::Endpoint& from, int domain, sockaddr* address, socklen_t* length);

class Descriptor {
 public:
  explicit Descriptor(World& world) : world_(world) {}
  virtual ~Descriptor() = default;
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  virtual uint32_t ready() const = 0;  // POLLIN and the others.
  uint64_t news() const { return news_; }

  virtual Outcome bind(const tcp::Endpoint&) { return error(ENOTSOCK); }
  virtual Outcome listen(World::Lock&, int) { return error(ENOTSOCK); }
  virtual tl::expected<std::shared_ptr<Descriptor>, int> accept(World::Lock&, tcp::Endpoint&) {
    return error(ENOTSOCK);
  }
  virtual Outcome connect(World::Lock&, const tcp::Endpoint&) { return error(ENOTSOCK); }
  virtual Outcome disconnect() { return error(ENOTSOCK); }
  // `from` is filled where the descriptor knows a sender.
  virtual Outcome receive(World::Lock&, std::span<const iovec>, int, tcp::Endpoint&) {
    return error(EBADF);
  }
  virtual Outcome send(World::Lock&, std::span<const iovec>, int, const tcp::Endpoint*) {
    return error(EBADF);
  }
  virtual Outcome shutdown(int) { return error(ENOTSOCK); }
  virtual Outcome get_option(int, int, std::span<uint8_t>) { return error(ENOTSOCK); }
  virtual Outcome set_option(int, int, std::span<const uint8_t>) { return error(ENOTSOCK); }
  virtual Outcome control(unsigned long, void*) { return error(ENOTTY); }
  virtual Outcome close(World::Lock&) { return 0; }
  virtual int domain() const { return 0; }

  bool nonblocking = false;

 protected:
  World& world_;
  uint64_t news_ = 1;
};

// Total bytes of a list of buffers, and a copy between it and a run of bytes at an offset.
size_t size_of(std::span<const iovec> parts);
bool lead_nowhere(std::span<const iovec> parts);  // A part that has bytes has no address.
void scatter(std::span<const uint8_t> bytes, std::span<const iovec> parts);
std::vector<uint8_t> gather(std::span<const iovec> parts);

}  // namespace wh::packetdrill
