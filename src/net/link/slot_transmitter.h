// A slotted link: everything waits for the next time slot and then leaves at once.
//
// Slots are every `period` from the link's beginning on. What was queued before a slot leaves at
// it, all at one instant, so the far end receives it as one frame: acknowledgments that were spread
// out arrive as a burst ("Pacing in the FreeBSD TCP Stack", FreeBSD Journal, September 2024). A
// packet that comes at the very instant of a slot waits for the next one.
//
//   arrivals   a  b   c        d             e f
//   slots    |---------|---------|---------|---------|
//   leaves            abc        d                  ef
//
// With a finite rate a slot grants rate * period. Packets leave while any of the grant is left;
// what the last one takes beyond it, and what is left of it while more waits, is carried to the
// next slot, so a full link delivers its rate, also where the loop comes late to its slots. A grant
// that found the queue empty is lost.
#pragma once

#include "net/link/capacity.h"
#include "net/link/transmitter.h"

namespace wh::net {

class SlotTransmitter final : public Transmitter {
 public:
  // REQUIRES: period above zero, rate not zero.
  SlotTransmitter(Duration period, Rate rate, Loop& loop, std::unique_ptr<Queue> queue,
                  LinkCounters& counters, Wire& wire);

  void accept(PacketPtr packet) override;
  void set_up(bool up) override;
  bool is_up() const override { return up_; }
  void set_rate(Rate rate) override;
  double capacity_bytes() const override { return capacity_.bytes(loop_.now()); }

 private:
  void release();
  void grant();
  void arm();

  Duration period_;
  Rate rate_;
  Capacity capacity_;
  Instant origin_;
  int64_t last_slot_ = 0;  // Number of the last slot for which release() ran,
  int64_t due_slot_ = 0;   // and of the one for which it is to run.
  Int128 credit_ = 0;      // What may still leave: bits times 10^9. Negative: what left in advance.
  bool up_ = true;
  bool ran_empty_ = true;
  Timer slot_;
};

}  // namespace wh::net
