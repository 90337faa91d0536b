// Sends some packets twice, the copy right behind the original. The copy shares the payload.
#pragma once

#include "net/link/counters.h"
#include "net/link/probability.h"

namespace wh::net {

class Duplicate final : public PacketSink {
 public:
  // Copies come from `pool`; when it has none left the packet passes alone, and that is counted.
  Duplicate(Probability chance, PacketPool& pool, Random random, LinkCounters& counters,
            PacketSink& next)
      : chance_(chance), pool_(pool), random_(random), counters_(counters), next_(next) {}

  void accept(PacketPtr packet) override {
    PacketPtr copy;
    if (chance_.happens(random_)) {
      copy = pool_.clone(*packet);
      if (copy != nullptr) {
        counters_.duplicated.add(copy->size());
      } else {
        ++counters_.duplicate_failed;
      }
    }
    next_.accept(std::move(packet));
    if (copy != nullptr) next_.accept(std::move(copy));
  }

 private:
  Probability chance_;
  PacketPool& pool_;
  Random random_;
  LinkCounters& counters_;
  PacketSink& next_;
};

}  // namespace wh::net
