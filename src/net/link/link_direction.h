// One direction of a link: a chain of small stages, each a PacketSink that wraps the next.
//
//   accept(frame)
//      |
//      v
//   [ge] -> [loss] -> [duplicate] -> [corrupt] -> [reorder] -> queue, transmitter -> wire -> out
//
// Stages in brackets exist only when they are asked for. What damages packets comes before the
// queue, as in dummynet(4) and tc-netem(8): a lost packet takes no capacity, a duplicate takes its
// own.
//
// The stages draw from streams of their own, forked by name from the direction's random numbers, so
// switching one on does not change what the others do.
//
// Ownership: owns its stages and every packet in them; loop, pool and `out` must outlive it.
// Belongs to its loop. Invariant: accepted + duplicated = delivered + dropped + held, in packets
// and in bytes (check_conservation).
#pragma once

#include <memory>
#include <vector>

#include "net/link/link_config.h"
#include "net/link/transmitter.h"

namespace wh::net {

class LinkDirection final : public FrameSink {
 public:
  // REQUIRES: the configuration is valid and its trace, if any, is loaded.
  LinkDirection(const DirectionConfig& config, Loop& loop, PacketPool& pool, const Random& random,
                FrameSink& out);

  void accept(Frame&& frame) override;

  // The rate from now on, for what waits too; a buffer that is a time keeps its time. Nothing on a
  // trace. REQUIRES: not zero.
  void set_rate(Rate rate);
  // Down, it sends nothing: what comes waits in the queue, which drops by its own rule. The packet
  // that is being sent and those under way arrive. Up again, it goes on with what waits.
  void set_up(bool up) { transmitter_->set_up(up); }
  bool is_up() const { return transmitter_->is_up(); }

  const DirectionConfig& config() const { return config_; }
  const LinkCounters& counters() const { return counters_; }
  // Waiting in the queue.
  const Tally& queued() const { return transmitter_->queue().held(); }
  // Elsewhere: held back so that others pass, being sent, or on the wire.
  Tally in_transit() const;
  // What left the transmitter since the beginning, and what could have.
  double sent_bytes() const { return transmitter_->sent_bytes(); }
  double capacity_bytes() const { return transmitter_->capacity_bytes(); }

  // Counts anew what the stages hold and compares. An error here is a bug in a stage.
  Result<void> check_conservation() const;

 private:
  Wire& build_wire(Loop& loop, const Random& random, FrameSink& out);
  Transmitter& build_transmitter(Loop& loop, const Random& random, Wire& wire);
  PacketSink& build_impairments(Loop& loop, PacketPool& pool, const Random& random,
                                PacketSink& next);
  std::unique_ptr<Queue> make_queue(const Random& random);
  template <class Stage, class... Args>
  Stage& add(Args&&... args);

  DirectionConfig config_;
  LinkCounters counters_;
  std::vector<std::unique_ptr<PacketSink>> stages_;  // Last first.
  Wire* wire_ = nullptr;
  Transmitter* transmitter_ = nullptr;
  const Reorder* reorder_ = nullptr;  // Null when packets keep their order.
  PacketSink* first_ = nullptr;
};

}  // namespace wh::net
