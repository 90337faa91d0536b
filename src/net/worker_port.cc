#include "net/worker_port.h"

#include <bit>

namespace wh::net {

PacketRing::PacketRing(uint32_t slots) : mask_(slots - 1), slots_(new Slot[slots]) {
  CHECK(std::has_single_bit(slots));
}

bool PacketRing::push(const Packet& packet) {
  const uint32_t head = head_.load(std::memory_order_relaxed);
  const uint32_t size = packet.size();
  if (head - tail_.load(std::memory_order_acquire) > mask_ || size > kSlotSize) {
    full_.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  Slot& slot = slots_[head & mask_];
  slot.size = size;
  slot.checksum = packet.checksum;
  slot.gso_size = packet.gso_size;
  slot.l3_offset = packet.l3_offset;
  slot.l4_offset = packet.l4_offset;
  packet.copy_out(0, {slot.bytes, size});
  head_.store(head + 1, std::memory_order_release);
  return true;
}

PacketPtr PacketRing::pop(PacketPool& pool) {
  const uint32_t tail = tail_.load(std::memory_order_relaxed);
  if (tail == head_.load(std::memory_order_acquire)) return nullptr;
  PacketPtr packet = pool.allocate();
  if (packet == nullptr) return nullptr;
  const Slot& slot = slots_[tail & mask_];
  packet->assign({slot.bytes, slot.size});
  packet->checksum = slot.checksum;
  packet->gso_size = slot.gso_size;
  packet->l3_offset = slot.l3_offset;
  packet->l4_offset = slot.l4_offset;
  tail_.store(tail + 1, std::memory_order_release);
  return packet;
}

void WorkerPort::send(Frame frame) {
  for (const Packet* p : frame.packets()) out_.push(*p);  // A full ring counts it.
}

bool WorkerPort::poll() {
  Frame frame;
  while (!frame.full()) {
    PacketPtr p = in_.pop(pool_);
    if (p == nullptr) break;
    frame.push(std::move(p));
  }
  if (frame.empty()) return false;
  receive(std::move(frame));
  return true;
}

bool WorkerPort::drain(Interface& device, PacketPool& pool) {
  Frame frame;
  while (!frame.full()) {
    PacketPtr p = out_.pop(pool);
    if (p == nullptr) break;
    frame.push(std::move(p));
  }
  if (frame.empty()) return false;
  device.transmit(std::move(frame));
  return true;
}

}  // namespace wh::net
