// A cable: two interfaces joined directly, as epair(4) joins them. What one sends the other
// receives.
//
// It takes no time, but every packet goes through the loop: the receiver runs after the sender has
// returned, and what was sent at one instant arrives as one frame (of up to Frame::kCapacity), in
// order. Each way holds up to `limit` packets; more are dropped and counted.
//
// Ownership: owns interfaces and the packets in it; the loop must outlive it.
#pragma once

#include "net/link/delay_line.h"
#include "net/link/link.h"

namespace wh::net {

class Cable {
 public:
  static constexpr uint64_t kLimit = 10'000;  // Packets.

  Cable(Interface::Config a, Interface::Config b, Loop& loop, uint64_t limit = kLimit)
      : a_(std::move(a), loop),
        b_(std::move(b), loop),
        forward_(limit, loop, b_),
        reverse_(limit, loop, a_) {
    a_.connect(forward_);
    b_.connect(reverse_);
  }

  Interface& a() { return a_; }
  Interface& b() { return b_; }
  const LinkCounters& forward() const { return forward_.counters; }
  const LinkCounters& reverse() const { return reverse_.counters; }

 private:
  struct Way final : FrameSink {
    Way(uint64_t limit, Loop& loop, FrameSink& out)
        : line({.limit = limit}, loop, Random(0), counters, out) {}
    void accept(Frame&& frame) override {
      for (Packet* p : frame.release()) {
        PacketPtr packet(p);
        counters.accepted.add(packet->size());
        line.accept(std::move(packet));
      }
    }
    LinkCounters counters;
    DelayLine line;
  };

  LinkPort a_, b_;
  Way forward_, reverse_;
};

}  // namespace wh::net
