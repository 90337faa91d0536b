// Stream sockets of the Linux kernel on a real loop, one connection each.
//
//   auto listener = TRY(Listener::open_loopback(port, loop, [&](Fd accepted) { ... }));
//   auto socket = TRY(StreamSocket::adopt(loop, std::move(accepted), observer));
//
// Nothing blocks: a read or write that the kernel has nothing for says so, and the observer hears
// when it has. Interest in reading and writing is the caller's to switch, which is how a full
// buffer on one side holds back the other.
#pragma once

#include <memory>
#include <span>

#include "core/result.h"
#include "host/fd.h"
#include "host/real_loop.h"
#include "net/address.h"

namespace wh::host {

class StreamSocket {
 public:
  class Observer {
   public:
    virtual ~Observer() = default;
    virtual void on_readable() = 0;
    virtual void on_writable() = 0;  // Also: the connection that was begun is there.
  };
  enum class Io : uint8_t { Done, Blocked, End, Failed };
  struct Moved {
    Io io;
    size_t bytes = 0;
  };

  // Takes an accepted socket.
  static Result<std::unique_ptr<StreamSocket>> adopt(RealLoop& loop, Fd fd, Observer& observer);
  // Begins to connect. A refusal shows as Failed at the first read or write.
  static Result<std::unique_ptr<StreamSocket>> connect(RealLoop& loop,
                                                       const net::IpAddress& address, uint16_t port,
                                                       Observer& observer);

  Moved read(std::span<uint8_t> into);
  Moved write(std::span<const uint8_t> bytes);
  void want(Interest interest) { watch_.set_interest(interest); }
  Interest wanted() const { return watch_.interest(); }
  void shut_down_writing();
  void reset();  // The connection ends with a RST when this goes.

 private:
  StreamSocket(RealLoop& loop, Fd fd, Observer& observer);
  Fd fd_;
  FdWatch watch_;
};

}  // namespace wh::host
