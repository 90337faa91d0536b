// Byte streams between this process and others: a listener on a Unix socket or on loopback, and
// the connections it accepts.
//
//   auto listener = TRY(Listener::open_unix("/run/wh.sock", loop, [&](Fd fd) { ... }));
//   Stream stream(std::move(fd), loop, {.on_bytes = ..., .on_close = ...}, "client");
//
// What cannot be written at once waits, at most Stream::kMostQueued bytes: a reader that lets more
// pile up is disconnected. Nothing here blocks.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/result.h"
#include "host/acceptor.h"
#include "host/fd.h"
#include "host/real_loop.h"
#include "net/address.h"

namespace wh::host {

class Stream {
 public:
  static constexpr size_t kMostQueued = 64 << 20;
  struct Actions {
    std::function<void(std::string_view bytes)> on_bytes;
    // The other end closed, or the stream broke. May destroy the stream.
    std::function<void()> on_close;
  };
  Stream(Fd fd, RealLoop& loop, Actions actions, std::string name);
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream();

  // REQUIRES: the descriptor can be polled. Errors: the loop has no room for it.
  Result<void> start();
  void write(std::string_view bytes);  // Nothing once it is closed.
  // Ends it once everything queued has been written; on_close is called then.
  void close_when_written();
  // Whether bytes are taken in; what comes meanwhile waits at the sender.
  void set_reading(bool reading);
  bool is_open() const { return watch_.is_watching(); }
  size_t queued() const { return queue_.size() - sent_; }  // Bytes that wait.

 private:
  Progress read();
  Progress flush();
  void update_interest();
  void end();
  ssize_t send();

  Fd fd_;
  Actions actions_;
  std::string queue_;
  size_t sent_ = 0;  // Of queue_, which is not moved up for each part that goes.
  bool is_ending_ = false, is_reading_ = true;
  FdWatch watch_;
};

class Listener {
 public:
  // At a path in the file system, which it removes again. A socket that nobody listens on any more
  // is replaced. Errors: somebody listens there, the path is too long or cannot be made.
  static Result<std::unique_ptr<Listener>> open_unix(const std::string& path, RealLoop& loop,
                                                     std::function<void(Fd)> on_accept);
  // On 127.0.0.1 or [::1]; port 0 chooses one. Errors: the port is taken; address_not_available or
  // address_family_not_supported where the machine has no such family.
  static Result<std::unique_ptr<Listener>> open_loopback(uint16_t port, RealLoop& loop,
                                                         std::function<void(Fd)> on_accept,
                                                         net::Family family = net::Family::V4);
  ~Listener();
  uint16_t port() const { return port_; }  // Of a loopback listener.

 private:
  Listener(Fd fd, std::string path, uint16_t port, RealLoop& loop,
           std::function<void(Fd)> on_accept);
  std::string path_;
  uint16_t port_;
  Acceptor acceptor_;
};

// Connects to a Unix socket; the descriptor blocks. Errors: nobody listens there.
Result<Fd> connect_unix(const std::string& path);

}  // namespace wh::host
