#include "net/link/keep_last_ack.h"

#include "net/ip_service.h"

namespace wh::net {

bool PureAck::gives_way_to(const PureAck& next) const {
  if (size != next.size || traffic_class != next.traffic_class || flags != next.flags) return false;
  if (seq != next.seq || next.ack <= ack) return false;
  if (timestamps.has_value() != next.timestamps.has_value()) return false;
  return !timestamps || SeqNum(next.timestamps->value) >= SeqNum(timestamps->value);
}

std::optional<PureAck> pure_ack_of(const Packet& packet, const Glance& glance) {
  if (glance.flow.protocol != kProtocolTcp || glance.is_fragment) return std::nullopt;
  if (glance.transport_offset > packet.head_size()) return std::nullopt;
  const auto tcp =
      TcpView::parse(packet.head().subspan(glance.transport_offset), glance.transport_size);
  constexpr TcpFlags kMore = kTcpSyn | kTcpFin | kTcpRst | kTcpPsh | kTcpUrg;
  if (!tcp || tcp->payload_size() != 0 || !tcp->has(kTcpAck) || tcp->flags().has_any(kMore)) {
    return std::nullopt;
  }
  const auto timestamps = tcp->sole_timestamps();
  if (!timestamps && !tcp->option_bytes().empty()) return std::nullopt;
  return PureAck{packet.size(), glance.traffic_class, tcp->flags(),
                 tcp->seq(),    tcp->ack(),           timestamps};
}

KeepLastAck::KeepLastAck(QueueLimit limit, LinkCounters& counters)
    : limit_(limit), counters_(counters), ring_(64), flows_(kFlows) {}

KeepLastAck::~KeepLastAck() {
  while (dequeue({}) != nullptr) {
  }
}

void KeepLastAck::enqueue(PacketPtr packet) {
  const auto glance = glance_at(*packet);
  Last* last = nullptr;
  if (glance && glance->flow.protocol == kProtocolTcp) {
    last = &flows_[hash_of(glance->flow, 0) % kFlows];
  }
  const auto ack = last != nullptr ? pure_ack_of(*packet, *glance) : std::nullopt;
  if (ack && last->is_ack && last->place >= head_ && last->flow == glance->flow &&
      last->ack.gives_way_to(*ack)) {
    PacketPtr replaced(std::exchange(at(last->place), packet.release()));
    counters_.drop(DropReason::AckReplaced, *replaced);
    last->ack = *ack;
    return;
  }
  if (!limit_.admits(held_, packet->size())) {
    counters_.drop(DropReason::QueueFull, *packet);
    return;
  }
  if (ack) {
    *last = {glance->flow, *ack, tail_, true};
  } else if (last != nullptr && last->flow == glance->flow) {
    last->is_ack = false;
  }
  held_.add(packet->size());
  push(packet.release());
}

void KeepLastAck::push(Packet* packet) {
  if (tail_ - head_ == ring_.size()) {
    std::vector<Packet*> wider(ring_.size() * 2);
    for (uint64_t place = head_; place != tail_; ++place) {
      wider[place & (wider.size() - 1)] = at(place);
    }
    ring_ = std::move(wider);
  }
  at(tail_++) = packet;
}

PacketPtr KeepLastAck::dequeue(Instant) {
  if (head_ == tail_) return nullptr;
  PacketPtr packet(at(head_++));
  held_.subtract(packet->size());
  return packet;
}

}  // namespace wh::net
