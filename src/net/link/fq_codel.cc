#include "net/link/fq_codel.h"

#include "net/link/glance.h"

namespace wh::net {

FqCodel::FqCodel(FqCodelConfig config, QueueLimit limit, Random random, LinkCounters& counters)
    : config_(config),
      limit_(limit),
      salt_(random.next()),
      counters_(counters),
      flows_(config.flows),
      winners_(2 * size_t{config.flows}) {
  CHECK(config.flows > 0 && config.quantum > Bytes(0));
  for (uint32_t i = 0; i < config.flows; ++i) winners_[config.flows + i] = i;
  for (uint32_t n = config.flows - 1; n > 0; --n) {
    winners_[n] = fatter(winners_[2 * n], winners_[2 * n + 1]);
  }
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
  note_change(flow);
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
    note_change(*flow);
    if (packet == nullptr) {
      flow->turn.unlink();
      if (&turns == &new_flows_ && !old_flows_.empty()) old_flows_.push_back(*flow);
      continue;
    }
    flow->credits -= packet->size();
    return packet;
  }
}

void FqCodel::note_change(Flow& flow) {
  if (flow.is_changed) return;
  flow.is_changed = true;
  changed_.push_back(static_cast<uint32_t>(&flow - flows_.data()));
}

// Of two that hold the same, the first.
uint32_t FqCodel::fatter(uint32_t a, uint32_t b) const {
  const uint64_t of_a = flows_[a].fifo.held().bytes, of_b = flows_[b].fifo.held().bytes;
  return of_a > of_b || (of_a == of_b && a < b) ? a : b;
}

FqCodel::Flow& FqCodel::fattest() {
  for (const uint32_t i : changed_) {
    flows_[i].is_changed = false;
    for (size_t n = (flows_.size() + i) / 2; n > 0; n /= 2) {
      winners_[n] = fatter(winners_[2 * n], winners_[2 * n + 1]);
    }
  }
  changed_.clear();
  return flows_[winners_[1]];
}

void FqCodel::drop_from_fattest() {
  Flow& flow = fattest();
  const uint64_t half = flow.fifo.held().bytes / 2;
  uint64_t dropped = 0;
  for (uint32_t n = 0; n < kDropBatch; ++n) {
    PacketPtr packet = flow.fifo.pop();
    if (packet == nullptr) break;
    held_.subtract(packet->size());
    dropped += packet->size();
    counters_.drop(DropReason::QueueFull, *packet);
    if (dropped >= half) break;
  }
  note_change(flow);
}

}  // namespace wh::net
