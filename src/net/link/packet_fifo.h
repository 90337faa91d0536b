// Packets in order of arrival, linked through the packets themselves: no allocation, no limit of
// its own.
//
// Ownership: owns what is in it. Uses Packet::link, so a packet is in at most one.
#pragma once

#include <utility>

#include "net/link/counters.h"

namespace wh::net {

class PacketFifo {
 public:
  PacketFifo() = default;
  PacketFifo(const PacketFifo&) = delete;
  PacketFifo& operator=(const PacketFifo&) = delete;
  ~PacketFifo() {
    while (pop() != nullptr) {
    }
  }

  void push(PacketPtr packet) {
    held_.add(packet->size());
    Packet* p = packet.release();
    p->link = nullptr;
    (head_ == nullptr ? head_ : tail_->link) = p;
    tail_ = p;
  }
  // The oldest packet; null when empty.
  PacketPtr pop() {
    if (head_ == nullptr) return nullptr;
    PacketPtr packet(head_);
    head_ = std::exchange(packet->link, nullptr);
    held_.subtract(packet->size());
    if (head_ != nullptr) {  // It has been out of mind for as long as it waited.
      __builtin_prefetch(head_);
      __builtin_prefetch(&head_->link);
    }
    return packet;
  }

  bool empty() const { return head_ == nullptr; }
  const Packet* front() const { return head_; }  // null when empty
  const Tally& held() const { return held_; }

 private:
  Packet* head_ = nullptr;
  Packet* tail_ = nullptr;  // Meaningful when head_ is not null.
  Tally held_;
};

}  // namespace wh::net
