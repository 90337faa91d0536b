// A transmitter of a fixed rate: a packet starts when its predecessor has left, and occupies it for
// size / rate.
//
// The time at which a packet has left is kept exactly, as a whole number of nanoseconds and a
// fraction whose denominator is the rate; only the event is rounded, up to the next nanosecond. So
// no rounding error gathers over a busy period: after n bytes of it exactly n * 8 / rate seconds
// have passed, rounded up once.
//
//   40 Mbps, three frames of 1514 bytes at t: they leave at t + 302,800, t + 605,600 and
//   t + 908,400 ns.
//
// The timer is armed only while something waits: what finds the transmitter free starts at once,
// and is the wire's from then on. A rate counts Ethernet frames without preamble and frame check:
// Packet::size(). At an infinite rate a packet leaves as it comes.
#pragma once

#include "net/link/capacity.h"
#include "net/link/transmitter.h"

namespace wh::net {

class RateTransmitter final : public Transmitter {
 public:
  // REQUIRES: rate is not zero.
  RateTransmitter(Rate rate, Loop& loop, std::unique_ptr<Queue> queue, LinkCounters& counters,
                  Wire& wire);

  void accept(PacketPtr packet) override {
    enqueue(std::move(packet));
    if (!free_.is_armed()) serve();
  }
  void set_up(bool up) override;
  bool is_up() const override { return up_; }
  void set_rate(Rate rate) override;
  double capacity_bytes() const override { return capacity_.bytes(loop_.now()); }
  double sent_bytes() const override;

 private:
  void serve();
  void send(PacketPtr packet);
  void advance(Uint128 bit_ns);
  Instant rounded_up() const { return fraction_ == 0 ? free_at_ : free_at_ + 1ns; }

  Rate rate_;
  Capacity capacity_;
  bool up_ = true;
  Instant free_at_;        // When the last packet given to the transmitter has left it:
  uint64_t fraction_ = 0;  // free_at_ + fraction_ / rate_ ns.
  Timer free_;             // Armed for that time while packets wait.
};

}  // namespace wh::net
