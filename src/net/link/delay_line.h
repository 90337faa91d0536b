// Propagation: what goes in comes out later, in the order in which it went in.
//
// A packet is due `delay` after it left the transmitter, and with jitter up to `jitter` later still
// (drawn evenly from whole nanoseconds), but never before its predecessor. One timer waits for the
// oldest packet. All that is due at one instant is handed on as one frame (of at most
// Frame::kCapacity). With no delay at all this is a wire through the loop: whoever sends has
// returned before the other side receives.
//
// It is the last stage of a direction and counts what was delivered. Bounded: with `limit` packets
// under way the next is dropped and counted. For jitter that lets packets overtake each other see
// scatter_line.h.
#pragma once

#include "core/loop.h"
#include "core/random.h"
#include "net/link/packet_fifo.h"
#include "net/link/wire.h"

namespace wh::net {

struct DelayConfig {
  Duration delay{};
  Duration jitter{};
  uint64_t limit = 1'000'000;  // Packets under way.
};

class DelayLine final : public Wire {
 public:
  // REQUIRES: delay and jitter are not negative.
  DelayLine(DelayConfig config, Loop& loop, Random random, LinkCounters& counters, FrameSink& out);

  void accept(PacketPtr packet) override { carry(std::move(packet), loop_.now()); }
  void carry(PacketPtr packet, Instant left) override;
  const Tally& held() const override { return fifo_.held(); }

 private:
  void deliver();

  DelayConfig config_;
  Loop& loop_;
  Random random_;
  LinkCounters& counters_;
  FrameSink& out_;
  Instant latest_{};  // When the youngest packet is due.
  PacketFifo fifo_;
  Timer due_;
};

}  // namespace wh::net
