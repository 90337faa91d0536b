// Who keeps packets for later. When an interface or VRF goes, what refers to it must not come up
// again: its number may be another's then.
#pragma once

#include <functional>

#include "net/packet.h"

namespace wh::vnet {

class PacketHolder {
 public:
  virtual ~PacketHolder() = default;
  // Ends the packets that it keeps, of those that `which` names; counted as its own.
  virtual void drop_held(const std::function<bool(const net::Packet&)>& which) = 0;
};

}  // namespace wh::vnet
