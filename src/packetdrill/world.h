// The world behind the interface: one host in virtual time, and the threads of packetdrill that
// share it.
//
// Time moves only when a thread asks for it: usleep, gettimeofday (a microsecond each, so that a
// spinning reader gets on), and netdev_receive, which runs on to the next packet. A call that a
// script lets block runs on a second thread. It waits here until what it waits for has happened;
// then time stands still until that thread has read the clock, so that a script sees the call
// return at the instant that ended it, however the machine schedules threads.
//
// One lock guards everything; Lock in an argument list says that the caller holds it.
#pragma once

#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <thread>

#include "core/virtual_loop.h"
#include "pacing/hpts.h"
#include "packetdrill/wire.h"
#include "tcp/stack.h"

namespace wh::packetdrill {

// --so_flags: words separated by commas.
struct Flags {
  uint32_t mtu = 1500;
  Duration patience = 3h;            // How long netdev_receive waits for a packet, in virtual time.
  std::vector<std::string> sysctls;  // NAME=VALUE
  bool verbose = false;
};
// Errors: an unknown word, with those that are known; a value that does not parse.
Result<Flags> parse_flags(std::string_view text);

class World {
 public:
  using Lock = std::unique_lock<std::mutex>;

  explicit World(const Flags& flags);

  Lock lock() { return Lock(mutex_); }
  VirtualLoop& loop() { return loop_; }
  vnet::Vnet& vnet() { return vnet_; }
  SysctlTree& sysctl() { return vnet_.sysctl(); }
  tcp::TcpStack& tcp() { return tcp_; }
  Wire& wire() { return wire_; }
  const Flags& flags() const { return flags_; }
  void count_full_udp() { ++full_udp_; }  // A datagram dropped at a full socket.

  void advance(Lock& lock, Duration by);
  // Runs until a packet waits to be taken. False when none came within `patience`, or none can.
  bool advance_to_packet(Lock& lock);
  // The time for gettimeofday. Moves it on, unless the caller comes from a call that blocked.
  Instant read_clock(Lock& lock);
  uint16_t free_port() { return next_port_++; }  // For who listens without having said where.
  // Waits until ready() or the deadline; false at the deadline. On the thread that made the world
  // nobody else moves time, so there it moves it itself.
  bool block(Lock& lock, const std::function<bool()>& ready, Instant deadline = kNever);

 private:
  struct Waiter {
    const std::function<bool()>& ready;
    Instant deadline;
    std::thread::id thread;
    bool is_released = false;
  };
  void step_to(Lock& lock, Instant target);
  void release_ready(Lock& lock);

  Flags flags_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::thread::id owner_ = std::this_thread::get_id();
  std::list<Waiter> waiters_;
  uint16_t next_port_ = 49152;  // RFC 6335 section 6
  uint64_t full_udp_ = 0;
  std::thread::id returning_{};  // A released thread that has not read the clock yet.

  VirtualLoop loop_;
  net::PacketPool pool_;
  vnet::Vnet vnet_;
  pacing::HptsBooks books_;
  pacing::Hpts wheel_;
  tcp::TcpStack tcp_;
  Wire wire_;
};

}  // namespace wh::packetdrill
