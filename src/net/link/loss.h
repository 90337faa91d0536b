// Each packet is lost with the same chance, independently of the others.
#pragma once

#include "net/link/counters.h"
#include "net/link/probability.h"

namespace wh::net {

class Loss final : public PacketSink {
 public:
  Loss(Probability chance, Random random, LinkCounters& counters, PacketSink& next)
      : chance_(chance), random_(random), counters_(counters), next_(next) {}

  void accept(PacketPtr packet) override {
    if (chance_.happens(random_)) {
      counters_.drop(DropReason::Loss, *packet);
      return;
    }
    next_.accept(std::move(packet));
  }

 private:
  Probability chance_;
  Random random_;
  LinkCounters& counters_;
  PacketSink& next_;
};

}  // namespace wh::net
