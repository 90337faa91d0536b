// ifnet(9), as far as a driver of a network interface needs it, and what such interfaces are
// plugged into.
//
//   driver --- if_input(frame) --->  Interfaces  --- Port::receive ---> a stack: a vnet, or Linux's
//   driver <-- if_transmit(frame) -- Interfaces  <-- Transmit --------- what the stack sends
//
// This room knows neither stack: whoever makes a Kernel gives it a Network (lab/device_network.h).
// Without one a driver's interface is a port without a cable: nothing arrives, and what it receives
// is dropped. Frames are Ethernet's, without a checksum.
//
// Threads: those of the kernel's machine; a port's frames come one at a time.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "core/result.h"
#include "dev/locks.h"
#include "dev/reports.h"

namespace wh::dev {

class Network {
 public:
  using Frame = std::span<const std::byte>;
  using Transmit = std::function<void(Frame)>;

  // An interface of the stack. Destroying it takes it away, and waits for a Transmit in progress.
  class Port {
   public:
    virtual ~Port() = default;
    virtual void receive(Frame frame) = 0;  // A frame has arrived at the interface.
  };
  struct Options {
    std::string name;  // "tap0"
    std::array<uint8_t, 6> mac;
  };

  virtual ~Network() = default;
  // `transmit` gets each frame that the stack sends. Errors: the name is taken; the stack's.
  virtual Result<std::unique_ptr<Port>> plug(const Options& options, Transmit transmit) = 0;
};

class Interfaces {
 public:
  // `network` may be null.
  Interfaces(Machine& machine, Locks& locks, Reports& reports, Network* network)
      : machine_(machine), locks_(locks), reports_(reports), network_(network) {}

  // ether_ifattach(9): returns 0 or an errno, and prints why.
  int attach(::ifnet& ifp, const uint8_t* mac);
  // ether_ifdetach(9): after it if_transmit is not called.
  void detach(::ifnet& ifp);
  void input(::ifnet& ifp, Network::Frame frame);
  // Takes away what a driver whose code lies in [begin, end) left behind; returns how many.
  size_t sweep(const void* begin, const void* end);

 private:
  void transmit(::ifnet& ifp, Network::Frame frame);

  Machine& machine_;
  Locks& locks_;
  Reports& reports_;
  Network* const network_;
  struct Plugged {
    std::shared_ptr<Network::Port> port;  // Shared with an input in progress.
    const void* code;                     // if_transmit, as an address: whose interface it is.
  };
  std::map<::ifnet*, Plugged> ports_;  // Under the machine's lock.
};

}  // namespace wh::dev
