// A host of the lab: a vnet, its TCP, and the HPTS wheel between them, on one loop.
#pragma once

#include <string>

#include "core/loop.h"
#include "core/random.h"
#include "core/sysctl.h"
#include "net/packet.h"
#include "pacing/hpts.h"
#include "tcp/stack.h"
#include "vnet/vnet.h"

namespace wh::lab {

class Host {
 public:
  // Socket buffers are of size `buffer`: experiments are about the path, so that is large. Loop and
  // pool must outlive it.
  Host(Loop& loop, net::PacketPool& pool, std::string name, const Random& random,
       Bytes buffer = 64_MiB);

  const std::string& name() const { return name_; }
  vnet::Vnet& vnet() { return vnet_; }
  tcp::TcpStack& tcp() { return tcp_; }
  SysctlTree& sysctl() { return vnet_.sysctl(); }

 private:
  std::string name_;
  vnet::Vnet vnet_;
  pacing::HptsBooks books_;
  pacing::Hpts wheel_;
  tcp::TcpStack tcp_;
};

}  // namespace wh::lab
