// Where the network interfaces of drivers (dev/network.h) are plugged in: a vnet, or Linux.
//
//   program -- write(/dev/tap0) --> tap driver -- Port::receive --> vnet's graph, or Linux's stack
//           <-- read --------------            <-- Transmit ------
//
// Threads: a vnet's belongs to its loop, and so do its drivers' calls; Linux's frames come on a
// thread of the port's own.
#pragma once

#include <string>

#include "dev/network.h"
#include "vnet/vnet.h"

namespace wh::lab {

// Interfaces of a vnet, which outlives them. An interface is up when it comes; its addresses are
// for who asks for them.
class VnetNetwork final : public dev::Network {
 public:
  explicit VnetNetwork(vnet::Vnet& vnet) : vnet_(vnet) {}
  Result<std::unique_ptr<Port>> plug(const Options& options, Transmit transmit) override;

 private:
  vnet::Vnet& vnet_;
};

// TAP interfaces of the Linux this runs on, in the process' network namespace: down when they come,
// as tap(4)'s are. Errors: no /dev/net/tun, no right to it, the name is taken.
class LinuxNetwork final : public dev::Network {
 public:
  Result<std::unique_ptr<Port>> plug(const Options& options, Transmit transmit) override;
};

}  // namespace wh::lab
