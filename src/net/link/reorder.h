// Holds some packets back so that later ones overtake them.
//
// A packet that is held back goes on when `gap` later packets have passed it, or `delay` after it
// came, whichever is first; a gap of 0 leaves it to the delay alone. So with gap=3 a TCP receiver
// sees three segments beyond the missing one, which is a retransmission without loss (RFC 5681
// section 3.2). A packet that would be the kMaxHeld + 1st keeps its place, and that is counted.
#pragma once

#include <deque>

#include "core/loop.h"
#include "net/link/counters.h"
#include "net/link/probability.h"

namespace wh::net {

struct ReorderConfig {
  Probability chance;
  uint32_t gap = 3;
  Duration delay = 10ms;
  bool operator==(const ReorderConfig&) const = default;
};

class Reorder final : public PacketSink {
 public:
  static constexpr uint64_t kMaxHeld = 1024;

  // REQUIRES: the delay is above zero.
  Reorder(ReorderConfig config, Loop& loop, Random random, LinkCounters& counters,
          PacketSink& next);

  void accept(PacketPtr packet) override;
  const Tally& held() const { return held_; }

 private:
  struct Late {
    PacketPtr packet;
    Instant deadline;
    uint64_t leaves_at;  // Goes when passed_ reaches this.
  };
  void release_front();
  void release_overdue();

  ReorderConfig config_;
  Loop& loop_;
  Random random_;
  LinkCounters& counters_;
  PacketSink& next_;
  uint64_t passed_ = 0;    // Packets that were not held back.
  std::deque<Late> late_;  // By deadline, and so by leaves_at too.
  Tally held_;
  Timer overdue_;
};

}  // namespace wh::net
