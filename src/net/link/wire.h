// The end of a direction: what carries packets from the transmitter to the receiving interface.
//
// A transmitter knows when a packet will have left it as soon as it begins to send it, and says so
// then; so a packet costs one event on its way over an idle link, not two.
#pragma once

#include "net/link/counters.h"

namespace wh::net {

class Wire : public PacketSink {
 public:
  // Takes a packet that leaves the transmitter at `left`, which is not before now and not before
  // the one of the packet given last.
  virtual void carry(PacketPtr packet, Instant left) = 0;
  // What is under way, from the beginning of its transmission to its delivery.
  virtual const Tally& held() const = 0;
};

}  // namespace wh::net
