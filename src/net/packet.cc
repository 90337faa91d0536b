#include "net/packet.h"

#include <algorithm>
#include <cstdlib>
#include <new>

#include "net/chunk_pool.h"

namespace wh::net {

Chunk* Chunk::make(uint32_t capacity) {
  void* memory = std::malloc(sizeof(Chunk) + capacity);
  CHECK(memory != nullptr);
  // Sound: the block holds a Chunk followed by `capacity` bytes, which bytes_ points to.
  Chunk* chunk = new (memory) Chunk(capacity);
  chunk->bytes_ = static_cast<uint8_t*>(memory) + sizeof(Chunk);
  return chunk;
}

void Chunk::destroy() {
  if (shelf_ != nullptr) {
    shelf_->take_back(this);
  } else {
    std::free(this);
  }
}

ChunkRef ChunkRef::copy_of(std::span<const uint8_t> bytes) {
  ChunkRef ref = make(static_cast<uint32_t>(bytes.size()));
  if (!bytes.empty()) std::memcpy(ref->bytes(), bytes.data(), bytes.size());
  return ref;
}

bool Packet::pullup(uint32_t n) {
  if (n <= head_size()) return true;
  const uint32_t missing = n - head_size();
  if (missing > payload_size() || missing > tailroom()) return false;
  uint32_t wanted = missing;
  for (Slice& s : slices) {
    const uint32_t take = std::min(wanted, s.size);
    if (take == 0) continue;
    std::memcpy(bytes_.data() + head_end, s.data(), take);
    head_end = static_cast<uint16_t>(head_end + take);
    s.offset += take;
    s.size -= take;
    wanted -= take;
  }
  if (slices[0].size == 0) {
    slices[0] = std::move(slices[1]);
    slices[1] = Slice{};
  }
  return true;
}

void Packet::truncate(uint32_t n) {
  CHECK(n <= size());
  uint32_t keep = n;
  const uint32_t in_head = std::min(keep, head_size());
  head_end = static_cast<uint16_t>(head_begin + in_head);
  keep -= in_head;
  for (Slice& s : slices) {
    s.size = std::min(s.size, keep);
    keep -= s.size;
    if (s.size == 0) s = Slice{};
  }
}

void Packet::copy_out(uint32_t offset, std::span<uint8_t> out) const {
  CHECK(offset + out.size() <= size());
  size_t done = 0;
  for_each_run(offset, [&](std::span<const uint8_t> run) {
    const size_t n = std::min(run.size(), out.size() - done);
    if (n != 0) std::memcpy(out.data() + done, run.data(), n);
    done += n;
  });
}

std::span<uint8_t> Packet::unshare_payload() {
  const uint32_t n = payload_size();
  if (n == 0) return {};
  ChunkRef copy = ChunkRef::make(n);
  copy_out(head_size(), {copy->bytes(), n});
  slices = {Slice{copy, 0, n}, Slice{}};
  return {copy->bytes(), n};
}

void Packet::assign(std::span<const uint8_t> bytes) {
  clear();
  const size_t in_head = std::min<size_t>(bytes.size(), tailroom());
  if (in_head != 0) std::memcpy(append(static_cast<uint32_t>(in_head)), bytes.data(), in_head);
  const auto rest = bytes.subspan(in_head);
  if (!rest.empty()) {
    slices[0] = Slice{ChunkRef::copy_of(rest), 0, static_cast<uint32_t>(rest.size())};
  }
}

void Packet::clear() {
  head_begin = head_end = kHeadroom;
  l2_size = l3_offset = l4_offset = gso_size = interface = rx_interface = reason = table = 0;
  checksum = Checksum::Unknown;
  ecn = 0;
  adjacency = flow_hash = trace = icmp_note = 0;
  arrival = enqueued = deliver = Instant{};
  for (Slice& s : slices) s.clear();
  link = nullptr;
}

PacketPool::~PacketPool() {
  CHECK_EQ(in_use_, 0u);
}

PacketPtr PacketPool::allocate() {
  if (in_use_ >= limit_) {
    ++exhausted_;
    return nullptr;
  }
  if (free_ == nullptr) grow();
  Packet* packet = free_;
  free_ = packet->link;
  packet->link = nullptr;
  ++in_use_;
  return PacketPtr(packet);
}

void PacketPool::grow() {
  slabs_.emplace_back(new Packet[kSlab]);
  for (size_t i = 0; i < kSlab; ++i) {
    Packet& p = slabs_.back()[i];
    p.pool_ = this;
    p.link = free_;
    free_ = &p;
  }
}

PacketPtr PacketPool::clone(const Packet& from) {
  PacketPtr to = allocate();
  if (to == nullptr) return nullptr;
  PacketPool* pool = to->pool_;
  *to = from;
  to->pool_ = pool;
  to->link = nullptr;
  return to;
}

void PacketPool::release(Packet* packet) {
  packet->clear();
  packet->link = free_;
  free_ = packet;
  --in_use_;
}

}  // namespace wh::net
