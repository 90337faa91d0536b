// Loss in bursts: a channel that is good or bad, and changes between packets (Gilbert 1960, Elliott
// 1963).
//
//            go_bad
//       .------------>.
//     good            bad        a packet is lost with loss_good or loss_bad, by the state that it
//     meets
//       '<------------'
//            go_good
//
// The channel begins good and takes one step before each packet. In the long run it is bad for
// go_bad / (go_bad + go_good) of the packets, 1 / go_good of them in a row on average.
#pragma once

#include "net/link/counters.h"
#include "net/link/probability.h"

namespace wh::net {

struct GilbertElliottConfig {
  Probability go_bad;
  Probability go_good;
  Probability loss_bad = Probability::percent(100);
  Probability loss_good;
  bool operator==(const GilbertElliottConfig&) const = default;
};

class GilbertElliott final : public PacketSink {
 public:
  GilbertElliott(GilbertElliottConfig config, Random random, LinkCounters& counters,
                 PacketSink& next)
      : config_(config), random_(random), counters_(counters), next_(next) {}

  void accept(PacketPtr packet) override {
    if ((bad_ ? config_.go_good : config_.go_bad).happens(random_)) bad_ = !bad_;
    if ((bad_ ? config_.loss_bad : config_.loss_good).happens(random_)) {
      counters_.drop(DropReason::GilbertElliott, *packet);
      return;
    }
    next_.accept(std::move(packet));
  }
  bool is_bad() const { return bad_; }

 private:
  GilbertElliottConfig config_;
  Random random_;
  LinkCounters& counters_;
  PacketSink& next_;
  bool bad_ = false;
};

}  // namespace wh::net
