#include "net/interface.h"

namespace wh::net {

void Interface::show(const Packet& packet, Direction direction) {
  for (PacketTap* tap : taps_) tap->see(packet, direction, loop_.now());
}

void Interface::transmit(Frame&& frame, uint32_t max_frame) {
  if (!up_) {
    counters_.tx_down += frame.size();
    frame.clear();
    return;
  }
  uint32_t kept = 0;
  const std::span<Packet*> packets = frame.release();
  for (Packet* packet : packets) {
    const uint32_t size = packet->size();
    if (size > max_frame && packet->gso_size == 0) {
      ++counters_.tx_too_big;
      PacketRelease{}(packet);
      continue;
    }
    ++counters_.tx_packets;
    counters_.tx_bytes += size;
    if (!taps_.empty()) show(*packet, Direction::Out);
    packets[kept++] = packet;
  }
  frame.take_back(kept);
  if (!frame.empty()) send(std::move(frame));
}

void Interface::receive(Frame&& frame) {
  if (!up_ || input_ == nullptr) {
    counters_.rx_down += frame.size();
    frame.clear();
    return;
  }
  const Instant now = loop_.now();
  counters_.rx_packets += frame.size();
  for (Packet* packet : frame.packets()) {
    packet->interface = index_;
    packet->arrival = now;
    counters_.rx_bytes += packet->size();
    if (!taps_.empty()) show(*packet, Direction::In);
  }
  input_->accept(std::move(frame));
}

}  // namespace wh::net
