// Flips one bit of some packets: the damage that a link's own check missed and the Internet
// checksums must find.
//
// The bit is anywhere behind the Ethernet header of an IPv4 or IPv6 packet, each with the same
// chance. Other packets pass as they are: no checksum protects ARP, and a wrong address would sit
// in its cache for minutes. One bit and not more, because every single-bit error is found by a
// checksum that covers it; two may cancel out.
//
// A transport checksum that was still to be made is made first, the payload is made this packet's
// own (its chunks may be another's send buffer), and the packet is marked as unverified.
#pragma once

#include "net/link/counters.h"
#include "net/link/probability.h"

namespace wh::net {

class Corrupt final : public PacketSink {
 public:
  Corrupt(Probability chance, Random random, LinkCounters& counters, PacketSink& next)
      : chance_(chance), random_(random), counters_(counters), next_(next) {}

  void accept(PacketPtr packet) override {
    if (chance_.happens(random_)) flip_a_bit(*packet);
    next_.accept(std::move(packet));
  }

 private:
  void flip_a_bit(Packet& packet);

  Probability chance_;
  Random random_;
  LinkCounters& counters_;
  PacketSink& next_;
};

}  // namespace wh::net
