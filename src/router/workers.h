// Worker threads: each with a loop, a pool and a router of its own that forwards as the main one is
// set (vnet/replica.h).
//
//   main thread: commands, ARP, neighbours, DHCP, sockets, timers; sends, and reads no packet
//   socket
//      |  what was done, what was learnt: mailbox      ^  packets for the main thread: HandoffRing
//      v                                               |
//   worker: its share of each interface's frames ----> forwards and sends by sockets of its own
//
// A packet socket's frames are spread over the workers by the kernel, by flow, both ways of it to
// one worker, or all of them are one worker's (Placement); a TAP device is read by the main thread,
// and workers send by it through there. A command that sets something is done by the main router
// and then by each worker, between two of its vectors, before the command answers: no table is ever
// written by one thread and read by another, so forwarding never waits for a route, and a worker
// sees it no later than its next vector. What the main router finds out by itself is told in the
// same order.
//
// The main thread may wait for a worker, a worker never for the main thread: what it hands off
// is dropped and counted when the ring is full.
// Ownership: main router, command line and loop outlive the workers. Threads: belongs to the main
// loop's.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "router/command_line.h"
#include "vnet/replica.h"

namespace wh::router {

class Workers final : public Router::Replicas, private vnet::Discoveries {
 public:
  static constexpr uint32_t kMost = 64;
  // Which worker reads a frame of a packet socket: its flow's, which is the same both ways; or its
  // interface's, so that the two ways of one busy flow are on two cores.
  enum class Placement : uint8_t { Flow, Interface };
  struct Options {
    uint32_t count = 1;
    Placement placement = Placement::Flow;
    std::vector<uint32_t> cores = {};  // Where each runs; empty: anywhere.
    uint64_t seed = 0;  // Of what strangers are not to guess.
    graph::CycleCounter cycles = {};
    WallClock wall = {};
    std::string plugin_path = {};
    // A worker's ports, made and used in its thread. Nothing: packet sockets that share a link's
    // frames, and TAP devices left to the main thread.
    std::function<std::unique_ptr<Ports>(uint32_t thread, host::RealLoop&)> ports = {};
  };
  // REQUIRES: nothing was set yet at the main router. Errors: no descriptors left.
  static Result<std::unique_ptr<Workers>> start(Options options, CommandLine& main,
                                                host::RealLoop& loop);
  ~Workers() override;

  size_t size() const { return workers_.size(); }
  void each(const std::function<void(Router&)>& look) override;
  void settle() override;

 private:
  class Worker;
  class QueuePorts;
  Workers(CommandLine& main, host::RealLoop& loop);
  Result<void> repeat(std::span<const Grammar::Match> all);
  void post(std::function<void(Router&)> task);
  void take_over();  // What workers handed off.

  // Discoveries of the main vnet.
  void neighbour(uint16_t interface, const net::IpAddress& address,
                 const std::optional<net::MacAddress>& mac) override;
  void address(uint16_t interface, const net::Prefix& prefix, bool is_there) override;
  void default_router(uint16_t interface, net::Ip4 router, bool is_there) override;

  CommandLine& main_;
  host::RealLoop& loop_;
  std::atomic<bool> is_woken_{false};  // The main loop was told of something handed off.
  std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace wh::router
