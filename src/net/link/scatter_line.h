// Propagation with jitter in which packets overtake each other: each is due at its own time,
// whatever the others'.
//
// As delay_line.h, but due times are drawn independently, so the packets wait in a heap by (due,
// arrival) with one timer for the first.
#pragma once

#include <vector>

#include "net/link/delay_line.h"

namespace wh::net {

class ScatterLine final : public Wire {
 public:
  // REQUIRES: delay and jitter are not negative.
  ScatterLine(DelayConfig config, Loop& loop, Random random, LinkCounters& counters,
              FrameSink& out);
  ~ScatterLine() override;

  void accept(PacketPtr packet) override { carry(std::move(packet), loop_.now()); }
  void carry(PacketPtr packet, Instant left) override;
  const Tally& held() const override { return held_; }

 private:
  struct Entry {
    uint64_t arrival;  // Their order of arrival, for equal times.
    Packet* packet;    // Owned.
  };
  static bool is_later(const Entry& a, const Entry& b);
  void deliver();

  DelayConfig config_;
  Loop& loop_;
  Random random_;
  LinkCounters& counters_;
  FrameSink& out_;
  std::vector<Entry> heap_;
  uint64_t arrivals_ = 0;
  Tally held_;
  Timer due_;
};

}  // namespace wh::net
