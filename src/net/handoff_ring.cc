#include "net/handoff_ring.h"

#include <bit>

namespace wh::net {

HandoffRing::HandoffRing(uint32_t bytes)
    : mask_(bytes - 1), memory_(new Record[bytes / sizeof(Record)]) {
  CHECK(std::has_single_bit(bytes) && bytes >= 2 * kLargest);
}

bool HandoffRing::push(const Packet& packet, uint8_t to) {
  uint32_t head = head_.load(std::memory_order_relaxed);
  const uint32_t size = packet.l2_size + packet.size();
  const uint32_t room = room_for(size);
  const uint32_t to_end = mask_ + 1 - (head & mask_);
  const uint32_t skipped = room > to_end ? to_end : 0;  // A packet lies in one piece.
  const uint32_t used = head - tail_.load(std::memory_order_acquire);
  if (size > kLargest || room + skipped > mask_ + 1 - used) {
    full_.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  if (skipped != 0) {
    at(head) = {.size = kSkip};
    head += skipped;
  }
  Record& record = at(head);
  record = {.size = size,
            .adjacency = packet.adjacency,
            .l2_size = packet.l2_size,
            .l3_offset = packet.l3_offset,
            .l4_offset = packet.l4_offset,
            .gso_size = packet.gso_size,
            .interface = packet.interface,
            .rx_interface = packet.rx_interface,
            .table = packet.table,
            .checksum = packet.checksum,
            .ecn = packet.ecn,
            .to = to};
  // Sound: the record is followed by as much memory as it has room for.
  auto* bytes = reinterpret_cast<uint8_t*>(&record + 1);
  std::memcpy(bytes, packet.data() - packet.l2_size, packet.l2_size);
  packet.copy_out(0, {bytes + packet.l2_size, size - packet.l2_size});
  head_.store(head + room, std::memory_order_release);
  return true;
}

PacketPtr HandoffRing::pop(PacketPool& pool, uint8_t& to) {
  uint32_t tail = tail_.load(std::memory_order_relaxed);
  if (tail == head_.load(std::memory_order_acquire)) return nullptr;
  PacketPtr packet = pool.allocate();
  if (packet == nullptr) return nullptr;
  if (at(tail).size == kSkip) tail += mask_ + 1 - (tail & mask_);  // A packet always follows.
  const Record& record = at(tail);
  packet->assign({reinterpret_cast<const uint8_t*>(&record + 1), record.size});
  packet->pull(record.l2_size);
  packet->adjacency = record.adjacency;
  packet->l2_size = record.l2_size;
  packet->l3_offset = record.l3_offset;
  packet->l4_offset = record.l4_offset;
  packet->gso_size = record.gso_size;
  packet->interface = record.interface;
  packet->rx_interface = record.rx_interface;
  packet->table = record.table;
  packet->checksum = record.checksum;
  packet->ecn = record.ecn;
  to = record.to;
  tail_.store(tail + room_for(record.size), std::memory_order_release);
  return packet;
}

}  // namespace wh::net
