#include "net/link/fq_codel.h"

#include <algorithm>

#include "net/link/glance.h"

namespace wh::net {

FqCodel::FqCodel(FqCodelConfig config, QueueLimit limit, Random random, LinkCounters& counters)
    : config_(config),
      limit_(limit),
      salt_(random.next()),
      counters_(counters),
      flows_(config.flows) {
  CHECK(config.flows > 0 && config.quantum > Bytes(0));
}

uint32_t FqCodel::flow_of(const Packet& packet) const {
  const auto glance = glance_at(packet);
  const uint64_t hash = hash_of(glance ? glance->flow : FlowKey{}, salt_);
  return static_cast<uint32_t>((Uint128(hash) * flows_.size()) >> 64);
}

void FqCodel::enqueue(PacketPtr packet) {
  Flow& flow = flows_[flow_of(*packet)];
  // The limit holds at every instant: room is made before the packet joins, and one that no queue
  // is fat enough to make room for is itself dropped.
  while (!limit_.admits(held_, packet->size()) && held_.packets != 0) drop_from_fattest();
  if (!limit_.admits(held_, packet->size())) {
    counters_.drop(DropReason::QueueFull, *packet);
    return;
  }
  held_.add(packet->size());
  flow.fifo.push(std::move(packet));
  if (!flow.turn.is_linked()) {
    flow.credits = config_.quantum.count();
    new_flows_.push_back(flow);
  }
}

// RFC 8290 section 4.2.
PacketPtr FqCodel::dequeue(Instant now) {
  for (;;) {
    Turns& turns = new_flows_.empty() ? old_flows_ : new_flows_;
    Flow* flow = turns.front();
    if (flow == nullptr) return nullptr;
    if (flow->credits <= 0) {
      flow->credits += config_.quantum.count();
      flow->turn.unlink();
      old_flows_.push_back(*flow);
      continue;
    }
    const Tally before = flow->fifo.held();
    PacketPtr packet = flow->control.dequeue(flow->fifo, config_.codel, now, counters_);
    const Tally after = flow->fifo.held();
    held_.packets -= before.packets - after.packets;
    held_.bytes -= before.bytes - after.bytes;
    if (packet == nullptr) {
      flow->turn.unlink();
      if (&turns == &new_flows_ && !old_flows_.empty()) old_flows_.push_back(*flow);
      continue;
    }
    flow->credits -= packet->size();
    return packet;
  }
}

void FqCodel::drop_from_fattest() {
  const auto fattest = std::max_element(
      flows_.begin(), flows_.end(),
      [](const Flow& a, const Flow& b) { return a.fifo.held().bytes < b.fifo.held().bytes; });
  const uint64_t half = fattest->fifo.held().bytes / 2;
  uint64_t dropped = 0;
  for (uint32_t n = 0; n < kDropBatch; ++n) {
    PacketPtr packet = fattest->fifo.pop();
    if (packet == nullptr) break;
    held_.subtract(packet->size());
    dropped += packet->size();
    counters_.drop(DropReason::QueueFull, *packet);
    if (dropped >= half) break;
  }
}

}  // namespace wh::net
