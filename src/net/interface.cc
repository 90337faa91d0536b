#include "net/interface.h"

namespace wh::net {
namespace {

constexpr uint32_t kLinkHeader = 14 + 4;  // Ethernet and one VLAN tag.

}  // namespace

void Interface::show(const Packet& packet, Direction direction) {
  for (PacketTap* tap : taps_) tap->see(packet, direction, loop_.now());
}

void Interface::transmit(Frame frame) {
  if (!up_) {
    counters_.tx_down += frame.size();
    return;
  }
  Frame out;
  for (uint32_t i = 0; i < frame.size(); ++i) {
    PacketPtr packet = frame.take(i);
    const uint32_t size = packet->size();
    if (size > config_.mtu + kLinkHeader && packet->gso_size == 0) {
      ++counters_.tx_too_big;
      continue;
    }
    ++counters_.tx_packets;
    counters_.tx_bytes += size;
    if (!taps_.empty()) show(*packet, Direction::Out);
    out.push(std::move(packet));
  }
  if (!out.empty()) send(std::move(out));
}

void Interface::receive(Frame frame) {
  if (!up_ || input_ == nullptr) {
    counters_.rx_down += frame.size();
    return;
  }
  for (Packet* packet : frame.packets()) {
    packet->interface = index_;
    packet->arrival = loop_.now();
    ++counters_.rx_packets;
    counters_.rx_bytes += packet->size();
    if (!taps_.empty()) show(*packet, Direction::In);
  }
  input_->accept(std::move(frame));
}

}  // namespace wh::net
