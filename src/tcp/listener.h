// A port that takes connections: a bounded backlog of handshakes and of connections nobody has
// accepted yet.
//
//   SYN -> SYN-RECEIVED (half_open) -> ESTABLISHED (waiting for accept()) -> the application's
//
// When the backlog is full a SYN is answered with a cookie (cookies.h), so that a flood costs no
// memory; a valid cookie becomes a connection when there is room. Without cookies the SYN is
// dropped and counted. Ownership: belongs to the stack; close() gives it up and resets what nobody
// accepted.
#pragma once

#include <functional>

#include "core/intrusive_list.h"
#include "tcp/connection.h"

namespace wh::tcp {

class Listener {
 public:
  struct Config {
    // An unspecified address takes connections to any of the host's, kEveryTable those in any.
    Endpoint local;
    bool takes_ipv4 = false;  // An unspecified IPv6 address takes IPv4's too (IPV6_V6ONLY off).
    size_t backlog = 128;     // kern.ipc.soacceptqueue
    std::string congestion;   // Of accepted connections; "" for the stack's default.
    // Called for each connection as it is made, before its SYN is answered: to set options.
    std::function<void(Connection&)> on_create = {};
    // Called when accept() has something, at the end of the batch in which it came.
    std::function<void()> on_ready = {};
  };

  Listener(TcpStack& stack, Config config) : stack_(stack), config_(std::move(config)) {}
  ~Listener();

  // The connection that has waited longest; null when none does. It is the caller's to close.
  Connection* accept();
  void close();

  const Endpoint& local() const { return config_.local; }
  const Config& config() const { return config_; }
  size_t half_open() const { return half_open_count_; }
  size_t waiting() const { return waiting_count_; }
  // Connections that waited and ended before they were accepted, and nobody has been told.
  size_t aborted() const { return aborted_count_; }
  bool take_aborted() { return aborted_count_ > 0 && aborted_count_-- > 0; }

 private:
  friend class TcpStack;
  friend class Connection;

  bool has_room() const { return half_open_count_ + waiting_count_ < config_.backlog; }
  void add_half_open(Connection& c);
  void on_established(Connection& c);  // Moves it to those waiting.
  void forget(Connection& c);          // It ended before it was accepted.

  TcpStack& stack_;
  Config config_;
  IntrusiveList<Connection, &Connection::in_backlog_> half_open_, waiting_;
  size_t half_open_count_ = 0, waiting_count_ = 0, aborted_count_ = 0;
  ListLink in_ready_;
};

}  // namespace wh::tcp
