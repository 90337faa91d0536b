// A packet: a head that is written and parsed, and payload that is only referred to.
//
//   head (contiguous, kHeadCapacity bytes)              payload (up to 2 slices of shared chunks)
//   +----------+--------------------------+--------+    +--------+   +--------+
//   | headroom | Ethernet | IP | TCP | .. | spare  | -> | slice0 |-> | slice1 |
//   +----------+--------------------------+--------+    +--------+   +--------+
//
// The bytes on the wire are head followed by payload. Headers are pushed before the head as a
// packet goes down and pulled off it as it comes up. TCP's segments refer to chunks of the send
// buffer, so neither a transmission nor a retransmission copies payload. A packet that came from
// outside has its first bytes in the head and the rest in a chunk of its own; pullup(n) makes more
// of it contiguous.
//
// Ownership: a PacketPtr owns its packet and gives it back to the pool; slices hold counted
// references to chunks. Chunks are immutable once referred to by a packet. Threads: a pool, its
// packets and their chunks belong to one loop.
// Invariants: (1) head_begin <= head_end <= kHeadCapacity   (2) a slice with bytes has a chunk.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "core/check.h"
#include "core/units.h"

namespace wh::net {

class ChunkShelf;

// A run of bytes shared by reference count; the count is not atomic (one loop). Whoever needs many
// of one size takes them from a ChunkPool (net/chunk_pool.h).
class Chunk {
 public:
  static Chunk* make(uint32_t capacity);  // With one reference, bytes uninitialised.
  uint8_t* bytes() { return bytes_; }
  const uint8_t* bytes() const { return bytes_; }
  uint32_t capacity() const { return capacity_; }
  uint32_t references() const { return references_; }
  void retain() { ++references_; }
  void release() {
    if (--references_ == 0) destroy();
  }

 private:
  friend class ChunkShelf;
  explicit Chunk(uint32_t capacity) : capacity_(capacity) {}
  void destroy();
  uint32_t references_ = 1;
  uint32_t capacity_;
  uint8_t* bytes_ = nullptr;
  ChunkShelf* shelf_ = nullptr;  // Where it goes when nobody refers to it; null: to the heap.
};

// A counted reference to a chunk.
class ChunkRef {
 public:
  ChunkRef() = default;
  static ChunkRef make(uint32_t capacity) { return ChunkRef(Chunk::make(capacity)); }
  static ChunkRef copy_of(std::span<const uint8_t> bytes);
  ChunkRef(const ChunkRef& o) : chunk_(o.chunk_) {
    if (chunk_ != nullptr) chunk_->retain();
  }
  ChunkRef(ChunkRef&& o) noexcept : chunk_(std::exchange(o.chunk_, nullptr)) {}
  ChunkRef& operator=(const ChunkRef& o) { return *this = ChunkRef(o); }
  ChunkRef& operator=(ChunkRef&& o) noexcept {
    std::swap(chunk_, o.chunk_);
    return *this;
  }
  ~ChunkRef() {
    if (chunk_ != nullptr) chunk_->release();
  }
  explicit operator bool() const { return chunk_ != nullptr; }
  Chunk* operator->() const { return chunk_; }
  Chunk& operator*() const { return *chunk_; }
  bool operator==(const ChunkRef&) const = default;

 private:
  friend class ChunkShelf;
  explicit ChunkRef(Chunk* chunk) : chunk_(chunk) {}
  Chunk* chunk_ = nullptr;
};

// A part of a chunk: [offset, offset + size).
struct Slice {
  ChunkRef chunk;
  uint32_t offset = 0;
  uint32_t size = 0;

  const uint8_t* data() const { return chunk->bytes() + offset; }
  std::span<const uint8_t> bytes() const {
    return size == 0 ? std::span<const uint8_t>{} : std::span(data(), size);
  }
  void clear() {
    chunk = ChunkRef();
    offset = size = 0;
  }
  Slice sub(uint32_t from, uint32_t count) const {
    CHECK(from <= size && count <= size - from);
    return {chunk, offset + from, count};
  }
};

// What is known of a packet's transport checksum.
enum class Checksum : uint8_t {
  Unknown,   // Came from outside: to be verified by whoever needs it.
  Verified,  // Found right, or never left this process.
  Needed,    // The field holds the pseudo-header sum only; complete it before bytes leave the
             // process.
};

class PacketPool;

class alignas(64) Packet {
 public:
  static constexpr uint32_t kHeadCapacity = 448;
  static constexpr uint32_t kHeadroom = 128;  // Ethernet 18 + IPv6 40 + TCP 60, and 10 spare.
  static constexpr uint32_t kMaxSlices = 2;

  // --- bytes ---
  uint32_t size() const { return head_size() + slices[0].size + slices[1].size; }
  uint32_t payload_size() const { return slices[0].size + slices[1].size; }
  uint32_t head_size() const { return uint32_t{head_end} - head_begin; }
  uint8_t* data() { return bytes_.data() + head_begin; }
  const uint8_t* data() const { return bytes_.data() + head_begin; }
  std::span<uint8_t> head() { return {data(), head_size()}; }
  std::span<const uint8_t> head() const { return {data(), head_size()}; }
  // Where a packet's headers usually begin: to be fetched ahead of reading them.
  const uint8_t* headers_at() const { return bytes_.data() + kHeadroom; }
  uint32_t headroom() const { return head_begin; }
  uint32_t tailroom() const { return kHeadCapacity - head_end; }

  // Grows the head by n bytes at its front and returns them. REQUIRES: n <= headroom().
  uint8_t* push(uint32_t n) {
    CHECK(n <= head_begin);
    head_begin = static_cast<uint16_t>(head_begin - n);
    return data();
  }
  // Takes n bytes off the head's front. REQUIRES: n <= head_size().
  void pull(uint32_t n) {
    CHECK(n <= head_size());
    head_begin = static_cast<uint16_t>(head_begin + n);
  }
  // Grows the head by n bytes at its end and returns them. REQUIRES: n <= tailroom() and no payload
  // yet.
  uint8_t* append(uint32_t n) {
    CHECK(n <= tailroom() && payload_size() == 0);
    uint8_t* at = bytes_.data() + head_end;
    head_end = static_cast<uint16_t>(head_end + n);
    return at;
  }
  // Adds a slice behind everything else. Returns false when both slices are taken.
  bool append(Slice&& slice) {
    if (slice.size == 0) return true;
    for (Slice& s : slices) {
      if (s.size == 0) return s = std::move(slice), true;
    }
    return false;
  }
  // Makes the first n bytes contiguous in the head by moving bytes out of the payload. False when
  // the packet is shorter or the head has no room.
  bool pullup(uint32_t n);
  // Cuts the packet to its first n bytes (link-layer padding). REQUIRES: n <= size().
  void truncate(uint32_t n);
  // Copies `out.size()` bytes from `offset` of the packet. REQUIRES: they exist.
  void copy_out(uint32_t offset, std::span<uint8_t> out) const;
  // Replaces the payload by a private contiguous copy, whose bytes may be changed. Used where bits
  // are flipped.
  std::span<uint8_t> unshare_payload();
  // Calls fn(span) for each run of bytes from `offset` to the end: at most three.
  template <class Fn>
  void for_each_run(uint32_t offset, Fn fn) const {
    auto part = [&](std::span<const uint8_t> run) {
      if (offset >= run.size()) {
        offset -= static_cast<uint32_t>(run.size());
        return;
      }
      fn(run.subspan(offset));
      offset = 0;
    };
    part(head());
    for (const Slice& s : slices) part(s.bytes());
  }
  // Reads the packet afresh from bytes: kHeadroom before, the first bytes in the head, the rest in
  // a chunk.
  void assign(std::span<const uint8_t> bytes);
  void clear();  // As it comes from the pool.

  // --- what its bearers note on it: one cache line ---
  uint16_t head_begin = kHeadroom;
  uint16_t head_end = kHeadroom;
  uint16_t l2_size = 0;    // Bytes of link header that were pulled off in front of data().
  uint16_t l3_offset = 0;  // From data(): where the IP header begins, set by ethernet-input.
  uint16_t l4_offset = 0;  // From data(): where the transport header begins, set by IP or TCP.
  Checksum checksum = Checksum::Unknown;
  uint8_t ecn = 0;            // The IP header's two ECN bits, on input.
  uint16_t gso_size = 0;      // Payload bytes a segment when this is to be cut later; 0 when not.
  uint16_t interface = 0;     // Index of the interface it came in by, or leaves by.
  uint16_t rx_interface = 0;  // Index of the one it came in by, kept by what answers it; 0: none.
  uint16_t reason = 0;        // Why it is being dropped: the graph's number of the reason.
  uint32_t adjacency = 0;     // Result of the lookup.
  uint32_t flow_hash = 0;
  uint32_t trace = 0;  // 0: not traced; else 1 + index into the graph's trace log.
  std::array<Slice, kMaxSlices> slices;
  // The second cache line: what forwarding does not look at.
  uint32_t icmp_note = 0;  // On its way to be answered by an ICMP error: what that shall say.
  uint16_t table = 0;  // Made here, or for a protocol here: whose routes it, or the answer, takes.
  Instant arrival{};   // When it came in by its interface.
  Instant enqueued{};  // Scratch of the queue that holds it.
  Instant deliver{};   // Scratch of the delay line that holds it.
  Packet* link = nullptr;  // Scratch of the list that holds it.

 private:
  friend class PacketPool;
  friend struct PacketRelease;
  PacketPool* pool_ = nullptr;
  alignas(64) std::array<uint8_t, kHeadCapacity> bytes_;
};
// An odd number of cache lines, so that the headers of neighbouring packets lie in different sets.
static_assert(sizeof(Packet) == 9 * 64);

struct PacketRelease {
  void operator()(Packet* packet) const;
};
using PacketPtr = std::unique_ptr<Packet, PacketRelease>;

// Packets for one loop, allocated in slabs and used again. Bounded: allocate() returns null at the
// limit and counts it, and who asked counts its own drop.
class PacketPool {
 public:
  explicit PacketPool(size_t limit = 4'000'000) : limit_(limit) {}
  ~PacketPool();  // REQUIRES: every packet has come back.
  PacketPool(const PacketPool&) = delete;
  PacketPool& operator=(const PacketPool&) = delete;

  PacketPtr allocate();
  // A second packet with the same bytes and notes; the payload is shared, the head copied. Null at
  // the limit.
  PacketPtr clone(const Packet& packet);
  size_t in_use() const { return in_use_; }
  uint64_t exhausted() const { return exhausted_; }

 private:
  friend struct PacketRelease;
  static constexpr size_t kSlab = 64;
  void release(Packet* packet);
  [[gnu::noinline]] void grow();  // By a slab.

  std::vector<std::unique_ptr<Packet[]>> slabs_;
  Packet* free_ = nullptr;
  size_t limit_;
  size_t in_use_ = 0;
  uint64_t exhausted_ = 0;
};

inline void PacketRelease::operator()(Packet* packet) const {
  packet->pool_->release(packet);
}

}  // namespace wh::net
