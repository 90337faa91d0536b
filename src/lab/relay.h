// One connection of ours and one socket of the kernel's, joined: what comes out of either goes into
// the other.
//
//   program <--(kernel's socket)--> Relay <--(Connection: our TCP, paced)--> network
//
// Both ways are held back by the slower side: a chunk that one side does not take is kept, and
// nothing more is read from the other until it is gone. So a relay holds at most one chunk each way
// beside the buffers of the two sockets. An end of stream is passed on as one, a reset as one.
#pragma once

#include <functional>
#include <memory>

#include "host/stream_socket.h"
#include "net/chunk_pool.h"
#include "tcp/connection.h"

namespace wh::lab {

class Relay final : private tcp::ConnectionObserver, private host::StreamSocket::Observer {
 public:
  struct Outcome {
    uint64_t to_network = 0, to_program = 0;  // Bytes.
    tcp::Endpoint remote;
    tcp::Info info;                 // Of our connection, when the relay left it.
    tcp::End end = tcp::End::None;  // Normal: both directions ended.
  };
  // `finished` is called once, when nothing more will pass; it may destroy the relay.
  using Finished = std::function<void(Relay&)>;
  Relay(net::ChunkPool& pool, Finished finished) : pool_(pool), finished_(std::move(finished)) {}
  ~Relay() override;
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  tcp::ConnectionObserver& observer() { return *this; }
  host::StreamSocket::Observer& socket_observer() { return *this; }
  // Both are the relay's from now on. Called once.
  void join(tcp::Connection& connection, std::unique_ptr<host::StreamSocket> socket);
  // As it stands, or as it ended.
  Outcome outcome() const;

 private:
  void on_ready(tcp::Connection& connection, uint8_t readiness) override;
  void on_readable() override { to_network(); }
  void on_writable() override { to_program(); }
  void to_network();
  void to_program();
  void settle();
  void fail();
  tcp::Connection& leave(tcp::End end);

  net::ChunkPool& pool_;
  Finished finished_;
  tcp::Connection* connection_ = nullptr;
  std::unique_ptr<host::StreamSocket> socket_;
  net::Slice for_network_, for_program_;  // Not yet taken by the other side.
  bool program_ended_ = false, network_ended_ = false;
  Outcome outcome_;
};

}  // namespace wh::lab
