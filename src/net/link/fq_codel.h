// FQ-CoDel: a queue for each flow, served in turn, each under CoDel (RFC 8290).
//
//             hash
//   packet ----------> queue i     new flows:  [ D ]                     served first,
//                                  old flows:  [ A ] -> [ B ] -> [ C ]   then these;
//
//   a flow that has sent its quantum goes to the end of the old ones.
//
// A flow is its addresses, protocol and ports, hashed with a salt; what is not IP is one flow. A
// queue that becomes busy joins the new flows, which are served before the old ones: a flow that
// sends less than its share finds no queue. A new flow that runs empty passes through the old ones
// once, so that it cannot stay new.
//
// When the limit is exceeded, packets are dropped from the head of the queue that holds the most
// bytes, up to half of it and at most kDropBatch at a time (RFC 8290 section 4.1). Which it is, a
// tournament tells: a queue that has changed plays its way up a tree of winners again, but only
// once somebody asks, so that a link that never fills pays nothing for it and a full one no search.
#pragma once

#include <vector>

#include "core/intrusive_list.h"
#include "core/random.h"
#include "net/link/codel.h"

namespace wh::net {

struct FqCodelConfig {
  CodelConfig codel;
  Bytes quantum = kFullFrame;  // RFC 8290 section 5.2.4
  uint32_t flows = 1024;       // RFC 8290 section 5.2.6
  bool operator==(const FqCodelConfig&) const = default;
};

class FqCodel final : public Queue {
 public:
  static constexpr uint32_t kDropBatch = 64;
  // REQUIRES: at least one flow and one byte of quantum. Draws the salt from `random`.
  FqCodel(FqCodelConfig config, QueueLimit limit, Random random, LinkCounters& counters);

  void enqueue(PacketPtr packet) override;
  PacketPtr dequeue(Instant now) override;
  void set_limit(const QueueLimit& limit) override { limit_ = limit; }
  // Which queue the packet would join.
  uint32_t flow_of(const Packet& packet) const;

 private:
  struct Flow {
    PacketFifo fifo;
    CodelControl control;
    int64_t credits = 0;      // Bytes; RFC 8290 section 4.2.
    ListLink turn;            // On the new or the old flows, or idle.
    bool is_changed = false;  // What it holds, since the tournament.
  };
  using Turns = IntrusiveList<Flow, &Flow::turn>;
  void note_change(Flow& flow);
  uint32_t fatter(uint32_t a, uint32_t b) const;
  Flow& fattest();
  void drop_from_fattest();

  FqCodelConfig config_;
  QueueLimit limit_;
  uint64_t salt_;
  LinkCounters& counters_;
  std::vector<Flow> flows_;
  Turns new_flows_, old_flows_;
  // Node n is the fatter of nodes 2n and 2n + 1; the last flows_.size() are the flows themselves.
  std::vector<uint32_t> winners_;
  std::vector<uint32_t> changed_;
};

}  // namespace wh::net
